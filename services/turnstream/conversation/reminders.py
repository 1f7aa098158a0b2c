"""The reminders of a conversation that are still to fire: its agenda, which every turn brings up to date.

The events mean what they do in Rasa (docs: Reaching out to the user); `docs/conversations.md` has the rules.
"""

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from google.protobuf.message import DecodeError

from turnstream.api.v1.events_pb2 import Event, ReminderCancelled, ReminderScheduled
from turnstream.api.v1.turnlog_pb2 import Agenda as AgendaRecord
from turnstream.api.v1.turnlog_pb2 import InboxMessage, PendingReminder, TurnRecord
from turnstream.dialogue import events as ev
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.moments import moment_of
from turnstream.dialogue.proto import timestamp_from_proto, timestamp_to_proto

logger = logging.getLogger(__name__)

AGENDA_FORMAT_VERSION = 1

Agenda = tuple[PendingReminder, ...]
"""In the order in which they were scheduled; the messages are never changed."""

_TAKING_BACK = frozenset({"user_utterance_reverted", "action_reverted"})

_LEAST_PAUSE_S = 1.0
"""Between a reminder and one that it sets in its turn: clocks that differ must not make it run in circles."""


def agenda_after(
    agenda: Agenda, message: InboxMessage, record: TurnRecord, taken_back: Collection[float] = ()
) -> Agenda:
    """What is still to fire after the turn that answers a message; `taken_back` as of `reminders_taken_back`."""
    left = {reminder.message_id: reminder for reminder in agenda if reminder.message_id != message.message_id}
    has_effects = _has_effects(message)
    for number, event in enumerate(record.events):
        body = event.WhichOneof("body")
        if body in ("conversation_erased", "restarted"):
            left.clear()
        elif body == "user_uttered" and _user_wrote(event):
            left = {i: pending for i, pending in left.items() if not pending.reminder.kill_on_user_message}
        elif body == "reminder_scheduled" and has_effects:
            scheduled = event.reminder_scheduled
            name = scheduled.name
            left = {i: pending for i, pending in left.items() if not name or pending.reminder.name != name}
            left.update((new.message_id, new) for new in _pending(event, number, message, record))
        elif body == "reminder_cancelled" and has_effects:
            cancelled = event.reminder_cancelled
            left = {i: pending for i, pending in left.items() if not _cancels(cancelled, pending.reminder)}
    return tuple(p for p in left.values() if timestamp_from_proto(p.scheduled_at) not in taken_back)


def reminders_taken_back(before: Dialogue, after: Dialogue, record: TurnRecord) -> frozenset[float]:
    """The times of the events that set reminders and were taken back in this turn, by a rewind or an undo."""
    bodies = {event.WhichOneof("body") for event in record.events}
    if bodies.isdisjoint(_TAKING_BACK):
        return frozenset()
    known = {timestamp_from_proto(event.timestamp) for event in record.events if event.HasField("reminder_scheduled")}
    # A session hides what was before it, and takes nothing of it back.
    if "session_started" not in bodies:
        known |= _applied_reminders(before)
    return frozenset(known - _applied_reminders(after)) if known else frozenset()


def _applied_reminders(dialogue: Dialogue) -> set[float]:
    found: set[float] = set()
    with suppress(EarlierEventsNeeded):
        found.update(e.timestamp for e in dialogue.latest_applied() if isinstance(e, ev.ReminderScheduled))
    return found


def is_over(agenda: Agenda, message: InboxMessage) -> bool:
    """Whether a message is a reminder that is not wanted any more when its turn comes."""
    if not message.HasField("due_reminder"):
        return False
    return all(reminder.message_id != message.message_id for reminder in agenda)


def due_s(reminder: PendingReminder) -> float:
    """In seconds since the epoch."""
    return timestamp_from_proto(reminder.due_at)


def inbox_message(reminder: PendingReminder, conversation_id: str, now_s: float, bundle_version: str) -> InboxMessage:
    """What a reminder becomes when it is due: the same message, whoever sends it and however often."""
    message = InboxMessage(
        conversation_id=conversation_id,
        message_id=reminder.message_id,
        accepted_at=timestamp_to_proto(now_s),
        channel=reminder.channel,
        bundle_version=bundle_version,
    )
    message.due_reminder.reminder.CopyFrom(reminder.reminder)
    return message


def encode_agenda(agenda: Agenda) -> bytes:
    """Empty where there is nothing on it."""
    if not agenda:
        return b""
    return AgendaRecord(format_version=AGENDA_FORMAT_VERSION, reminders=agenda).SerializeToString(deterministic=True)


def decode_agenda(data: bytes, conversation_id: str) -> Agenda:
    """One that this version cannot read is reported and left out, so that the conversation goes on."""
    if not data:
        return ()
    record = AgendaRecord()
    try:
        record.ParseFromString(data)
    except DecodeError as error:
        logger.error("the reminders of conversation '%s' are damaged: %s", conversation_id, error)
        return ()
    if record.format_version != AGENDA_FORMAT_VERSION:
        version = record.format_version
        logger.error("the reminders of conversation '%s' are of format version %d", conversation_id, version)
        return ()
    return tuple(record.reminders)


def decode_agendas(found: Mapping[str, bytes]) -> Iterator[tuple[str, Agenda]]:
    """By conversation, those left out that cannot be read."""
    for conversation_id, data in found.items():
        if agenda := decode_agenda(data, conversation_id):
            yield conversation_id, agenda


def _has_effects(message: InboxMessage) -> bool:
    """Appended events are history, which sets and cancels nothing, unless the client wanted their effects."""
    return not message.HasField("events_to_append") or message.events_to_append.has_effects


def _user_wrote(event: Event) -> bool:
    """An intent from outside, or another reminder, is no message of the user."""
    is_external = any(entry.key == "is_external" and entry.value.bool_value for entry in event.metadata.entries)
    return bool(event.user_uttered.text) and not is_external


def _cancels(event: ReminderCancelled, reminder: ReminderScheduled) -> bool:
    """All that the event names must match; what it leaves out, or gives empty, matches everything."""
    return (
        event.name in ("", reminder.name)
        and event.intent in ("", reminder.intent)
        and (_is_empty(event) or event.entities == reminder.entities)
    )


def _is_empty(event: ReminderCancelled) -> bool:
    match event.entities.WhichOneof("kind"):
        case None:
            return True
        case "list_value":
            return not event.entities.list_value.items
        case "map_value":
            return not event.entities.map_value.entries
        case _:
            return False


def _pending(event: Event, number: int, message: InboxMessage, record: TurnRecord) -> Iterator[PendingReminder]:
    """Nothing where the time cannot be read: whoever took the event has said so."""
    scheduled = event.reminder_scheduled
    moment_s = moment_of(scheduled.trigger_date_time)
    if moment_s is None:
        logger.error("a reminder of '%s' has no time: '%s'", record.conversation_id, scheduled.trigger_date_time)
        return
    if message.HasField("due_reminder"):
        moment_s = max(moment_s, timestamp_from_proto(record.committed_at) + _LEAST_PAUSE_S)
    digest = hashlib.sha256(f"{message.message_id}\n{number}".encode()).hexdigest()[:32]
    yield PendingReminder(
        message_id=f"reminder-{digest}",
        due_at=timestamp_to_proto(max(0.0, moment_s)),
        channel=record.channel,
        reminder=scheduled,
        scheduled_at=event.timestamp,
    )
