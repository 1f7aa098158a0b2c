"""Keys, headers and the log's own small records, as they are in Kafka.

| topic   | key                          | value                                                                |
| ------- | ---------------------------- | -------------------------------------------------------------------- |
| inbox   | conversation NUL message id  | InboxMessage; none: erased                                           |
| inbox   | conversation NUL NUL name    | a gateway's question, see `questions`                                |
| turns   | conversation NUL turn number | TurnRecord, with the message's id in a header; none: erased          |
| state   | `p`                          | Progress of the partition                                            |
| state   | `h` conversation             | the newest segment of the conversation's index, see `index`          |
| state   | `c` conversation NUL n       | its earlier segment n                                                |
| state   | `a` conversation             | its agenda; none: it has none any more                               |
| state   | `b` n                        | where bucket n of the archive stands, see `archive`                  |
| archive | `s` conversation             | its newest snapshot                                                  |
| archive | `i` conversation             | its whole index, from when it was idle                               |
| archive | `b` n                        | bucket n: which conversations are in the archive, and where          |
| places  | conversation NUL message id  | where the turn stands that answered it before                        |
| places  | conversation NUL NUL name    | the answer to a question                                             |

A record is in the partition of its conversation in every topic. Keys are unique to a record, so that compaction takes
away nothing but what was written anew and what a tombstone erases. What is in the archive is read by its offset only.
"""

import struct
import zlib
from dataclasses import dataclass, field

from turnstream.turnlog.interface import Snapshot
from turnstream.turnlog.kafka.batches import header_of

SEPARATOR = "\0"
MESSAGE_HEADER = "message"
STATE_VERSION = 2
ERASED = -1
_MAX_DIGITS = 19

PROGRESS_KEY = b"p"
HEAD, SEGMENT, AGENDA, BUCKET, SNAPSHOT, INDEX = b"h", b"c", b"a", b"b", b"s", b"i"
"""First bytes of keys."""

Header = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Progress:
    """What of an inbox partition is done: all before `position`, but for the offsets in `waiting`.

    Turns of different conversations finish in any order, so one offset cannot say it.
    """

    position: int = 0
    waiting: tuple[int, ...] = field(default=())

    @property
    def low(self) -> int:
        """The first offset that is not done."""
        return min(self.waiting, default=self.position)


def partition_of(conversation_id: str, partitions: int) -> int:
    """The same in every process and for ever, and as in the SQLite log."""
    return zlib.crc32(conversation_id.encode()) % partitions


def check_ids(conversation_id: str, message_id: str) -> None:
    """Raises ValueError where an id cannot be part of a key."""
    for name, value in (("conversation_id", conversation_id), ("message_id", message_id)):
        if SEPARATOR in value:
            raise ValueError(f"{name} {value!r} holds a NUL character")


def inbox_key(conversation_id: str, message_id: str) -> bytes:
    return f"{conversation_id}{SEPARATOR}{message_id}".encode()


def turn_key(conversation_id: str, turn_number: int) -> bytes:
    return f"{conversation_id}{SEPARATOR}{turn_number}".encode()


def split_key(key: bytes | None) -> tuple[str, str]:
    """Conversation, and message id or turn number; both empty where the key is none of ours."""
    conversation_id, _, rest = (key or b"").decode(errors="replace").partition(SEPARATOR)
    return conversation_id, rest


def turn_number_of(key: bytes | None) -> int:
    """0 where the key is none of ours."""
    _, number = split_key(key)
    return int(number) if number.isdecimal() and len(number) <= _MAX_DIGITS else 0


def message_header(message_id: str) -> list[Header]:
    return [(MESSAGE_HEADER, message_id.encode())]


def message_of(headers: bytes) -> str:
    """The id of the message that a turn answers, from the headers of its record."""
    return (header_of(headers, MESSAGE_HEADER) or b"").decode(errors="replace")


def segment_key(conversation: bytes, segment: int) -> bytes:
    return b"%b%b\0%d" % (SEGMENT, conversation, segment)


def bucket_key(bucket: int) -> bytes:
    return b"%b%d" % (BUCKET, bucket)


_PROGRESS = struct.Struct(">Bq")
_OFFSET = struct.Struct(">q")
_SNAPSHOT = struct.Struct(">Bq")
_BUCKET_PLACE = struct.Struct(">Bq")


def encode_progress(progress: Progress) -> bytes:
    waiting = progress.waiting
    return _PROGRESS.pack(STATE_VERSION, progress.position) + struct.pack(f">{len(waiting)}q", *waiting)


def decode_progress(data: bytes) -> Progress:
    """Raises ValueError where it is none of this version."""
    _, position = _unpack(_PROGRESS, data)
    rest = data[_PROGRESS.size :]
    if len(rest) % _OFFSET.size:
        raise cut_off()
    return Progress(position, tuple(offset for (offset,) in _OFFSET.iter_unpack(rest)))


def note_of(progress: Progress) -> str:
    """What the group's committed offset says besides: whoever reads it knows how much waits, in any order."""
    return f"{progress.position} {len(progress.waiting)}"


def backlog_of(end: int, committed: int, note: str) -> int:
    """How many messages of a partition wait, where its inbox ends at `end`."""
    position, _, waiting = note.partition(" ")
    if position.isdecimal() and waiting.isdecimal() and len(note) <= 2 * _MAX_DIGITS:
        return max(0, end - int(position)) + int(waiting)
    return max(0, end - max(0, committed))


def encode_snapshot(snapshot: Snapshot) -> bytes:
    return _SNAPSHOT.pack(STATE_VERSION, snapshot.turn_number) + snapshot.payload


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises ValueError where it is none of this version."""
    _, turn_number = _unpack(_SNAPSHOT, data)
    return Snapshot(turn_number, data[_SNAPSHOT.size :])


def encode_agenda(agenda: bytes) -> bytes | None:
    """A tombstone for an empty one."""
    return _VERSION + agenda if agenda else None


def encode_bucket_place(offset: int) -> bytes:
    """Where in the archive a bucket stands."""
    return _BUCKET_PLACE.pack(STATE_VERSION, offset)


def decode_bucket_place(data: bytes) -> int:
    """Raises ValueError where it is none of this version."""
    return _unpack(_BUCKET_PLACE, data)[1]


def check_version(data: bytes) -> None:
    """Raises ValueError where it is none of this version."""
    if data[:1] != _VERSION:
        raise ValueError(f"a state record of version {data[:1].hex() or 'none'}; this one reads {STATE_VERSION}")


def cut_off() -> ValueError:
    return ValueError(f"a state record of version {STATE_VERSION} that is cut off")


_VERSION = bytes([STATE_VERSION])


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, int]:
    check_version(data)
    if len(data) < layout.size:
        raise cut_off()
    version, number = layout.unpack_from(data)
    return int(version), int(number)
