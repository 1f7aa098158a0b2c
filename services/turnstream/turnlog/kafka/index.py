"""What a worker knows of a conversation without its turns: which messages have one, and where it stands.

An index is written in the transaction of the turn that changes it. It comes in segments of 64 turns, of which the
newest, the head, is rewritten with each turn: turn 2,000 costs what turn 10 does, and restoring reads the
conversations that there are, not the turns that there were. In memory an index is the bytes that are in the log.

    head:    version (1), number of its first turn (4), time of the newest turn (4, seconds), turn of the newest
             snapshot (4) and its offset in the archive (8), then an entry for each turn
    segment: version (1), then an entry for each of its 64 turns
    entry:   digest of the message's id (8), offset of the turn (6)
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from turnstream.turnlog.kafka.records import (
    AGENDA,
    BUCKET,
    ERASED,
    HEAD,
    PROGRESS_KEY,
    SEGMENT,
    STATE_VERSION,
    Progress,
    check_version,
    cut_off,
    decode_bucket_place,
    decode_progress,
)

SEGMENT_TURNS = 64
_DIGEST_BYTES = 8
_HEAD = struct.Struct(">BIIIq")
_ENTRY_BYTES = _DIGEST_BYTES + 6
_OFFSET_BYTES = 6
_NO_OFFSET = b"\xff" * _OFFSET_BYTES
_VERSION = bytes([STATE_VERSION])


def digest_of(name: str) -> bytes:
    """64 bits stand for a message's id: two ids of one conversation meet with a chance of 1 in 10 billion billion."""
    return hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class ConversationIndex:
    """`entries` are those of the head, `segments` those of the earlier segments; `active_s` is Unix time.

    `is_archived`: it was read from the archive, and the state topic holds nothing of it.
    """

    first_turn: int = 1
    active_s: int = 0
    snapshot_turn: int = 0
    snapshot_offset: int = ERASED
    entries: bytes = b""
    segments: tuple[bytes, ...] = ()
    is_archived: bool = False

    @property
    def last_turn(self) -> int:
        return self.first_turn - 1 + len(self.entries) // _ENTRY_BYTES

    def find(self, message_id: str) -> int | None:
        """The offset of the turn that answered this message; `ERASED`; None where it has no turn."""
        return self.find_digest(digest_of(message_id))

    def find_digest(self, digest: bytes) -> int | None:
        for entries in (self.entries, *reversed(self.segments)):
            place = find_entry(entries, digest, _ENTRY_BYTES)
            if place >= 0:
                return _offset_at(entries, place)
        return None

    def offsets(self, from_turn: int = 1) -> list[tuple[int, int]]:
        """Number and offset of the turns from a number on that were not erased."""
        first = max(0, (from_turn - 1) // SEGMENT_TURNS)
        return [(turn, o) for turn, o in self._entries(first) if turn >= from_turn and o != ERASED]

    def extended(self, message_id: str, offset: int, now_s: int) -> "ConversationIndex":
        """The index with one more turn."""
        entry = digest_of(message_id) + offset.to_bytes(_OFFSET_BYTES, "big")
        if len(self.entries) < SEGMENT_TURNS * _ENTRY_BYTES:
            return replace(self, entries=self.entries + entry, active_s=now_s, is_archived=False)
        return replace(
            self,
            first_turn=self.first_turn + SEGMENT_TURNS,
            entries=entry,
            segments=(*self.segments, self.entries),
            active_s=now_s,
            is_archived=False,
        )

    def with_snapshot(self, turn_number: int, offset: int) -> "ConversationIndex":
        return replace(self, snapshot_turn=turn_number, snapshot_offset=offset)

    def erased(self) -> "ConversationIndex":
        """The index when all turns are gone: that their messages were answered is still known."""
        return replace(
            self,
            entries=_without_offsets(self.entries),
            segments=tuple(_without_offsets(entries) for entries in self.segments),
            snapshot_turn=0,
            snapshot_offset=ERASED,
        )

    def erased_turns(self) -> frozenset[int]:
        """The numbers of turns that were erased."""
        return frozenset(turn for turn, offset in self._entries(0) if offset == ERASED)

    def head(self) -> bytes:
        """The head as it is in the state topic."""
        fields = (self.first_turn, self.active_s, self.snapshot_turn, self.snapshot_offset)
        return _HEAD.pack(STATE_VERSION, *fields) + self.entries

    def whole(self) -> bytes:
        """The index as it is in the archive: a head that holds all entries."""
        return replace(self, first_turn=1, entries=b"".join((*self.segments, self.entries)), segments=()).head()

    def _entries(self, first_segment: int) -> Iterator[tuple[int, int]]:
        for number in range(first_segment, len(self.segments) + 1):
            entries = self.segments[number] if number < len(self.segments) else self.entries
            for place in range(0, len(entries), _ENTRY_BYTES):
                yield number * SEGMENT_TURNS + place // _ENTRY_BYTES + 1, _offset_at(entries, place)


def index_of_whole(data: bytes) -> ConversationIndex:
    """From the archive. Raises ValueError for one of another version, or that is cut off."""
    check_head(data)
    whole = _of_head(data, ())
    step = SEGMENT_TURNS * _ENTRY_BYTES
    parts = [whole.entries[place : place + step] for place in range(0, len(whole.entries), step)] or [b""]
    return replace(
        whole,
        first_turn=(len(parts) - 1) * SEGMENT_TURNS + 1,
        entries=parts[-1],
        segments=tuple(parts[:-1]),
        is_archived=True,
    )


def check_head(head: bytes) -> None:
    """Raises ValueError for what is no head with whole entries."""
    check_version(head)
    if len(head) < _HEAD.size or (len(head) - _HEAD.size) % _ENTRY_BYTES:
        raise cut_off()


def active_of_head(head: bytes) -> int:
    """When the conversation had its newest turn, in seconds of Unix time."""
    return int(_HEAD.unpack_from(head)[2])


def find_entry(entries: bytes | bytearray, name: bytes, entry_bytes: int) -> int:
    """Where the entry that begins with `name` begins; -1 where there is none."""
    place = entries.find(name)
    while place >= 0 and place % entry_bytes:
        place = entries.find(name, place + 1)
    return place


def _of_head(head: bytes, segments: tuple[bytes, ...]) -> ConversationIndex:
    _, first_turn, active_s, snapshot_turn, snapshot_offset = _HEAD.unpack_from(head)
    return ConversationIndex(first_turn, active_s, snapshot_turn, snapshot_offset, head[_HEAD.size :], segments)


def _offset_at(entries: bytes, place: int) -> int:
    offset = entries[place + _DIGEST_BYTES : place + _ENTRY_BYTES]
    return ERASED if offset == _NO_OFFSET else int.from_bytes(offset, "big")


def _without_offsets(entries: bytes) -> bytes:
    places = range(0, len(entries), _ENTRY_BYTES)
    return b"".join(entries[place : place + _DIGEST_BYTES] + _NO_OFFSET for place in places)


@dataclass(slots=True)
class PartitionState:
    """All that a worker holds of a partition, as committed: bytes by conversation, decoded when they are needed.

    `buckets` says where the archive's buckets stand, by number. `agendas` stay when a conversation is archived.
    """

    progress: Progress = field(default_factory=Progress)
    heads: dict[bytes, bytes] = field(default_factory=dict)
    segments: dict[bytes, bytes] = field(default_factory=dict)
    buckets: dict[int, int] = field(default_factory=dict)
    agendas: dict[str, bytes] = field(default_factory=dict)

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take in a record of the state topic. Raises ValueError for one of another version, or that is cut off."""
        if value is not None and value[:1] != _VERSION:
            check_version(value)
        kind = key[:1]
        if kind == HEAD:
            if value is not None:
                check_head(value)
            _put(self.heads, key[1:], value)
        elif kind == SEGMENT:
            _put(self.segments, key[1:], value)
        elif kind == AGENDA:
            self.put_agenda(key[1:].decode(), b"" if value is None else value[1:])
        elif kind == BUCKET and value is not None:
            self.buckets[int(key[1:])] = decode_bucket_place(value)
        elif key == PROGRESS_KEY and value is not None:
            self.progress = decode_progress(value)

    def index(self, conversation_id: str) -> ConversationIndex | None:
        """None where nothing is known of the conversation; the archive may know more. Raises ValueError."""
        conversation = conversation_id.encode()
        head = self.heads.get(conversation)
        if head is None:
            return None
        index = _of_head(head, ())
        if index.first_turn == 1:
            return index
        count = (index.first_turn - 1) // SEGMENT_TURNS
        try:
            segments = tuple(self.segments[b"%b\0%d" % (conversation, n)][1:] for n in range(count))
        except KeyError as error:
            raise ValueError(f"segment {error} of an index is missing") from error
        return replace(index, segments=segments)

    def put(self, conversation_id: str, index: ConversationIndex, segments: Iterable[int]) -> None:
        """The index after a turn that rewrote these earlier segments."""
        conversation = conversation_id.encode()
        for number in segments:
            self.segments[b"%b\0%d" % (conversation, number)] = segment_value(index.segments[number])
        self.heads[conversation] = index.head()

    def put_agenda(self, conversation_id: str, agenda: bytes) -> None:
        """An empty one takes it away."""
        if agenda:
            self.agendas[conversation_id] = agenda
        else:
            self.agendas.pop(conversation_id, None)

    def erased(self) -> dict[bytes, ConversationIndex]:
        """The conversations of which turns were erased."""
        maybe = [conversation for conversation, head in self.heads.items() if _NO_OFFSET in head]
        maybe += [key.rpartition(b"\0")[0] for key, entries in self.segments.items() if _NO_OFFSET in entries]
        found = {conversation: self.index(conversation.decode()) for conversation in maybe}
        return {conversation: index for conversation, index in found.items() if index and index.erased_turns()}

    def drop(self, conversations: Iterable[bytes]) -> None:
        """These are in the archive now."""
        for conversation in conversations:
            head = self.heads.pop(conversation)
            for number in range(segments_before(head)):
                self.segments.pop(b"%b\0%d" % (conversation, number), None)


def segment_value(entries: bytes) -> bytes:
    """An earlier segment as it is in the state topic."""
    return _VERSION + entries


def segments_before(head: bytes) -> int:
    """How many earlier segments there are."""
    return (int(_HEAD.unpack_from(head)[1]) - 1) // SEGMENT_TURNS


def _put(target: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        target.pop(key, None)
    else:
        target[key] = value
