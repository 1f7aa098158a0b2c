"""What operators see of the conversation service."""

from collections.abc import Collection

from prometheus_client import Counter, Gauge, Histogram

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)

TURNS = Counter(
    "turnstream_conversation_turns_total",
    "Committed turns by outcome: answered, failed (an error is on the turn), too_large, gave_up.",
    ("outcome",),
)
TURN_SECONDS = Histogram(
    "turnstream_conversation_turn_seconds", "From taking a message to its committed turn.", buckets=_SECONDS
)
TURNS_IN_FLIGHT = Gauge("turnstream_conversation_turns_in_flight", "Messages taken and not answered yet.")
CONVERSATIONS_IN_MEMORY = Gauge("turnstream_conversation_conversations_in_memory", "Conversations kept in memory.")
RESTORE_SECONDS = Histogram(
    "turnstream_conversation_restore_seconds", "Reading a conversation back from the log.", buckets=_SECONDS
)
RESTORED_TURNS = Counter("turnstream_conversation_restored_turns_total", "Turns read back from the log.")
SNAPSHOTS = Counter(
    "turnstream_conversation_snapshots_total",
    "Snapshots of conversations: written, left_out (too large), used, refused (other format or slots), insufficient.",
    ("what",),
)
ACTION_CALLS = Counter(
    "turnstream_conversation_action_calls_total",
    "Actions run for turns by outcome: done, custom, rejected, failed, unanswered.",
    ("outcome",),
)
ERRORS = Counter(
    "turnstream_conversation_errors_total",
    "Errors on turns by where they come from: nlu, selection, policy, action, conversation, turn_log.",
    ("where",),
)
REPEATED_ATTEMPTS = Counter(
    "turnstream_conversation_repeated_attempts_total",
    "Attempts at a message that were in vain, by cause: passing (the log or a bundle is away) or own.",
    ("cause",),
)
REMINDERS = Counter(
    "turnstream_conversation_reminders_total",
    "Reminders by what became of them: scheduled, cancelled (also by a message of the user), fired, passed_over "
    "(cancelled while they were on their way).",
    ("what",),
)
PENDING_REMINDERS = Gauge("turnstream_conversation_pending_reminders", "Reminders of this worker that are to fire yet.")
FORWARDED_READS = Counter(
    "turnstream_conversation_forwarded_reads_total",
    "Questions about conversations that this replica does not hold: forwarded, from_log or refused.",
    ("outcome",),
)

_SOURCES = {"nlu": "nlu", "selection": "selection", "policy": "policy", "conversation": "conversation"}


def count_turn(record: TurnRecord, outcome: str = "") -> None:
    """A turn was committed. Without an outcome it is answered or failed, as the record says."""
    if not outcome:
        outcome = "failed" if record.errors else "answered"
    TURNS.labels(outcome).inc()
    for error in record.errors:
        # Anything else is the name of an action.
        where = "turn_log" if error.where == "turn log" else _SOURCES.get(error.where, "action")
        ERRORS.labels(where).inc()


def count_reminders(before: Collection[str], after: Collection[str], answered: InboxMessage) -> None:
    """A message's turn was committed, with these reminders (by their messages' ids) to fire before and after it."""
    message_id = answered.message_id
    if answered.HasField("due_reminder"):
        REMINDERS.labels("fired" if message_id in before else "passed_over").inc()
    if not before and not after:
        return
    REMINDERS.labels("scheduled").inc(sum(found not in before for found in after))
    REMINDERS.labels("cancelled").inc(sum(found not in after and found != message_id for found in before))
