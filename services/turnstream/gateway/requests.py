"""What clients ask for, checked and made into messages of the inbox. Everything that is refused, is refused here."""

import math
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from turnstream.api.v1 import turnlog_pb2 as log_pb
from turnstream.api.v1.events_pb2 import Entity, Event, ParseData
from turnstream.api.v1.values_pb2 import MapValue, Value
from turnstream.dialogue.values import UnreadableValueError, map_to_proto, value_from_proto
from turnstream.runtime.errors import InvalidRequest

MAX_ID_CHARACTERS = 512
MAX_NESTING = 24
"""Of lists and maps in each other."""
MAX_DEPTH = 80
"""Of protobuf messages in each other; a map takes three. Protobuf reads no more than 100, and what is stored here comes
back inside further messages."""


def required(value: str, field: str) -> str:
    if not value:
        raise InvalidRequest(f"{field} is missing")
    return value


def identifier(value: str, field: str) -> str:
    """An id or a name of reasonable length, without control characters."""
    required(value, field)
    if len(value) > MAX_ID_CHARACTERS:
        raise InvalidRequest(f"{field} has {len(value)} characters; {MAX_ID_CHARACTERS} is the most")
    if not value.isprintable():
        raise InvalidRequest(f"{field} must not contain control characters")
    return value


def text_within(value: str, field: str, max_bytes: int) -> str:
    """Valid Unicode of at most `max_bytes` in UTF-8."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{field} is not valid Unicode: {error.reason} at character {error.start}") from error
    if size > max_bytes:
        raise InvalidRequest(f"{field} has {size} bytes; {max_bytes} is the most")
    return value


def map_within(values: Any, field: str, max_bytes: int) -> MapValue:
    """A JSON object as a message. Raises InvalidRequest for anything else, and for what is too large or too deep."""
    if not isinstance(values, dict):
        raise InvalidRequest(f"{field} must be an object")
    check_nesting(values, field)
    try:
        message = map_to_proto(values)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{field}: {error}") from error
    size_within(message, field, max_bytes)
    return message


def check_nesting(value: Any, field: str, depth: int = 0) -> None:
    """Raises InvalidRequest for more than `MAX_NESTING` lists and maps in each other."""
    if depth > MAX_NESTING:
        raise InvalidRequest(f"{field} is nested more than {MAX_NESTING} deep")
    if isinstance(value, dict):
        for item in value.values():
            check_nesting(item, field, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_nesting(item, field, depth + 1)


def size_within(message: Message, field: str, max_bytes: int) -> None:
    if message.ByteSize() > max_bytes:
        raise InvalidRequest(f"{field} has {message.ByteSize()} bytes; {max_bytes} is the most")


def inbox_message(conversation_id: str, message_id: str, channel: str) -> log_pb.InboxMessage:
    """Without its request, its time and its trace. Raises InvalidRequest."""
    identifier(conversation_id, "conversation_id")
    identifier(message_id, "message_id")
    identifier(channel, "channel")
    try:
        return log_pb.InboxMessage(
            format_version=1,
            conversation_id=conversation_id,
            message_id=message_id,
            channel=channel,
        )
    except (UnicodeEncodeError, ValueError) as error:
        raise InvalidRequest(f"an id is not valid Unicode: {error}") from error


def user_message(text: str, metadata: MapValue | None, max_bytes: int) -> log_pb.UserMessage:
    text_within(text, "text", max_bytes)
    if metadata is not None:
        size_within(metadata, "metadata", max_bytes)
    return log_pb.UserMessage(text=text, metadata=metadata)


def message_to_add(
    text: str, parse_data: ParseData | None, metadata: MapValue | None, max_bytes: int
) -> log_pb.MessageToAdd:
    text_within(required(text, "text"), "text", max_bytes)
    for field, part in (("parse_data", parse_data), ("metadata", metadata)):
        if part is not None:
            size_within(part, field, max_bytes)
    return log_pb.MessageToAdd(text=text, parse_data=parse_data, metadata=metadata)


def intent_trigger(
    intent: str, entities: MapValue | None, max_bytes: int, full_entities: Sequence[Entity] = ()
) -> log_pb.IntentTrigger:
    for entity in full_entities:
        required(entity.entity, "full_entities.entity")
    trigger = log_pb.IntentTrigger(intent=identifier(intent, "intent"), entities=entities, full_entities=full_entities)
    size_within(trigger, "entities", max_bytes)
    return trigger


def events_to_append(events: Sequence[Event], max_bytes: int) -> log_pb.EventsToAppend:
    if not events:
        raise InvalidRequest("events is missing")
    for index, event in enumerate(events):
        if event.WhichOneof("body") is None:
            raise InvalidRequest(f"events[{index}] has no body: set one of its event types")
    message = log_pb.EventsToAppend(events=events)
    size_within(message, "events", max_bytes)
    return message


def action_to_execute(action: str, policy: str | None, confidence: float | None) -> log_pb.ActionToExecute:
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        raise InvalidRequest(f"confidence must be between 0 and 1, not {confidence}")
    return log_pb.ActionToExecute(action=identifier(action, "action"), policy=policy, confidence=confidence)


def erasure(reason: str, max_bytes: int) -> log_pb.Erasure:
    return log_pb.Erasure(reason=text_within(reason, "reason", max_bytes))


def check_depth(message: Message, depth: int = 1) -> None:
    """What is accepted must be readable for all who handle it later. Raises InvalidRequest."""
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"the request is nested too deep: more than {MAX_DEPTH} messages in each other")
    if isinstance(message, Value) and message.HasField("big_int_value"):
        _check_value(message)
    for field, value in message.ListFields():
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidRequest(f"{field.name} is {value}, which is no JSON number")
        if isinstance(value, Message):
            check_depth(value, depth + 1)
        elif isinstance(value, str | bytes | int | float):
            continue
        else:
            for item in value.values() if hasattr(value, "values") else value:
                if not isinstance(item, Message):
                    break
                check_depth(item, depth + 1)


def _check_value(value: Value) -> None:
    try:
        value_from_proto(value)
    except UnreadableValueError as error:
        raise InvalidRequest(str(error)) from error
