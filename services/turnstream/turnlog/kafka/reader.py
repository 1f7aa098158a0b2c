"""Reading committed records by place: a partition's state, single turns, everything. Blocking; one thread at a time."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import kafka
import kafka.errors
from kafka.structs import TopicPartition

from turnstream.turnlog.interface import Snapshot
from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.clients import open_consumer
from turnstream.turnlog.kafka.index import ConversationIndex, PartitionState
from turnstream.turnlog.kafka.records import decode_snapshot, segment_key
from turnstream.turnlog.kafka.settings import Config, KafkaSettings, consumer_config

logger = logging.getLogger(__name__)

_POLL_MS = 50
_LATEST = -1
_NEAR = 200
"""Offsets that are read through rather than skipped by a seek: a fetch brings them anyway."""

_AT_THE_END: Config = {"fetch_max_wait_ms": 5}
"""What is read is there already. The consumer asks for more by itself, and while the broker waits for what may come, no
other place can be read."""
THROUGH: Config = _AT_THE_END | {"fetch_max_bytes": 16 * 1024 * 1024, "max_partition_fetch_bytes": 8 * 1024 * 1024}
"""For reading a partition from end to end: fetches large enough that their round trips do not count."""
BY_PLACE: Config = _AT_THE_END | {"fetch_max_bytes": 512 * 1024, "max_partition_fetch_bytes": 512 * 1024}
"""For reading turns of a conversation: some hundred records, among which several are wanted in most cases."""

Fence = Callable[[Sequence[TopicPartition]], None]
"""Ends transactions that others left open on these partitions."""
Restored = Callable[[int, int], None]
"""Hears how many more records were read, and how many of the partition are still to come."""


class Reader:
    """A consumer without a group, moved to where it is wanted. Raises kafka.errors.KafkaError."""

    def __init__(self, settings: KafkaSettings, admin: "kafka.KafkaAdminClient", fetch: Config) -> None:
        """`fetch` is `THROUGH` or `BY_PLACE`."""
        self._settings = settings
        self._admin = admin
        self._consumer = open_consumer(consumer_config(settings) | fetch)
        self._closed = False

    def cancel(self) -> None:
        """Let what is under way end, with an error; from any thread."""
        self._closed = True

    def close(self) -> None:
        self._closed = True
        self._consumer.close(autocommit=False, timeout_ms=1000)

    def states(
        self, partitions: Iterable[int], fence: Fence | None = None, restored: Restored | None = None
    ) -> Iterator[tuple[int, PartitionState]]:
        """What is committed of these partitions, one after the other.

        All that may have been committed before this call is included. A transaction that is still open holds reading
        back until it is ended; with `fence`, by us.
        """
        tps = [TopicPartition(self._settings.state, partition) for partition in partitions]
        if tps:
            self._await_stable(self.ends(tps), fence)
        for tp in tps:
            state = PartitionState()
            self._read_all(tp, state.apply, fence, restored)
            yield tp.partition, state

    def index(self, partition: int, conversation_id: str) -> ConversationIndex | None:
        """A conversation's index, by reading through the state of its partition; what is in the archive is not found.

        For when there is no owner to ask.
        """
        state = PartitionState()
        head, segments = b"h" + conversation_id.encode(), segment_key(conversation_id.encode(), 0)[:-1]

        def take(key: bytes, value: bytes | None) -> None:
            if key == head or key.startswith(segments):
                state.apply(key, value)

        self._read_all(TopicPartition(self._settings.state, partition), take, None, None)
        return state.index(conversation_id)

    def turns_at(self, partition: int, offsets: Sequence[int]) -> list[Record]:
        """The turns at these offsets, in order; those that compaction took away are missing."""
        return self._records_at(TopicPartition(self._settings.turns, partition), offsets)

    def archived(self, partition: int, offset: int) -> bytes:
        """What stands at a place of the archive. Raises KeyError where it was written anew since."""
        for record in self._records_at(TopicPartition(self._settings.archive, partition), [offset]):
            if record.value is not None:
                return record.value
        raise KeyError(f"nothing stands at offset {offset} of partition {partition} of the archive")

    def snapshot(self, partition: int, offset: int) -> Snapshot:
        """Raises KeyError where a newer one took its place, ValueError where it is of another version."""
        return decode_snapshot(self.archived(partition, offset))

    def scan(self, topic: str, partition: int, after_offset: int, until: int) -> Iterator[list[Record]]:
        """The records after an offset and before `until`, in chunks."""
        tp = TopicPartition(topic, partition)
        self._consumer.assign([tp])
        self._seek(tp, after_offset + 1)
        while self._consumer.position(tp) < until:
            records = self._poll().get(tp, [])
            if records and records[-1].offset >= until:
                records = [record for record in records if record.offset < until]
            if records:
                yield records

    def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where each partition ends now, open transactions included."""
        return self._offsets(partitions, "read_uncommitted")

    def committed_end(self, tp: TopicPartition) -> int:
        """Where the partition ends now, once all transactions before that have ended."""
        ends = self.ends([tp])
        self._await_stable(ends, None)
        return ends[tp]

    def _records_at(self, tp: TopicPartition, offsets: Sequence[int]) -> list[Record]:
        """Committed records: a transaction before them that is still open is waited for."""
        wanted = sorted(offsets)
        if not wanted:
            return []
        self._consumer.assign([tp])
        return list(self._picked(tp, wanted))

    def _picked(self, tp: TopicPartition, wanted: list[int]) -> Iterator[Record]:
        self._seek(tp, wanted[0])
        place = 0
        while place < len(wanted):
            for record in self._poll().get(tp, ()):
                while place < len(wanted) and wanted[place] < record.offset:
                    place += 1
                if place < len(wanted) and wanted[place] == record.offset:
                    yield record
                    place += 1
            position = self._consumer.position(tp)
            while place < len(wanted) and wanted[place] < position:
                place += 1
            if place < len(wanted) and wanted[place] > position + _NEAR:
                self._seek(tp, wanted[place])

    def _seek(self, tp: TopicPartition, offset: int) -> None:
        self._consumer.seek(tp, max(0, offset))

    def _read_all(
        self,
        tp: TopicPartition,
        take: Callable[[bytes, bytes | None], None],
        fence: Fence | None,
        restored: Restored | None,
    ) -> None:
        """Until nothing is there any more that was not read: what a transaction adds while it is waited for counts."""
        self._consumer.assign([tp])
        self._consumer.seek_to_beginning(tp)
        done = -1
        while (end := self.ends([tp])[tp]) != done:
            self._await_stable({tp: end}, fence)
            while self._consumer.position(tp) < end:
                records = self._poll().get(tp, ())
                for record in records:
                    if record.key is not None:
                        take(record.key, record.value)
                if restored is not None:
                    restored(len(records), max(0, end - self._consumer.position(tp)))
            done = end

    def _await_stable(self, ends: Mapping[TopicPartition, int], fence: Fence | None) -> None:
        """Wait until every transaction before these ends is committed or aborted."""
        fence_at = time.monotonic() + self._settings.fence_after_s
        pause_s = 0.001
        while True:
            stable = self._offsets(ends, "read_committed")
            held_back = [tp for tp, end in ends.items() if stable[tp] < end]
            if not held_back:
                return
            if fence is not None and time.monotonic() > fence_at:
                fence(held_back)
                fence_at = time.monotonic() + self._settings.fence_after_s
            self._check_open()
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)

    def _offsets(self, partitions: Iterable[TopicPartition], isolation: str) -> dict[TopicPartition, int]:
        found = self._admin.list_partition_offsets(dict.fromkeys(partitions, _LATEST), isolation_level=isolation)
        return {tp: entry.offset for tp, entry in found.items()}

    def _poll(self) -> dict[Any, list[Record]]:
        self._check_open()
        records: dict[Any, list[Record]] = self._consumer.poll(timeout_ms=_POLL_MS, max_records=20_000)
        return records

    def _check_open(self) -> None:
        if self._closed:
            raise kafka.errors.IllegalStateError("the reader is closed")
