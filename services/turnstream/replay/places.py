"""Places in the log as people write them: `PARTITION:OFFSET`, and several of them as one text."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from turnstream.turnlog.interface import Position

_PLACE = re.compile(r"(\d+):(-?\d+)")


class PlaceError(ValueError):
    """A text that names no place in the log, or no moment; says what is expected."""


def parse_places(texts: Iterable[str]) -> dict[int, int]:
    """Offsets by partition, from texts such as `3:1200` or `0:17,1:20`. Raises PlaceError."""
    places: dict[int, int] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        found = _PLACE.fullmatch(part)
        if found is None:
            raise PlaceError(f"'{part}' is no place in the log; write PARTITION:OFFSET, such as 3:1200")
        partition = int(found[1])
        if partition in places:
            raise PlaceError(f"partition {partition} is named twice")
        places[partition] = int(found[2])
    return places


def format_places(places: Mapping[int, int]) -> str:
    """What `parse_places` reads."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(places.items()))


def check_partitions(places: Mapping[int, int], partitions: int) -> None:
    """Raises PlaceError where a partition is not in the log."""
    for partition in places:
        if partition >= partitions:
            raise PlaceError(f"the log has no partition {partition}; its {partitions} are 0 to {partitions - 1}")


def read_places(file: Path) -> dict[int, int]:
    """What `write_places` wrote; empty where there is no file yet. Raises PlaceError."""
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {int(partition): int(offset) for partition, offset in content["after"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlaceError(f"{file} holds no places in a log: {error!r}") from error


def write_places(file: Path, places: Mapping[int, int]) -> None:
    """Replace the file in one step."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(json.dumps({"after": {str(p): o for p, o in sorted(places.items())}}) + "\n", encoding="utf-8")
    partial.replace(file)


def parse_moment(text: str) -> float:
    """Seconds since the epoch, of a number or of ISO 8601; UTC where it names no zone. Raises PlaceError."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PlaceError(
            f"'{text}' is no time; write 2026-11-22T08:00:00Z, 2026-11-22, or seconds since the epoch"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def later(places: dict[int, int], position: Position) -> None:
    """Note that this place was reached."""
    places[position.partition] = max(position.offset, places.get(position.partition, -1))
