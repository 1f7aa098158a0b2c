"""JSON-like Python values on the wire, exact: integers stay integers, floats floats, keys keep their order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from turnstream.api.v1 import values_pb2 as pb

_INT64_MAX = 2**63 - 1
_INT64_MIN = -(2**63)

MAX_DEPTH = 25
"""Levels of lists and maps in a value. Protobuf reads 100 nested messages: three a level, and those around it."""


class UnreadableValueError(ValueError):
    """A message that says no value; nothing of ours writes one."""


class UnwritableValueError(TypeError):
    """A value that the wire cannot carry; says why."""


def value_to_proto(value: Any) -> pb.Value:
    """None is a Value without a kind. Raises UnwritableValueError, see `check_value`."""
    message = pb.Value()
    write_value(value, message)
    return message


def check_value(value: Any) -> None:
    """Raise UnwritableValueError for what JSON in UTF-8 cannot say, and what is nested deeper than MAX_DEPTH levels.

    JSON has neither bytes nor sets nor keys that are no text; UTF-8 has no lone surrogates.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            inner.extend(_parts(item))
        if not inner:
            return
        level = inner
    raise UnwritableValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _parts(value: Any) -> Iterable[Any]:
    if value is None or isinstance(value, int | float):
        return ()
    if isinstance(value, str):
        _check_text(value)
        return ()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise UnwritableValueError(f"a key must be a text, got {key!r}")
            _check_text(key)
        return value.values()
    if _is_list(value):
        return cast("Sequence[Any]", value)
    raise UnwritableValueError(f"it is no JSON value: {value!r} of type {type(value).__name__}")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnwritableValueError(f"it is no text that UTF-8 can write: {text[:40]!r}") from error


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def value_from_proto(message: pb.Value) -> Any:
    """The opposite of `value_to_proto`; lists come back as `list`, maps as `dict`. Raises UnreadableValueError."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "list_value":
        return [value_from_proto(item) for item in message.list_value.items]
    if kind == "map_value":
        return map_from_proto(message.map_value)
    if kind == "big_int_value":
        return _big_int(message.big_int_value)
    return getattr(message, kind)


def _big_int(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:
        raise UnreadableValueError(f"{digits[:40]!r} is no integer that can be read") from error


def map_to_proto(values: Mapping[str, Any]) -> pb.MapValue:
    """Raises UnwritableValueError, see `check_value`."""
    message = pb.MapValue()
    write_map(values, message)
    return message


def map_from_proto(message: pb.MapValue) -> dict[str, Any]:
    return {entry.key: value_from_proto(entry.value) for entry in message.entries}


def write_map(values: Mapping[str, Any], message: pb.MapValue) -> None:
    """Write into a message that is part of another one, which saves a copy."""
    check_value(values)
    _write_map(values, message)


def write_value(value: Any, message: pb.Value) -> None:
    """Write into a message that is part of another one. None leaves it without a kind, but present."""
    check_value(value)
    message.SetInParent()
    _write(value, message)


def _write_map(values: Mapping[str, Any], message: pb.MapValue) -> None:
    for key, value in values.items():
        _write(value, message.entries.add(key=key).value)


def _write(value: Any, message: pb.Value) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, int):
        _write_int(value, message)
    elif isinstance(value, float):
        message.double_value = value
    elif isinstance(value, Mapping):
        message.map_value.SetInParent()
        _write_map(value, message.map_value)
    else:
        message.list_value.SetInParent()
        for item in value:
            _write(item, message.list_value.items.add())


def _write_int(value: int, message: pb.Value) -> None:
    if _INT64_MIN <= value <= _INT64_MAX:
        message.int_value = int(value)
    else:
        message.big_int_value = str(value)
