"""JSON values as google.protobuf.Struct, which action servers speak over gRPC."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from json import loads
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

MAX_REMEMBERED_CHARACTERS = 8 * 1024
"""Longer objects are read each time, so that little memory is used."""

MAX_EXACT = 2**53
"""Integers up to here are the same as floats."""


def to_struct(value: Mapping[str, Any]) -> Struct:
    message = Struct()
    message.update(dict(value))
    return message


def encoded_json(text: str) -> bytes:
    """The Struct of a JSON object, encoded once though it is sent again and again."""
    return _encoded(text) if len(text) > MAX_REMEMBERED_CHARACTERS else _remembered(text)


def _encoded(text: str) -> bytes:
    return to_struct(loads(text)).SerializeToString()


_remembered = lru_cache(maxsize=16_384)(_encoded)


def from_struct(message: Struct) -> dict[str, Any]:
    return {key: _plain(value) for key, value in message.fields.items()}


def from_structs(messages: Iterable[Struct]) -> list[dict[str, Any]]:
    return [from_struct(message) for message in messages]


def _plain(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "number_value":
            return _number(value.number_value)
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return from_struct(value.struct_value)
        case "list_value":
            return [_plain(item) for item in value.list_value.values]
        case _:
            return None


def _number(number: float) -> int | float:
    """A Struct has floats only: what looks like an integer was one nearly always, and `3.0 nights` reads badly."""
    return int(number) if number.is_integer() and abs(number) <= MAX_EXACT else number
