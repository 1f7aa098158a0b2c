"""A conversation's live state as bytes (`turnstream.api.v1.DialogueSnapshot`), from which it goes on as it would have.

A snapshot is as large as the slots, the latest turns' events and the domain make it, however long the conversation is.
It is exact, or not used: a snapshot of another format, or folded with other slots, is refused (SnapshotRefused), and
the log gives the state.
"""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError

from turnstream.api.v1 import snapshot_pb2 as pb
from turnstream.api.v1 import tracker_pb2
from turnstream.assistant.domain import SLOT_TYPES, Domain, Slot
from turnstream.dialogue.applied import Node, Previous, Turns
from turnstream.dialogue.cutting import DEFAULT_REACH, Chain, Reach, first_node, lengthened, shortened
from turnstream.dialogue.encoding import encoded_event, encoded_events
from turnstream.dialogue.events import SlotSet, UserUttered
from turnstream.dialogue.fold import Dialogue, DialogueParts
from turnstream.dialogue.folding import Counts, SetSlot, SlotTable, State, slot_table
from turnstream.dialogue.proto import parse_from_proto, parse_to_proto
from turnstream.dialogue.proto_late import event_read_late
from turnstream.dialogue.slot_classes import load_class
from turnstream.dialogue.tracker import ActiveLoop
from turnstream.dialogue.values import UnreadableValueError, value_from_proto, value_to_proto

FORMAT_VERSION = 1
_APPLIED = pb.DialogueSnapshot.APPLIED_FIELD_NUMBER


class SnapshotRefused(Exception):
    """The snapshot is of another format, damaged, or was folded with other slots."""


def snapshot_of(
    dialogue: Dialogue, window: int | None, last_session_start: int = 0, reach: Reach = DEFAULT_REACH
) -> bytes | None:
    """The state of a conversation whose policies look at `window` states (None: all).

    None where it cannot be told in few bytes. Raises UnwritableValueError for a slot's value that JSON cannot say.
    """
    parts = dialogue.parts
    chain = None if window is None else shortened(parts.top, window, parts.loops, reach)
    if chain is None:
        return None
    table = slot_table(dialogue.domain)
    message = pb.DialogueSnapshot(
        format_version=FORMAT_VERSION,
        fingerprint=fold_fingerprint(dialogue.domain),
        event_count=parts.event_count,
        session_start=parts.session_from,
        restart_end=parts.restart_from,
        last_session_start=last_session_start,
        loops=sorted(parts.loops),
        channel=parts.channel,
        latest_event_time=parts.latest_time,
    )
    _write_base(chain.base, table, message.base)
    if parts.state is not parts.top.state:
        _write_state(parts.state, table, message.state)
    return message.SerializeToString() + encoded_events(_APPLIED, chain.events)


def restored(data: bytes, conversation_id: str, domain: Domain) -> tuple[Dialogue, int]:
    """The conversation, of which no event is kept, and the `last_session_start` of `snapshot_of`.

    Raises SnapshotRefused.
    """
    message = pb.DialogueSnapshot()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise SnapshotRefused(f"damaged: {error}") from error
    if message.format_version != FORMAT_VERSION:
        raise SnapshotRefused(f"format version {message.format_version}; this version reads {FORMAT_VERSION}")
    if message.fingerprint != fold_fingerprint(domain):
        raise SnapshotRefused("it was folded with other slots than the assistant has now")
    try:
        return _read(message, conversation_id, domain), message.last_session_start
    except UnreadableValueError as error:
        raise SnapshotRefused(f"damaged: {error}") from error


def _read(message: pb.DialogueSnapshot, conversation_id: str, domain: Domain) -> Dialogue:
    table = slot_table(domain)
    events = tuple(event_read_late(event) for event in message.applied)
    top = lengthened(Chain(_base(message.base, table), events), table)
    parts = DialogueParts(
        event_count=message.event_count,
        session_from=message.session_start,
        restart_from=message.restart_end,
        loops=frozenset(message.loops),
        channel=_optional(message, "channel"),
        latest_time=_optional(message, "latest_event_time"),
        state=_state(message.state, table) if message.HasField("state") else top.state,
        top=top,
    )
    return Dialogue.from_parts(conversation_id, domain, parts, ())


def trimmed(dialogue: Dialogue, window: int | None, most_events: int, reach: Reach = DEFAULT_REACH) -> Dialogue:
    """The conversation without what a snapshot would not hold either, but with its latest events."""
    parts = dialogue.parts
    chain = None if window is None else shortened(parts.top, window, parts.loops, reach)
    if chain is None:
        return dialogue
    top = lengthened(chain, slot_table(dialogue.domain))
    state = top.state if parts.state is parts.top.state else parts.state
    kept = parts._replace(top=top, state=state)
    return Dialogue.from_parts(dialogue.conversation_id, dialogue.domain, kept, dialogue.held_events(most_events))


def fold_fingerprint(domain: Domain) -> str:
    """Equal for domains with which the same events fold to the same state."""
    table = slot_table(domain)
    if table.fingerprint is None:
        told = repr([_described(slot) for slot in domain.slots.values()])
        table.fingerprint = hashlib.sha256(told.encode()).hexdigest()[:32]
    return table.fingerprint


def _described(slot: Slot) -> tuple[Any, ...]:
    options = sorted(slot.options.items())
    code = "" if slot.type in SLOT_TYPES else _source(slot.type)
    values = (slot.initial_value, slot.values, slot.min_value, slot.max_value, options)
    return (slot.name, slot.type, slot.influence_conversation, *values, code)


def _source(path: str) -> str:
    """What an author's class does with a value can change without its name."""
    try:
        return inspect.getsource(load_class(path))
    except (OSError, TypeError):
        return ""


def _write_base(node: Node, table: SlotTable, message: pb.FoldBase) -> None:
    turns = node.turns
    _write_state(node.state, table, message.state)
    message.is_cut = node.is_cut
    message.states, message.shown_states = turns.counts
    message.hidden = turns.hidden
    _write_optional(message, shown_action=turns.shown_action.name, shown_action_text=turns.shown_action.text)
    message.open_loops.extend(sorted(turns.open_loops))
    if turns.shown_user is not None:
        message.shown_message.SetInParent()
        _write_message(turns.shown_user, message.shown_message)
    message.settings.extend(_slot_value(s.name, s.value) for s in node.earlier_settings or ())


def _base(message: pb.FoldBase, table: SlotTable) -> Node:
    shown_user = None
    if message.HasField("shown_message"):
        shown_user = _with_message(State(slots={}), message.shown_message)
    turns = Turns(
        counts=Counts(message.states, message.shown_states),
        hidden=message.hidden,
        shown_action=Previous(_optional(message, "shown_action"), _optional(message, "shown_action_text")),
        open_loops=frozenset(message.open_loops),
        shown_user=shown_user,
    )
    node = Node(None, None, _state(message.state, table), turns)
    if message.is_cut:
        first_node(node, (SlotSet(name=s.name, value=value_from_proto(s.value)) for s in message.settings))
    return node


def _write_state(state: State, table: SlotTable, message: pb.FoldState) -> None:
    message.slots.extend(_changed(state.slots, table.initial.slots))
    for f in state.features:
        message.features.add(name=f.name, values=f.values, since=f.since, since_shown=f.since_shown)
    _write_message(state, message.message)
    message.paused = state.paused
    if state.loop is not None:
        _write_loop(state.loop, message.loop)
    _write_optional(
        message,
        followup_action=state.followup,
        action=state.action_name,
        action_text=state.action_text,
        rejected_action=state.rejected,
    )


def _state(message: pb.FoldState, table: SlotTable) -> State:
    state = State(
        slots={**table.initial.slots, **{slot.name: value_from_proto(slot.value) for slot in message.slots}},
        features=tuple(SetSlot(f.name, tuple(f.values), f.since, f.since_shown) for f in message.features),
        followup=_optional(message, "followup_action"),
        paused=message.paused,
        loop=_loop(message.loop) if message.HasField("loop") else None,
        action_name=_optional(message, "action"),
        action_text=_optional(message, "action_text"),
        rejected=_optional(message, "rejected_action"),
    )
    return _with_message(state, message.message)


def _changed(slots: Mapping[str, Any], initial: Mapping[str, Any]) -> list[tracker_pb2.SlotValue]:
    # By identity: 1, 1.0 and True are equal, and not the same.
    return [_slot_value(name, value) for name, value in slots.items() if value is not initial[name]]


def _slot_value(name: str, value: Any) -> tracker_pb2.SlotValue:
    return tracker_pb2.SlotValue(name=name, value=value_to_proto(value))


def _write_message(state: State, message: pb.FoldMessage) -> None:
    if state.message is not None:
        message.event.MergeFromString(encoded_event(state.message))
    if state.use_text is not None:
        message.use_text = state.use_text


def _with_message(state: State, message: pb.FoldMessage) -> State:
    event = event_read_late(message.event) if message.HasField("event") else None
    if event is not None and not isinstance(event, UserUttered):
        raise SnapshotRefused(f"damaged: a message that is {event.type_name}")
    return state._replace(message=event, use_text=_optional(message, "use_text"))


def _write_loop(loop: ActiveLoop, message: tracker_pb2.ActiveLoop) -> None:
    message.name = loop.name
    message.is_interrupted = loop.is_interrupted
    message.rejected = loop.rejected
    if loop.trigger_message is not None:
        message.trigger_message.CopyFrom(parse_to_proto(loop.trigger_message))


def _loop(message: tracker_pb2.ActiveLoop) -> ActiveLoop:
    trigger = parse_from_proto(message.trigger_message) if message.HasField("trigger_message") else None
    return ActiveLoop(message.name, message.is_interrupted, message.rejected, trigger)


def _write_optional(message: Any, **values: Any) -> None:
    for name, value in values.items():
        if value is not None:
            setattr(message, name, value)


def _optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None
