"""What is in Kafka beside protobuf: batches of records, keys, headers, and the log's own small records."""

import struct
from collections.abc import Sequence
from typing import Any

import kafka.errors
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from turnstream.turnlog.interface import Snapshot
from turnstream.turnlog.kafka import archive, index, questions, records
from turnstream.turnlog.kafka.batches import unpack

from fuzz.target import Target, choosing, chosen

_DIGEST = index.digest_of("m")


class _Batch:
    """A batch whose checksum is right, of any content."""

    def __init__(self, data: bytes) -> None:
        self.records_count = struct.unpack(">i", data[:4].rjust(4, b"\0"))[0]
        self.base_offset = 0
        self._buffer = data[4:]
        self._pos = 0

    def _maybe_uncompress(self) -> None:
        """Nothing was compressed."""


def _records(data: bytes) -> None:
    for record in unpack(_Batch(data), 0):
        records.message_of(record.headers)


def _batches(data: bytes) -> None:
    """As they come from a broker, with their checksums."""
    found: Any = MemoryRecords(data)
    while True:
        try:
            batch = found.next_batch() if found.has_next() else None
        except (AssertionError, struct.error, kafka.errors.KafkaError):
            # kafka-python's own framing: the consumer stops there, before anything of ours.
            return
        if batch is None or batch.magic != 2 or not batch.validate_crc():
            return
        unpack(batch, 0)


def _key(data: bytes) -> None:
    records.split_key(data)
    records.turn_number_of(data)


def _state(data: bytes) -> None:
    """Records of the state topic, each two lengths of a byte, a key and a value; then everything is looked at."""
    state = index.PartitionState()
    while len(data) >= 2:
        key, value, rest = data[0] & 63, data[1], 2
        state.apply(data[rest : rest + key], data[rest + key : rest + key + value] or None)
        data = data[rest + key + value :]
    for conversation in state.heads:
        name = conversation.decode(errors="replace")
        if (found := state.index(name)) is not None:
            _look_at(found)
    state.erased()
    archive.idle_by_bucket(state.heads, 1)


def _look_at(found: index.ConversationIndex) -> None:
    found.find_digest(_DIGEST)
    found.offsets()
    found.erased_turns()
    found.whole()


def _whole(data: bytes) -> None:
    _look_at(index.index_of_whole(data))


def _bucket(data: bytes) -> None:
    archive.place_in(data, _DIGEST)
    archive.with_entries(data, {_DIGEST: 7})


_READERS = (
    _records,
    _batches,
    _key,
    records.message_of,
    _state,
    _whole,
    _bucket,
    records.decode_progress,
    records.decode_snapshot,
    records.decode_bucket_place,
    questions.decode_question,
    questions.decode_places,
    lambda data: records.backlog_of(5, 1, data.decode(errors="replace")),
)


def _batch() -> bytes:
    builder: Any = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=10_000)
    for number in range(3):
        builder.append(timestamp=1, key=b"ada\0%d" % number, value=b"x" * 70, headers=records.message_header("m"))
    builder.close()
    return bytes(builder.buffer())


def _seeds() -> Sequence[bytes]:
    known = index.ConversationIndex()
    for number in range(70):
        known = known.extended(f"m{number}", number, 1)
    head, segment = known.head(), index.segment_value(known.segments[0])
    short = index.ConversationIndex().extended("m", 1, 1).head()
    batch = _batch()
    state = b"".join(
        bytes([len(key), len(value)]) + key + value
        for key, value in (
            (records.HEAD + b"ada", short),
            (records.HEAD + b"bob", head[:100]),
            (records.SEGMENT + b"bob\x000", segment[:200]),
            (records.PROGRESS_KEY, records.encode_progress(records.Progress(7, (3, 4)))),
            (records.bucket_key(3), records.encode_bucket_place(9)),
        )
    )
    parts = {
        0: (b"\0\0\0\3" + batch[61:],),
        1: (batch,),
        2: (records.turn_key("ada", 7), records.inbox_key("ada", "m"), b"ada\0" + b"9" * 5000),
        3: (b"\x02\x0emessage\x02m", b"\xff\xff\xff\xff\x0f\x01\x01"),
        4: (state,),
        5: (known.whole(), short),
        6: (archive.with_entries(b"\2", {_DIGEST: 5}),),
        7: (records.encode_progress(records.Progress(7, (3, 4))),),
        8: (records.encode_snapshot(Snapshot(3, b"x")),),
        9: (records.encode_bucket_place(9),),
        10: (questions.encode_question(questions.Question.about("m")),),
        11: (questions.encode_places(questions.Places(3, 2, (1, 1), ((1, 1), (2, 2)))),),
        12: (b"7 2",),
    }
    whole = [chosen(number, data) for number, inputs in parts.items() for data in inputs]
    return [*whole, *(data[:-1] for data in whole), *(bytes([number]) for number in range(len(_READERS)))]


TARGETS = (Target("log", choosing(*_READERS), (ValueError, kafka.errors.CorruptRecordError), _seeds),)
