"""Reading each type of event from Rasa's JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from turnstream.dialogue import events as ev
from turnstream.dialogue.fields import EventError, Fields
from turnstream.dialogue.moments import moment_of
from turnstream.dialogue.parse_json import entity_from_fields, parse_from_rasa

__all__ = ["READERS", "EventError", "Fields", "unknown_event"]

Reader = Callable[[Fields], ev.Event]


def _base(fields: Fields) -> dict[str, Any]:
    return {"timestamp": fields.timestamp(), "metadata": fields.mapping("metadata")}


def _user(fields: Fields) -> ev.UserUttered:
    text = fields.optional_text("text")
    parse = fields.mapping("parse_data")
    if not parse:
        # Older clients put what was understood beside the text.
        parse = {k: fields.data[k] for k in ("intent", "entities") if k in fields.data}
    return ev.UserUttered(
        **_base(fields),
        text=text,
        parse_data=parse_from_rasa(parse, text=text),
        input_channel=fields.optional_text("input_channel"),
        message_id=fields.optional_text("message_id"),
    )


def _bot(fields: Fields) -> ev.BotUttered:
    return ev.BotUttered(**_base(fields), text=fields.optional_text("text"), data=fields.mapping("data"))


def _agent(fields: Fields) -> ev.AgentUttered:
    return ev.AgentUttered(**_base(fields), text=fields.optional_text("text"), data=fields.mapping("data"))


def _action(fields: Fields) -> ev.ActionExecuted:
    name = fields.optional_text("name")
    text = fields.optional_text("action_text")
    if not name and not text:
        raise fields.error("name", "a text")
    return ev.ActionExecuted(
        **_base(fields),
        name=name,
        policy=fields.optional_text("policy"),
        confidence=fields.optional_number("confidence"),
        action_text=text,
        hide_rule_turn=fields.flag("hide_rule_turn", default=False),
    )


def _slot(fields: Fields) -> ev.SlotSet:
    return ev.SlotSet(**_base(fields), name=fields.text("name"), value=fields.required("value"))


def _entities(fields: Fields) -> ev.EntitiesAdded:
    return ev.EntitiesAdded(**_base(fields), entities=tuple(entity_from_fields(e) for e in fields.children("entities")))


def _featurized(fields: Fields) -> ev.UserFeaturized:
    key = "use_text_for_featurization"
    value = None if fields.data.get(key) is None else fields.flag(key, default=False)
    return ev.UserFeaturized(**_base(fields), use_text_for_featurization=value)


def _loop(fields: Fields) -> ev.ActiveLoopChanged:
    if "name" not in fields.data:
        raise fields.error("name", "a text, or null to end the loop")
    return ev.ActiveLoopChanged(**_base(fields), name=fields.optional_text("name") or None)


def _interrupted(fields: Fields) -> ev.LoopInterrupted:
    return ev.LoopInterrupted(**_base(fields), is_interrupted=fields.flag("is_interrupted", default=False))


def _form_validation(fields: Fields) -> ev.LoopInterrupted:
    return ev.LoopInterrupted(**_base(fields), is_interrupted=not fields.flag("validate", default=True))


def _rejected(fields: Fields) -> ev.ActionExecutionRejected:
    return ev.ActionExecutionRejected(
        **_base(fields),
        name=fields.text("name"),
        policy=fields.optional_text("policy"),
        confidence=fields.optional_number("confidence"),
    )


def _followup(fields: Fields) -> ev.FollowupActionSet:
    if "name" not in fields.data:
        raise fields.error("name", "a text")
    return ev.FollowupActionSet(**_base(fields), name=fields.optional_text("name"))


def _reminder(fields: Fields) -> ev.ReminderScheduled:
    if moment_of(fields.text("date_time")) is None:
        raise fields.error("date_time", "a date and time in ISO 8601, such as 2030-01-31T09:00:00+01:00")
    return ev.ReminderScheduled(
        **_base(fields),
        intent=fields.text("intent"),
        trigger_date_time=fields.text("date_time"),
        entities=fields.data.get("entities"),
        name=fields.optional_text("name") or "",
        kill_on_user_msg=fields.flag("kill_on_user_msg", default=True),
    )


def _cancelled(fields: Fields) -> ev.ReminderCancelled:
    return ev.ReminderCancelled(
        **_base(fields),
        name=fields.optional_text("name"),
        intent=fields.optional_text("intent"),
        entities=fields.data.get("entities"),
    )


def _plain(event_type: type[ev.Event]) -> Reader:
    return lambda fields: event_type(**_base(fields))


def unknown_event(name: str, fields: Fields) -> ev.UnknownEvent:
    rest = {k: v for k, v in fields.data.items() if k not in ("event", "timestamp", "metadata")}
    return ev.UnknownEvent(**_base(fields), original_type=name, fields=rest)


_SPECIAL: Mapping[str, Reader] = {
    "user": _user,
    "bot": _bot,
    "agent": _agent,
    "action": _action,
    "slot": _slot,
    "entities": _entities,
    "user_featurization": _featurized,
    "active_loop": _loop,
    "loop_interrupted": _interrupted,
    "action_execution_rejected": _rejected,
    "followup": _followup,
    "reminder": _reminder,
    "cancel_reminder": _cancelled,
    # The names of Rasa 1, which 3.6 still reads.
    "form": _loop,
    "form_validation": _form_validation,
}

READERS: Mapping[str, Reader] = {
    **{name: _plain(event_type) for name, event_type in ev.EVENT_TYPES.items() if name not in _SPECIAL},
    **_SPECIAL,
}
