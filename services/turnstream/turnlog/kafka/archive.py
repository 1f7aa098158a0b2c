"""The indexes of conversations that have been idle: out of the owner's memory, and found again when they go on.

What restoring reads must not grow with history. So the index of an idle conversation is written to the archive topic,
which nobody reads through, and leaves the state topic. Where it stands is in one of 256 buckets, by a digest of the
conversation's id; the buckets are in the archive too, and the state topic says where: 256 small records, however many
conversations there ever were. A conversation that goes on costs two reads.

    bucket: version (1), then an entry for each conversation: digest of its id (8), offset of its index (6)
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from turnstream.turnlog.kafka.index import (
    ConversationIndex,
    PartitionState,
    active_of_head,
    digest_of,
    find_entry,
    index_of_whole,
)
from turnstream.turnlog.kafka.reader import Reader
from turnstream.turnlog.kafka.records import STATE_VERSION, check_version

_DIGEST_BYTES = 8
_ENTRY_BYTES = 14
_EMPTY = bytes([STATE_VERSION])


def bucket_of(digest: bytes) -> int:
    return digest[0]


def with_entries(bucket: bytes, entries: Mapping[bytes, int]) -> bytes:
    """The bucket with these conversations' digests and the offsets of their indexes, in place of earlier ones."""
    check_version(bucket)
    known = bytearray(bucket[1:])
    added = bytearray()
    for digest, offset in entries.items():
        entry = digest + offset.to_bytes(_ENTRY_BYTES - _DIGEST_BYTES, "big")
        place = find_entry(known, digest, _ENTRY_BYTES)
        if place < 0:
            added += entry
        else:
            known[place : place + _ENTRY_BYTES] = entry
    return bytes(_EMPTY + known + added)


def place_in(bucket: bytes, digest: bytes) -> int | None:
    """The offset of the index of this conversation."""
    check_version(bucket)
    entries = bucket[1:]
    place = find_entry(entries, digest, _ENTRY_BYTES)
    if place < 0:
        return None
    return int.from_bytes(entries[place + _DIGEST_BYTES : place + _ENTRY_BYTES], "big")


def idle_by_bucket(heads: Mapping[bytes, bytes], before_s: int) -> dict[int, list[bytes]]:
    """The conversations that had no turn since a moment of Unix time, by bucket."""
    found: dict[int, list[bytes]] = {}
    for conversation, head in list(heads.items()):
        if active_of_head(head) < before_s:
            found.setdefault(bucket_of(digest_of(conversation.decode())), []).append(conversation)
    return found


class Buckets:
    """Buckets that were read lately, by their place in the archive. One thread at a time."""

    def __init__(self, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def read(self, reader: Reader, partition: int, offset: int | None) -> bytes:
        """An empty one where `offset` is None. Raises kafka.errors.KafkaError."""
        if offset is None:
            return _EMPTY
        key = (partition, offset)
        if key not in self._known:
            self._add(key, reader.archived(partition, offset))
        self._known.move_to_end(key)
        return self._known[key]

    def find(self, reader: Reader, partition: int, offset: int, conversation_id: str) -> ConversationIndex | None:
        """The index of a conversation, if it is in the bucket at `offset`. Raises kafka.errors.KafkaError."""
        place = place_in(self.read(reader, partition, offset), digest_of(conversation_id))
        return None if place is None else index_of_whole(reader.archived(partition, place))

    def _add(self, key: tuple[int, int], bucket: bytes) -> None:
        self._known[key] = bucket
        self._bytes += len(bucket)
        while self._bytes > self._max_bytes and len(self._known) > 1:
            _, gone = self._known.popitem(last=False)
            self._bytes -= len(gone)


def bucket_place(state: PartitionState, conversation_id: str) -> int | None:
    """Where the bucket stands that may know this conversation; None where there is none yet."""
    return state.buckets.get(bucket_of(digest_of(conversation_id)))


def chunks(conversations: list[bytes], most: int) -> Iterator[list[bytes]]:
    for start in range(0, len(conversations), most):
        yield conversations[start : start + most]


def whole_indexes(state: PartitionState, conversations: Iterable[bytes]) -> dict[bytes, ConversationIndex]:
    found = {conversation: state.index(conversation.decode()) for conversation in conversations}
    return {conversation: index for conversation, index in found.items() if index is not None}
