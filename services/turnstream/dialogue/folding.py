"""What each event does to the state of a conversation. Pure: a state and an event give the next state."""

import logging
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SESSION_START, Domain
from turnstream.dialogue import events as ev
from turnstream.dialogue.slots import SlotClassError, SlotReader, slot_reader
from turnstream.dialogue.tracker import ActiveLoop

_LOG = logging.getLogger(__name__)


_new = tuple.__new__
"""Makes a state of all its values in a quarter of `_replace`'s time: it is done for most events of a conversation."""


class SetSlot(NamedTuple):
    """A slot that policies see as set; the counts are of states before it was set, -1 for an initial value."""

    name: str
    values: tuple[float, ...]
    since: int
    since_shown: int


class State(NamedTuple):
    """All that the past means for the next action. Never changed in place; `slots` neither."""

    slots: Mapping[str, Any]
    features: tuple[SetSlot, ...] = ()
    message: ev.UserUttered | None = None
    use_text: bool | None = None
    """Whether the message counts by its text; None while that is not decided, and both may be looked at."""
    followup: str | None = ACTION_LISTEN
    paused: bool = False
    loop: ActiveLoop | None = None
    action_name: str | None = None
    action_text: str | None = None
    rejected: str | None = None
    """The action that refused to run, until another action has run."""

    @property
    def loop_name(self) -> str | None:
        return self.loop.name if self.loop else None


class Counts(NamedTuple):
    """How many states came before: of all, and of those that are not hidden."""

    states: int = 0
    shown: int = 0


NO_STATES = Counts()


class SlotTable:
    """The slots of a domain, ready to be asked."""

    def __init__(self, domain: Domain) -> None:
        self.readers: dict[str, SlotReader] = {name: slot_reader(slot) for name, slot in domain.slots.items()}
        values = {name: slot.initial_value for name, slot in domain.slots.items()}
        seen = [SetSlot(n, self.readers[n].features(v), -1, -1) for n, v in sorted(values.items())]
        self.fingerprint: str | None = None
        """Of the slots; see `dialogue.snapshot`."""
        self.initial = State(slots=values, features=tuple(s for s in seen if any(s.values)))

    def set(self, state: State, name: str, value: Any, counts: Counts) -> State:
        """A slot that the domain does not have is left alone; one whose class fails on the value counts as unset."""
        reader = self.readers.get(name)
        if reader is None:
            return state
        value, values = _read(name, reader, value)
        slots = {**state.slots, name: value}
        features = state.features
        if reader.size:
            features = tuple(s for s in features if s.name != name)
            if any(values):
                features = tuple(sorted((*features, SetSlot(name, values, counts.states, counts.shown))))
        return state._replace(slots=slots, features=features)


def _read(name: str, reader: SlotReader, value: Any) -> tuple[Any, tuple[float, ...]]:
    try:
        value = reader.stored(value)
        return value, reader.features(value)
    except SlotClassError as error:
        # What is in the log must be read again and again: an author's mistake must not make it unreadable.
        what = type(error.__cause__ or error).__name__
        # The value is a user's words; `runtime.logs` shows it only where that is allowed.
        said = {"texts": {"value": value, "error": str(error)}}
        _LOG.warning("the class of slot '%s' failed (%s): its value counts as unset", name, what, extra=said)
        return value, ()


_TABLES: dict[int, tuple[weakref.ref[Domain], SlotTable]] = {}


def slot_table(domain: Domain) -> SlotTable:
    """The table of a domain, built once for as long as the domain lives. Raises SlotClassError."""
    key = id(domain)
    entry = _TABLES.get(key)
    if entry is None or entry[0]() is not domain:
        table = SlotTable(domain)
        _TABLES[key] = (weakref.ref(domain, lambda _: _TABLES.pop(key, None)), table)
        return table
    return entry[1]


Step = Callable[[State, Any, SlotTable, Counts], State]


def fold_event(state: State, event: ev.Event, table: SlotTable, counts: Counts) -> State:
    """The state after an event; undoing ones (rewind, undo) have no effect here, see `dialogue.applied`."""
    step = _STEPS.get(type(event))
    return step(state, event, table, counts) if step else state


def featurized_by_text(message: ev.UserUttered) -> bool | None:
    """In training a message has an intent or a text, which decides; a live one has both, and a policy decides."""
    intent = message.parse_data.intent.name
    if message.text and not intent:
        return True
    if intent and not message.text:
        return False
    return None


def _user(state: State, event: ev.UserUttered, table: SlotTable, counts: Counts) -> State:
    slots, features, _, _, _, paused, loop, action_name, action_text, rejected = state
    use_text = featurized_by_text(event)
    return _new(State, (slots, features, event, use_text, None, paused, loop, action_name, action_text, rejected))


def _featurized(state: State, event: ev.UserFeaturized, table: SlotTable, counts: Counts) -> State:
    slots, features, message, _, followup, paused, loop, action_name, action_text, rejected = state
    use_text = event.use_text_for_featurization
    return _new(State, (slots, features, message, use_text, followup, paused, loop, action_name, action_text, rejected))


def _entities(state: State, event: ev.EntitiesAdded, table: SlotTable, counts: Counts) -> State:
    if state.message is None:
        return state
    parse = state.message.parse_data
    added = tuple(e for e in event.entities if e not in parse.entities)
    parse = replace(parse, entities=parse.entities + added)
    return state._replace(message=replace(state.message, parse_data=parse))


def _action(state: State, event: ev.ActionExecuted, table: SlotTable, counts: Counts) -> State:
    loop = state.loop
    if loop is not None:
        rejected = loop.rejected and event.name != loop.name
        if loop.is_interrupted or rejected != loop.rejected:
            loop = replace(loop, is_interrupted=False, rejected=rejected)
    text = None if event.name else event.action_text
    slots, features, message, use_text, _, paused, _, _, _, _ = state
    return _new(State, (slots, features, message, use_text, None, paused, loop, event.name or None, text, None))


def _slot(state: State, event: ev.SlotSet, table: SlotTable, counts: Counts) -> State:
    return table.set(state, event.name, event.value, counts)


def _reset_slots(state: State, event: ev.AllSlotsReset, table: SlotTable, counts: Counts) -> State:
    return state._replace(slots=table.initial.slots, features=table.initial.features)


def _restart(state: State, event: ev.Restarted, table: SlotTable, counts: Counts) -> State:
    return table.initial._replace(followup=ACTION_SESSION_START)


def _begin(state: State, event: ev.Event, table: SlotTable, counts: Counts) -> State:
    return table.initial


def _loop(state: State, event: ev.ActiveLoopChanged, table: SlotTable, counts: Counts) -> State:
    if event.name is None:
        return state._replace(loop=None)
    trigger = state.message.parse_data if state.message else None
    return state._replace(loop=ActiveLoop(event.name, trigger_message=trigger))


def _interrupted(state: State, event: ev.LoopInterrupted, table: SlotTable, counts: Counts) -> State:
    if state.loop is None:
        return state
    return state._replace(loop=replace(state.loop, is_interrupted=event.is_interrupted))


def _rejected(state: State, event: ev.ActionExecutionRejected, table: SlotTable, counts: Counts) -> State:
    if state.loop is None or state.loop.name != event.name:
        return state._replace(rejected=event.name)
    return state._replace(loop=replace(state.loop, rejected=True), rejected=event.name)


def _followup(state: State, event: ev.FollowupActionSet, table: SlotTable, counts: Counts) -> State:
    return state._replace(followup=event.name)


def _pause(state: State, event: ev.ConversationPaused, table: SlotTable, counts: Counts) -> State:
    return state._replace(paused=True)


def _resume(state: State, event: ev.ConversationResumed, table: SlotTable, counts: Counts) -> State:
    return state._replace(paused=False)


def _routing_ended(state: State, event: ev.RoutingSessionEnded, table: SlotTable, counts: Counts) -> State:
    kept = tuple(s._replace(since=min(s.since, 0), since_shown=min(s.since_shown, 0)) for s in state.features)
    return state._replace(features=kept, message=None, use_text=None, action_name=None, action_text=None)


_STEPS: Mapping[type[ev.Event], Step] = {
    ev.UserUttered: _user,
    ev.UserFeaturized: _featurized,
    ev.EntitiesAdded: _entities,
    ev.ActionExecuted: _action,
    ev.SlotSet: _slot,
    ev.AllSlotsReset: _reset_slots,
    ev.Restarted: _restart,
    ev.SessionStarted: _begin,
    ev.ConversationErased: _begin,
    ev.ActiveLoopChanged: _loop,
    ev.LoopInterrupted: _interrupted,
    ev.ActionExecutionRejected: _rejected,
    ev.FollowupActionSet: _followup,
    ev.ConversationPaused: _pause,
    ev.ConversationResumed: _resume,
    ev.RoutingSessionEnded: _routing_ended,
}
