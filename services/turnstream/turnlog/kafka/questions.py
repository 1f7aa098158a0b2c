"""What gateways ask the owner of a conversation: where its turns stand.

A question goes through the inbox, to whoever owns the partition; the answer comes back in the places topic, which
every gateway hears. So a gateway reads what it needs, holds nothing of what it might be asked, and needs no address.
"""

import struct
from dataclasses import dataclass

from turnstream.turnlog.kafka.index import ConversationIndex, digest_of
from turnstream.turnlog.kafka.records import ERASED, SEPARATOR, STATE_VERSION, check_version, cut_off

AFTER_SNAPSHOT = 0
"""As `from_turn`: the turns after the newest snapshot."""

_NOT_FOUND = -2
_QUESTION = struct.Struct(">BII8s")
_PLACES = struct.Struct(">BIqIq")
_TURN = struct.Struct(">Iq")
_NO_DIGEST = bytes(8)


@dataclass(frozen=True, slots=True)
class Question:
    """At most `count` turns from number `from_turn` on; and where the turn is that answered `message_id`."""

    from_turn: int = 1
    count: int = 0
    message_digest: bytes = b""

    @classmethod
    def about(cls, message_id: str) -> "Question":
        return cls(message_digest=digest_of(message_id))


@dataclass(frozen=True, slots=True)
class Places:
    """Where turns stand: number and offset. `found` is that of the message asked for, or `ERASED`, or None.

    `snapshot` is the turn number of the newest one and its offset in the archive.
    """

    last_turn: int = 0
    found: int | None = None
    snapshot: tuple[int, int] | None = None
    turns: tuple[tuple[int, int], ...] = ()


def answer(index: ConversationIndex | None, question: Question) -> Places:
    if index is None:
        return Places()
    snapshot = None if index.snapshot_offset == ERASED else (index.snapshot_turn, index.snapshot_offset)
    first = question.from_turn
    if first == AFTER_SNAPSHOT:
        first = index.snapshot_turn + 1 if snapshot else 1
    found = index.find_digest(question.message_digest) if question.message_digest else None
    turns = index.offsets(first)[: question.count] if question.count else []
    return Places(index.last_turn, found, snapshot, tuple(turns))


def question_key(conversation_id: str, name: str) -> bytes:
    """In the inbox, and of its answer. No message has it: ids hold no NUL."""
    return f"{conversation_id}{SEPARATOR}{SEPARATOR}{name}".encode()


def question_name(message_id: str) -> str:
    """The name of a question, from where a message's id stands in a key; empty where it is a message."""
    return message_id[1:] if message_id.startswith(SEPARATOR) else ""


def encode_question(question: Question) -> bytes:
    digest = question.message_digest or _NO_DIGEST
    return _QUESTION.pack(STATE_VERSION, question.from_turn, question.count, digest)


def decode_question(data: bytes) -> Question:
    """Raises ValueError where it is none of this version."""
    check_version(data)
    if len(data) != _QUESTION.size:
        raise cut_off()
    _, from_turn, count, digest = _QUESTION.unpack(data)
    return Question(from_turn, count, b"" if digest == _NO_DIGEST else digest)


def encode_places(places: Places) -> bytes:
    found = _NOT_FOUND if places.found is None else places.found
    snapshot_turn, snapshot_offset = places.snapshot or (0, ERASED)
    head = _PLACES.pack(STATE_VERSION, places.last_turn, found, snapshot_turn, snapshot_offset)
    return head + b"".join(_TURN.pack(number, offset) for number, offset in places.turns)


def decode_places(data: bytes) -> Places:
    """Raises ValueError where it is none of this version."""
    check_version(data)
    if len(data) < _PLACES.size or (len(data) - _PLACES.size) % _TURN.size:
        raise cut_off()
    _, last_turn, found, snapshot_turn, snapshot_offset = _PLACES.unpack_from(data)
    turns = tuple(_TURN.iter_unpack(data[_PLACES.size :]))
    snapshot = None if snapshot_offset == ERASED else (snapshot_turn, snapshot_offset)
    return Places(last_turn, None if found == _NOT_FOUND else found, snapshot, turns)
