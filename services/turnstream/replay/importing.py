"""Bringing conversations of another log in, each as one turn or a few that say no more than their events.

What the log has of a conversation must be how the imported one begins: then the rest is appended, and where nothing is
left, nothing is done. So an import can be repeated, and gone on with after a crash, at any time.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from turnstream.api.v1.events_pb2 import Event as EventProto
from turnstream.api.v1.turnlog_pb2 import EventsToAppend, InboxMessage
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problem
from turnstream.dialogue.proto import event_to_proto
from turnstream.dialogue.rasa_json import EventError, event_from_rasa
from turnstream.dialogue.values import UnwritableValueError
from turnstream.replay.sources import RawConversation
from turnstream.turnlog.interface import LogReader, Undecodable

CHANNEL = "import"
MESSAGE_PREFIX = "import-"
MAX_TURN_BYTES = 512 * 1024
"""A conversation that is longer comes as several turns, so that any log takes it."""

_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class Conversation:
    """Its events as the log will have them. `problems` are what is wrong with it; then it has no events."""

    conversation_id: str
    events: tuple[bytes, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_conversation(raw: RawConversation, *, keep_unknown: bool = False) -> Conversation:
    """Check every event. An event without a time has that of the one before."""
    events: list[bytes] = []
    problems: list[Problem] = []
    now = 0.0
    if "\0" in raw.conversation_id:
        problems.append(_problem(raw, f"the sender_id {raw.conversation_id!r} holds a NUL character"))
    try:
        raw.conversation_id.encode()
    except UnicodeEncodeError:
        problems.append(_problem(raw, f"the sender_id {raw.conversation_id!r} is no text that UTF-8 can write"))
    for item in raw.events:
        try:
            event = event_from_rasa(item.data, now=now, keep_unknown=keep_unknown)
            events.append(encoded(event_to_proto(event)))
            now = event.timestamp
        except (EventError, UnwritableValueError) as error:
            problems.append(Problem(item.where, f"conversation '{raw.conversation_id}': {error}"))
    if not events and not problems:
        problems.append(_problem(raw, f"conversation '{raw.conversation_id}' has no events"))
    return Conversation(raw.conversation_id, () if problems else tuple(events), tuple(problems))


def _problem(raw: RawConversation, message: str) -> Problem:
    return Problem(Location(raw.conversation_id), message)


def encoded(event: EventProto) -> bytes:
    """The same bytes for equal events."""
    return event.SerializeToString(deterministic=True)


@dataclass(slots=True)
class Present:
    """What a log holds: digests of the events, by conversation. `damaged` are those that cannot be compared."""

    digests: dict[str, bytearray] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)


async def present_events(log: LogReader, conversations: Collection[str]) -> Present:
    """Of these conversations; reads through the whole log."""
    present = Present()
    async for entry in log.read_turns():
        if isinstance(entry, Undecodable):
            present.damaged.add(entry.conversation_id)
        elif entry.record.conversation_id in conversations:
            digests = present.digests.setdefault(entry.record.conversation_id, bytearray())
            for event in entry.record.events:
                digests += _digest(encoded(event))
    return present


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: `messages`, in order; none where everything is there. Or `conflict` says why not."""

    conversation_id: str
    messages: tuple[InboxMessage, ...] = ()
    events: int = 0
    conflict: str = ""


def plan(conversation: Conversation, present: Present) -> Plan:
    """`conversation` has no problems."""
    conversation_id = conversation.conversation_id
    if conversation_id in present.damaged:
        return Plan(conversation_id, conflict="what the log has of it cannot be read")
    there = present.digests.get(conversation_id, bytearray())
    wanted = b"".join(map(_digest, conversation.events))
    if not wanted.startswith(there):
        if there.startswith(wanted):
            return Plan(conversation_id)
        alike = sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(_each(there), _each(wanted), strict=False))
        )
        return Plan(conversation_id, conflict=f"the log has other events of it, from event {alike + 1} on")
    start = len(there) // _DIGEST_BYTES
    messages = tuple(_messages(conversation, start))
    return Plan(conversation_id, messages, len(conversation.events) - start)


def _messages(conversation: Conversation, start: int) -> Iterator[InboxMessage]:
    for first, end in _chunks(conversation.events, start):
        chunk = conversation.events[first:end]
        digest = hashlib.blake2b(b"".join(map(_digest, chunk)), digest_size=16).hexdigest()
        yield InboxMessage(
            conversation_id=conversation.conversation_id,
            message_id=f"{MESSAGE_PREFIX}{first}-{digest}",
            channel=CHANNEL,
            events_to_append=EventsToAppend(events=map(EventProto.FromString, chunk), verbatim=True),
        )


def _chunks(events: Sequence[bytes], start: int) -> Iterator[tuple[int, int]]:
    """From and to which event (exclusive): as much as fits, cut before a user's message where there is one."""
    first = start
    while first < len(events):
        size, end, cut = 0, first, 0
        while end < len(events) and (end == first or size + len(events[end]) <= MAX_TURN_BYTES):
            if end > first and EventProto.FromString(events[end]).HasField("user_uttered"):
                cut = end
            size += len(events[end])
            end += 1
        if end < len(events) and cut:
            end = cut
        yield first, end
        first = end


def _digest(event: bytes) -> bytes:
    return hashlib.blake2b(event, digest_size=_DIGEST_BYTES).digest()


def _each(digests: bytes | bytearray) -> Iterator[bytes]:
    return (bytes(digests[n : n + _DIGEST_BYTES]) for n in range(0, len(digests), _DIGEST_BYTES))
