"""Events as bytes, each written once: what carries many of them is put together from those bytes."""

from collections.abc import Iterable

from turnstream.dialogue.events import Event
from turnstream.dialogue.proto import event_to_proto

_LENGTH_DELIMITED = 2


def encoded_event(event: Event) -> bytes:
    """The event as `turnstream.api.v1.Event`. Raises UnwritableValueError, see `dialogue.values`."""
    data: bytes | None = getattr(event, "encoded", None)
    if data is None:
        data = event_to_proto(event).SerializeToString()
        # The bytes are no part of the frozen fact.
        object.__setattr__(event, "encoded", data)
    return data


def encoded_field(number: int, data: bytes) -> bytes:
    """One value of a message's field that is a message, text or bytes (https://protobuf.dev/programming-guides/encoding).

    Protobuf merges what is appended to a message: repeated fields grow, single messages are merged.
    """
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data


def encoded_fields(number: int, values: Iterable[bytes]) -> bytes:
    """A repeated field."""
    tag = _varint(number << 3 | _LENGTH_DELIMITED)
    parts: list[bytes] = []
    for data in values:
        size = len(data)
        parts += (tag, _SIZES[size] if size < len(_SIZES) else _varint(size), data)
    return b"".join(parts)


def encoded_events(number: int, events: Iterable[Event]) -> bytes:
    """A repeated field of events."""
    return encoded_fields(number, [encoded_event(event) for event in events])


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_SIZES = tuple(_varint(size) for size in range(2048))
