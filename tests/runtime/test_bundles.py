import pytest
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import NoBundle, UnknownBundle


def test_empty_version_is_the_newest() -> None:
    bundles = Bundles({"1": "one", "2": "two"})
    assert bundles.get("") == "two"
    assert bundles.get("1") == "one"
    assert bundles.stable == "2"


def test_version_added_again_becomes_the_newest() -> None:
    bundles = Bundles({"1": "one", "2": "two"})
    bundles.add("1", "one again")
    assert bundles.versions == ("2", "1")
    assert bundles.get() == "one again"


def test_unknown_version_names_those_there_are() -> None:
    with pytest.raises(UnknownBundle, match="no bundle of version '3'; there are: '1', '2'"):
        Bundles({"1": 1, "2": 2}).get("3")
    with pytest.raises(NoBundle, match="no assistant is loaded"):
        Bundles[int]().get()
    with pytest.raises(NoBundle):
        _ = Bundles[int]().stable


def test_the_stable_version_serves_also_when_others_are_added() -> None:
    bundles = Bundles({"1": "one"})
    bundles.serve("1")
    bundles.add("2", "two")
    assert (bundles.stable, bundles.get(), bundles.get("2")) == ("1", "one", "two")
    bundles.serve("")
    with pytest.raises(NoBundle):
        bundles.get()
    assert bundles.get("1") == "one"


def test_removed_version_is_gone() -> None:
    bundles = Bundles({"1": 1, "2": 2})
    bundles.remove("2")
    assert bundles.get() == 1
    assert "2" not in bundles
    with pytest.raises(UnknownBundle):
        bundles.remove("2")


def test_version_needs_a_name() -> None:
    with pytest.raises(ValueError, match="empty"):
        Bundles[int]().add("", 1)
