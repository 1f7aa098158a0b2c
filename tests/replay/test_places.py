"""Places and moments as people write them."""

from pathlib import Path

import pytest
from turnstream.replay.places import (
    PlaceError,
    check_partitions,
    format_places,
    parse_moment,
    parse_places,
    read_places,
    write_places,
)


def test_what_is_printed_can_be_read_again() -> None:
    places = {3: 1200, 0: 17}
    assert format_places(places) == "0:17,3:1200"
    assert parse_places([format_places(places)]) == places
    assert parse_places(["3:1200", " 0:17 "]) == places


@pytest.mark.parametrize("text", ["", "3", "3:", "a:b", "3:1;4:2", "3:1,3:2"])
def test_what_is_no_place_is_refused_by_name(text: str) -> None:
    with pytest.raises(PlaceError) as refused:
        parse_places([text])
    assert "PARTITION:OFFSET" in str(refused.value) or "twice" in str(refused.value)


def test_a_partition_that_the_log_does_not_have() -> None:
    with pytest.raises(PlaceError, match="no partition 4; its 4 are 0 to 3"):
        check_partitions({0: 1, 4: 1}, 4)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-22T08:00:00Z", 1795334400.0),
        ("2026-11-22T09:00:00+01:00", 1795334400.0),
        ("2026-11-22", 1795305600.0),
        ("1795334400.5", 1795334400.5),
    ],
)
def test_moments(text: str, seconds: float) -> None:
    assert parse_moment(text) == seconds


def test_a_moment_that_is_none() -> None:
    with pytest.raises(PlaceError, match="'yesterday' is no time; write 2026"):
        parse_moment("yesterday")


def test_places_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "places.json"
    assert read_places(file) == {}
    write_places(file, {1: 5, 0: -1})
    assert read_places(file) == {0: -1, 1: 5}
    assert [p.name for p in tmp_path.iterdir()] == ["places.json"]
    file.write_text('{"after": 3}')
    with pytest.raises(PlaceError, match="holds no places"):
        read_places(file)
