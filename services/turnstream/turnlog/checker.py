"""Reads a whole turn log and says what is wrong with it: the judge of every crash test.

A log is right when every accepted message has exactly one turn, in the order of acceptance, every turn is whole,
(with `fold`) each tracker that was served equals the fold of its conversation's events, and (with `witness`) what
clients were told is what was committed.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from turnstream.api.v1.conversations_pb2 import Turn
from turnstream.api.v1.events_pb2 import Event
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.turnlog.interface import Entry, LogReader, RecordT, Undecodable
from turnstream.turnlog.records import erases

Fold = Callable[[str, Sequence[Event]], Tracker]
"""From a conversation's id and all its events to its tracker."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`kind`: lost, doubled, reordered, torn, unasked, unreadable, diverged or contradicted."""

    kind: str
    conversation_id: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: conversation '{self.conversation_id}': {self.detail}"


@dataclass(frozen=True, slots=True)
class Witness:
    """What clients saw. `acknowledged` are pairs of conversation and message; `answers` and `read` are by conversation.

    `answers` came to whoever sent a message, any number of times; `read` is what one reader from turn 1 on was given.
    """

    acknowledged: Collection[tuple[str, str]] = ()
    answers: Mapping[str, Sequence[Turn]] = field(default_factory=dict)
    read: Mapping[str, Sequence[Turn]] = field(default_factory=dict)


@dataclass(slots=True)
class _Conversation:
    accepted: list[Entry[InboxMessage]] = field(default_factory=list)
    turns: list[Entry[TurnRecord]] = field(default_factory=list)


async def check_log(
    log: LogReader,
    *,
    fold: Fold | None = None,
    served: Mapping[str, Tracker] | None = None,
    witness: Witness | None = None,
    settled: bool = True,
) -> list[Fault]:
    """All faults, sorted; none in a log that is right.

    `settled`: every message should have been answered by now. `served` are the trackers that the service holds,
    by conversation, to be compared with `fold` of the log's events (events left out of the comparison).
    """
    faults: list[Fault] = []
    conversations: dict[str, _Conversation] = defaultdict(_Conversation)
    for message in await _readable(log.read_inbox(), faults):
        conversations[message.record.conversation_id].accepted.append(message)
    for turn in await _readable(log.read_turns(), faults):
        conversations[turn.record.conversation_id].turns.append(turn)
    for conversation_id, conversation in conversations.items():
        faults += check_conversation(conversation_id, conversation.accepted, conversation.turns, settled=settled)
    if fold is not None:
        faults += _diverged(conversations, fold, served or {})
    if witness is not None:
        faults += _contradicted(conversations, witness, settled=settled)
    return sorted(faults)


async def _readable(entries: AsyncIterator[Entry[RecordT] | Undecodable], faults: list[Fault]) -> list[Entry[RecordT]]:
    readable: list[Entry[RecordT]] = []
    async for entry in entries:
        if isinstance(entry, Undecodable):
            faults.append(Fault("unreadable", entry.conversation_id, str(entry)))
        else:
            readable.append(entry)
    return readable


def check_conversation(
    conversation_id: str,
    accepted: Sequence[Entry[InboxMessage]],
    turns: Sequence[Entry[TurnRecord]],
    *,
    settled: bool = True,
) -> list[Fault]:
    """The faults of one conversation's records, each given in the log's order."""
    found = [
        *_doubled(turns),
        *_unasked(accepted, turns),
        *_reordered(accepted, turns),
        *(_lost(accepted, turns) if settled else ()),
        *_torn(turns),
    ]
    return [Fault(kind, conversation_id, detail) for kind, detail in found]


Found = Iterator[tuple[str, str]]


def _doubled(turns: Sequence[Entry[TurnRecord]]) -> Found:
    numbers = Counter(turn.record.turn_number for turn in turns)
    seen: dict[str, int] = {}
    for turn in turns:
        message_id, number = turn.record.message_id, turn.record.turn_number
        first = seen.setdefault(message_id, number)
        if first != number or numbers[number] > 1:
            yield "doubled", f"message '{message_id}' has turns {first} and {number}"


def _unasked(accepted: Sequence[Entry[InboxMessage]], turns: Sequence[Entry[TurnRecord]]) -> Found:
    places = {entry.record.message_id: entry.position for entry in accepted}
    for turn in turns:
        place = places.get(turn.record.message_id)
        if place is None:
            yield (
                "unasked",
                f"turn {turn.record.turn_number} answers message '{turn.record.message_id}', not in the inbox",
            )
        elif (turn.record.inbox_partition, turn.record.inbox_offset) != (place.partition, place.offset):
            yield "torn", f"turn {turn.record.turn_number} names another inbox place than its message has ({place})"


def _reordered(accepted: Sequence[Entry[InboxMessage]], turns: Sequence[Entry[TurnRecord]]) -> Found:
    order = {entry.record.message_id: n for n, entry in enumerate(accepted)}
    numbers = [turn.record.turn_number for turn in turns]
    for before, after in pairwise(numbers):
        if after < before:
            yield "reordered", f"turn {after} was committed after turn {before}"
    answered = [order[t.record.message_id] for t in turns if t.record.message_id in order]
    for place, following in pairwise(answered):
        if following < place:
            first, second = accepted[following].record.message_id, accepted[place].record.message_id
            yield "reordered", f"message '{second}' was answered before '{first}', which was accepted first"


def _lost(accepted: Sequence[Entry[InboxMessage]], turns: Sequence[Entry[TurnRecord]]) -> Found:
    answered = {turn.record.message_id for turn in turns}
    for entry in accepted:
        if entry.record.message_id not in answered:
            yield "lost", f"message '{entry.record.message_id}' at {entry.position} has no turn"
    numbers = {turn.record.turn_number for turn in turns}
    first = next((t.record.turn_number for t in reversed(turns) if erases(t.record)), 1)
    for missing in sorted(set(range(first, max(numbers, default=0) + 1)) - numbers):
        yield "lost", f"turn {missing} is missing"


def _torn(turns: Sequence[Entry[TurnRecord]]) -> Found:
    """A turn that says what none of its events says, or that holds nothing, is not one turn."""
    for turn in turns:
        record = turn.record
        said = [event.bot_uttered.text for event in record.events if event.WhichOneof("body") == "bot_uttered"]
        texts = [reply.text for reply in record.replies if reply.text and not reply.has_buttons]
        unsaid = [text for text in texts if not any(text in part for part in said)]
        if unsaid or (record.replies and not said):
            yield "torn", f"turn {record.turn_number} has replies that none of its events says: {unsaid}"
        if not record.events and not record.errors:
            yield "torn", f"turn {record.turn_number} has no events"


def _diverged(conversations: Mapping[str, _Conversation], fold: Fold, served: Mapping[str, Tracker]) -> Iterable[Fault]:
    for conversation_id, tracker in served.items():
        turns = conversations[conversation_id].turns if conversation_id in conversations else []
        replayed = fold(conversation_id, [event for turn in turns for event in turn.record.events])
        if _without_events(replayed) != _without_events(tracker):
            yield Fault("diverged", conversation_id, "the tracker that was served is not the fold of the log's events")


def _contradicted(conversations: Mapping[str, _Conversation], witness: Witness, *, settled: bool) -> Iterable[Fault]:
    for conversation_id, message_id in sorted(witness.acknowledged):
        accepted = conversations[conversation_id].accepted if conversation_id in conversations else []
        if all(entry.record.message_id != message_id for entry in accepted):
            yield Fault("lost", conversation_id, f"message '{message_id}' was acknowledged, and is not in the inbox")
    for conversation_id, answers in witness.answers.items():
        committed = _committed(conversations, conversation_id)
        for answer in answers:
            if committed.get(answer.message_id) != answer:
                yield _contradiction(conversation_id, answer, committed.get(answer.message_id))
    for conversation_id, read in witness.read.items():
        committed = _committed(conversations, conversation_id)
        numbers = [turn.number for turn in read]
        if numbers != list(range(1, len(numbers) + 1)) or (settled and len(numbers) < len(committed)):
            yield Fault("contradicted", conversation_id, f"of {len(committed)} turns a reader was given {numbers}")
        for turn in read:
            if committed.get(turn.message_id) != turn:
                yield _contradiction(conversation_id, turn, committed.get(turn.message_id))


def _committed(conversations: Mapping[str, _Conversation], conversation_id: str) -> dict[str, Turn]:
    """By message, as clients see them."""
    turns = conversations[conversation_id].turns if conversation_id in conversations else []
    return {turn.record.message_id: _as_seen(turn.record) for turn in turns}


def _as_seen(record: TurnRecord) -> Turn:
    return Turn(
        number=record.turn_number,
        message_id=record.message_id,
        replies=record.replies,
        errors=record.errors,
        committed_at=record.committed_at,
        bundle_version=record.bundle_version,
    )


def _contradiction(conversation_id: str, told: Turn, committed: Turn | None) -> Fault:
    what = "no turn" if committed is None else f"turn {committed.number}, {_texts(committed)}"
    detail = f"message '{told.message_id}' was answered with turn {told.number}, {_texts(told)}; the log has {what}"
    return Fault("contradicted", conversation_id, detail)


def _texts(turn: Turn) -> list[str]:
    return [reply.text for reply in turn.replies]


def _without_events(tracker: Tracker) -> Tracker:
    bare = Tracker()
    bare.CopyFrom(tracker)
    bare.ClearField("events")
    bare.ClearField("turn_number")
    return bare
