"""Reading events of a log fast: what the fold needs at once, the rest when somebody asks for it.

An event read here keeps the message that it was read from and leaves fields without a value; asking for such a field
reads all of them (`dialogue.events`). Nobody but the clock can tell: equality, copies and replacements are those of any
event. With the message it keeps the memory of the whole record: it is for readers that let their events go soon.
"""

from collections.abc import Callable, Mapping
from typing import Any

from turnstream.api.v1 import events_pb2 as pb
from turnstream.dialogue import events as ev
from turnstream.dialogue.proto import event_from_proto
from turnstream.dialogue.values import value_from_proto

Reader = Callable[[Any, pb.Event], ev.Event]
Setter = Callable[[Any, Any], None]

_NANOS = 1_000_000_000


def _setter(kind: type, field: str) -> Setter:
    """Sets a field of a frozen object that is being made; a slot's descriptor is the fastest way to."""
    setter: Setter = vars(kind)[field].__set__
    return setter


_new = object.__new__
_set_source = _setter(ev.Late, "source")
_set_timestamp = _setter(ev.Event, "timestamp")
_set_user_text = _setter(ev.UserUttered, "text")
_set_user_channel = _setter(ev.UserUttered, "input_channel")
_set_user_parse = _setter(ev.UserUttered, "parse_data")
_set_intent = _setter(ev.ParseData, "intent")
_set_action_name = _setter(ev.ActionExecuted, "name")
_set_action_hides = _setter(ev.ActionExecuted, "hide_rule_turn")
_set_by_text = _setter(ev.UserFeaturized, "use_text_for_featurization")
_set_loop_name = _setter(ev.ActiveLoopChanged, "name")
_set_slot_value = _setter(ev.SlotSet, "value")
_set_slot_name = _setter(ev.SlotSet, "name")


def event_read_late(message: pb.Event) -> ev.Event:
    """The same event as `event_from_proto` gives. The message must not be changed afterwards."""
    body = message.WhichOneof("body")
    reader = _READERS.get(body)  # type: ignore[arg-type]
    if reader is None:
        return event_from_proto(message)
    event = reader(getattr(message, body), message)  # type: ignore[arg-type]
    at = message.timestamp
    _set_timestamp(event, at.seconds + at.nanos / _NANOS)
    _set_source(event, message)
    return event


def _user(body: pb.UserUttered, message: pb.Event) -> ev.UserUttered:
    event = _new(ev.UserUttered)
    _set_user_text(event, body.text or (body.text if body.HasField("text") else None))
    _set_user_channel(event, body.input_channel or (body.input_channel if body.HasField("input_channel") else None))
    parse = _new(ev.ParseData)
    intent = body.parse_data.intent
    name, confidence = intent.name or None, intent.confidence
    if not (name and confidence):
        name = intent.name if intent.HasField("name") else None
        _set_intent(parse, ev.IntentScore(name, confidence if intent.HasField("confidence") else None))
    else:
        _set_intent(parse, ev.IntentScore(name, confidence))
    _set_source(parse, message)
    _set_user_parse(event, parse)
    return event


def _bot(body: pb.BotUttered, message: pb.Event) -> ev.BotUttered:
    return _new(ev.BotUttered)


def _action(body: pb.ActionExecuted, message: pb.Event) -> ev.ActionExecuted:
    event = _new(ev.ActionExecuted)
    _set_action_name(event, body.name or (body.name if body.HasField("name") else None))
    _set_action_hides(event, body.hide_rule_turn)
    return event


def _slot(body: pb.SlotSet, message: pb.Event) -> ev.SlotSet:
    event = _new(ev.SlotSet)
    _set_slot_name(event, body.name)
    _set_slot_value(event, value_from_proto(body.value))
    return event


def _featurized(body: pb.UserFeaturized, message: pb.Event) -> ev.UserFeaturized:
    event = _new(ev.UserFeaturized)
    is_said = body.HasField("use_text_for_featurization")
    _set_by_text(event, body.use_text_for_featurization if is_said else None)
    return event


def _loop(body: pb.ActiveLoopChanged, message: pb.Event) -> ev.ActiveLoopChanged:
    event = _new(ev.ActiveLoopChanged)
    _set_loop_name(event, body.name or (body.name if body.HasField("name") else None))
    return event


def _started(body: pb.SessionStarted, message: pb.Event) -> ev.SessionStarted:
    return _new(ev.SessionStarted)


_READERS: Mapping[str, Reader] = {
    "user_uttered": _user,
    "bot_uttered": _bot,
    "action_executed": _action,
    "slot_set": _slot,
    "user_featurized": _featurized,
    "active_loop_changed": _loop,
    "session_started": _started,
}
"""The events that conversations are made of; others are read whole."""
