"""Typed reading of posted JSON objects: every mistake is an EventError that names the field."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnstream.assistant.problems import nearest
from turnstream.dialogue.events import EMPTY, EVENT_TYPES


class EventError(ValueError):
    """An event that cannot be read. `field` names the key; `index` is its place in a posted list, if it was in one."""

    def __init__(self, message: str, field: str = "event") -> None:
        super().__init__(message)
        self.field = field
        self.index: int | None = None

    @classmethod
    def unknown_name(cls, name: str) -> "EventError":
        return cls(f"unknown event '{name}'. {nearest(name, EVENT_TYPES)}".rstrip(), "event")


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object, `where` in the whole it stands, and the time that stands in for a missing timestamp."""

    data: Mapping[str, Any]
    now: float
    where: str = ""

    @classmethod
    def of(cls, data: Any, now: float, where: str = "") -> "Fields":
        if not isinstance(data, Mapping):
            raise EventError(f"{where or 'an event'} must be an object, got {data!r}", where or "event")
        return cls(data, now, where)

    def path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def error(self, key: str, expected: str) -> EventError:
        if key not in self.data:
            return EventError(f"{self._subject()} needs '{self.path(key)}' ({expected})", key)
        return EventError(f"'{self.path(key)}' must be {expected}, got {self.data[key]!r}", key)

    def _subject(self) -> str:
        name = self.data.get("event")
        return f"event '{name}'" if isinstance(name, str) and not self.where else "it"

    def text(self, key: str) -> str:
        value = self.data.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, "a text")
        return value

    def optional_text(self, key: str) -> str | None:
        value = self.data.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error(key, "a text or null")
        return value

    def optional_number(self, key: str) -> float | None:
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, "a number or null")
        try:
            return float(value)
        except OverflowError:
            raise self.error(key, "a number that fits 64 bits") from None

    def flag(self, key: str, default: bool) -> bool:
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def required(self, key: str) -> Any:
        if key not in self.data:
            raise self.error(key, "any value")
        return self.data[key]

    def items(self, key: str) -> Sequence[Any]:
        value = self.data.get(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self.error(key, "a list")
        return value

    def texts(self, key: str) -> Sequence[str]:
        items = self.items(key)
        if not all(isinstance(i, str) for i in items):
            raise self.error(key, "a list of texts")
        return items

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.data.get(key)
        if value is None:
            return EMPTY
        if not isinstance(value, Mapping):
            raise self.error(key, "an object")
        return dict(value)

    def child(self, key: str) -> "Fields":
        return Fields(self.mapping(key), self.now, self.path(key))

    def children(self, key: str) -> list["Fields"]:
        return [Fields.of(item, self.now, f"{self.path(key)}[{i}]") for i, item in enumerate(self.items(key))]

    def timestamp(self) -> float:
        value = self.optional_number("timestamp")
        if value is None:
            return self.now
        # The range of google.protobuf.Timestamp: years 1 to 9999.
        if not math.isfinite(value) or not -62_135_596_800 <= value < 253_402_300_800:
            raise self.error("timestamp", "seconds since the epoch")
        return value
