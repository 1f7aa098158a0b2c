"""One worker of the Kafka turn log: its share of the partitions, the delivery of messages, the commits of turns."""

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnstream.turnlog.errors import UndecodableRecord
from turnstream.turnlog.interface import Assignee, Delivery, Lease, Position, Undecodable
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.archive import bucket_place
from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.committer import Committer
from turnstream.turnlog.kafka.connection import Lookup
from turnstream.turnlog.kafka.group import Membership
from turnstream.turnlog.kafka.index import ConversationIndex
from turnstream.turnlog.kafka.partitions import HeldPartition
from turnstream.turnlog.kafka.questions import (
    Places,
    answer,
    decode_question,
    encode_places,
    question_key,
    question_name,
)
from turnstream.turnlog.kafka.records import inbox_key, split_key
from turnstream.turnlog.kafka.restoring import Restorer
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.kafka.sweeping import Sweeper
from turnstream.turnlog.kafka.transactor import PlannedPlaces, PlannedTurn, Transactor
from turnstream.turnlog.records import decode_inbox

logger = logging.getLogger(__name__)

_MOST_BUFFERED = 2000
_FEW_BUFFERED = 500
_MEASURE_EVERY_S = 1.0


class NotOwned(Exception):
    """The partition is another worker's."""


@dataclass(frozen=True, slots=True)
class _Row:
    lease: Lease
    record: Record


class KafkaWork:
    """Serves one `Assignee`: a `group.GroupEvents` of its membership."""

    def __init__(
        self,
        settings: KafkaSettings,
        admin: Any,
        name: str,
        assignee: Assignee,
        lookup: Lookup,
        committed: Callable[[PlannedTurn, int], None],
        address: str = "",
    ) -> None:
        """`name` is the transactional id; `committed` hears of each turn, with its offset."""
        self._settings = settings
        self._assignee = assignee
        self._lookup = lookup
        self._partitions: dict[int, HeldPartition] = {}
        self._membership = Membership(settings, self, address)
        self._transactor = Transactor(settings, name, self._membership.metadata)
        self._restorer = Restorer(settings, admin, name)
        self._committer = Committer(self._transactor, self._partitions, self._read_again, committed)
        self._sweeper = Sweeper(settings, self._partitions, self._committer, lookup)
        self._rows: deque[_Row] = deque()
        self._news = asyncio.Event()
        self._is_holding = False
        self._delivering: tuple[int, asyncio.Future[None]] | None = None
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self._abandoned = False

    @property
    def joined(self) -> bool:
        return self._membership.joined

    async def run(self) -> None:
        """Until `leave`, or until cancelled; then the others find this worker gone."""
        delivering = asyncio.create_task(self._deliver_always())
        committing = asyncio.create_task(self._committer.run())
        sweeping = asyncio.create_task(self._sweeper.run())
        measuring = asyncio.create_task(self._measure_always())
        serving = [delivering, committing, sweeping, measuring]
        self._membership.start()
        try:
            leaving = asyncio.ensure_future(self._leaving.wait())
            done, _ = await asyncio.wait({leaving, *serving}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if not self._abandoned:
                await self.revoked(list(self._partitions))
        finally:
            await self._stop(serving)

    async def _stop(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        for task in tasks:
            task.cancel()
        for held in list(self._partitions.values()):
            held.is_closing = True
            if held.opening is not None:
                held.opening.cancel()
        self._partitions.clear()
        self._restorer.cancel()
        await self._membership.close(leave=not self._abandoned)
        await self._committer.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._restorer.close()
        self._measure()
        self._left.set()

    async def leave(self) -> None:
        self._leaving.set()
        await self._left.wait()

    async def abandon(self) -> None:
        """Stop as if the process had been killed: nothing is handed over, nothing tidied up."""
        self._abandoned = True
        await self.leave()

    async def archive_idle(self, before_s: int) -> int:
        return await self._sweeper.sweep(before_s)

    async def index(self, partition: int, conversation_id: str) -> ConversationIndex | None:
        """As committed; None for a conversation that is new. Raises NotOwned where the partition is another's."""
        held = self._partitions.get(partition)
        if held is None or not held.is_claimed:
            raise NotOwned(partition)
        return await self._known(held, conversation_id)

    def agendas(self, partition: int, lease: Lease | None = None) -> Mapping[str, bytes]:
        """As committed, by conversation. Raises NotOwned where the partition is another's, or under another lease."""
        held = self._partitions.get(partition)
        if held is None or not held.is_claimed or lease not in (None, held.lease):
            raise NotOwned(partition)
        return held.state.agendas

    async def _known(self, held: HeldPartition, conversation_id: str) -> ConversationIndex | None:
        index = held.index(conversation_id)
        if index is not None or (bucket := bucket_place(held.state, conversation_id)) is None:
            return index
        try:
            found = await self._lookup.archived_index(held.lease.partition, bucket, conversation_id)
        except KeyError:
            # The bucket was written anew in the meantime, and compacted: by us, or by the next owner.
            found = None
        # What has come since is newer.
        return held.index(conversation_id) or found

    async def commit(self, lease: Lease, turn: PlannedTurn, inbox_offset: int) -> Position:
        return await self._committer.commit(lease, turn, inbox_offset)

    # Events of the membership.

    def assigned(self, partitions: Sequence[int], generation: int) -> None:
        if self._leaving.is_set():
            return
        opened = {p: HeldPartition(Lease(p, generation)) for p in partitions}
        self.lost([p for p in partitions if p in self._partitions])
        self._partitions.update(opened)
        opening = asyncio.create_task(self._open(opened))
        for held in opened.values():
            held.opening = opening

    async def revoked(self, partitions: Sequence[int]) -> None:
        leaving = [self._partitions[p] for p in partitions if p in self._partitions]
        for held in leaving:
            self._close_down(held)
        await asyncio.gather(*(self._assignee.revoked(held.lease) for held in leaving if held.is_claimed))
        for held in leaving:
            self._partitions.pop(held.lease.partition, None)
        # What is being committed now was begun while the partitions were ours, and ends while they are.
        await self._committer.idle()

    def lost(self, partitions: Sequence[int]) -> None:
        gone = [held for p in partitions if (held := self._partitions.pop(p, None)) is not None]
        for held in gone:
            logger.warning("partition %d was taken over by another worker", held.lease.partition)
            self._close_down(held)
        claimed = [held.lease for held in gone if held.is_claimed]
        self._committer.drop(claimed)
        for lease in claimed:
            self._spawn(self._assignee.revoked(lease))

    def received(self, partition: int, records: Sequence[Record]) -> None:
        held = self._partitions.get(partition)
        if held is None or not held.is_claimed or held.is_closing:
            return
        self._rows.extend(_Row(held.lease, record) for record in records)
        self._news.set()
        if len(self._rows) > _MOST_BUFFERED and not self._is_holding:
            self._is_holding = True
            self._membership.hold(self._claimed())

    def _close_down(self, held: HeldPartition) -> None:
        # Where it is being opened, that passes over it: the same task opens what stays.
        held.is_closing = True
        if self._delivering is not None and self._delivering[0] == held.lease.partition:
            # It was not taken yet: the next owner delivers it.
            self._delivering[1].cancel()

    def _claimed(self) -> list[int]:
        return [p for p, held in self._partitions.items() if held.is_claimed]

    def _spawn(self, awaitable: Awaitable[None]) -> None:
        task = asyncio.ensure_future(awaitable)
        _background.add(task)
        task.add_done_callback(_background.discard)

    # Taking partitions over.

    async def _open(self, opened: dict[int, HeldPartition]) -> None:
        async for partition, state in self._restorer.states(list(opened), self._is_wanted(opened)):
            held = opened[partition]
            if held.is_closing or self._partitions.get(partition) is not held:
                continue
            offset = held.begin(state)
            held.is_claimed = True
            await self._assignee.claimed(held.lease)
            if not held.is_closing:
                self._membership.resume(partition, offset)

    def _is_wanted(self, opened: dict[int, HeldPartition]) -> Callable[[int], bool]:
        return lambda partition: self._partitions.get(partition) is opened[partition]

    async def _read_again(self, partitions: Sequence[int]) -> None:
        """What is in memory is what is committed again. Whoever lost a partition unknowingly must fence nobody."""
        async for partition, state in self._restorer.states(partitions, self._partitions.__contains__, fence=False):
            if (held := self._partitions.get(partition)) is not None:
                held.state = state

    # Measuring.

    async def _measure_always(self) -> None:
        while True:
            await asyncio.sleep(_MEASURE_EVERY_S)
            self._measure()

    def _measure(self) -> None:
        claimed = {p: held for p, held in self._partitions.items() if held.is_claimed}
        metrics.OWNED.set(len(claimed))
        metrics.IN_FLIGHT.set(sum(len(held.in_flight) for held in claimed.values()))
        metrics.LIVE_CONVERSATIONS.set(sum(len(held.state.heads) for held in claimed.values()))
        ends = self._membership.ends
        for partition in range(self._settings.partitions):
            if partition in claimed:
                held = claimed[partition]
                ahead = max(0, ends.get(partition, 0) - held.position)
                metrics.LAG.labels(partition).set(ahead + len(held.waiting))
            else:
                metrics.forget_partition(metrics.LAG, partition)

    # Delivering.

    async def _deliver_always(self) -> None:
        while True:
            while self._rows:
                await self._deliver(self._rows.popleft())
                if self._is_holding and len(self._rows) < _FEW_BUFFERED:
                    self._is_holding = False
                    self._membership.go_on(self._claimed())
            self._news.clear()
            if not self._rows:
                await self._news.wait()

    async def _deliver(self, row: _Row) -> None:
        partition = row.lease.partition
        held = self._partitions.get(partition)
        if held is None or held.lease != row.lease or held.is_closing:
            return
        record = row.record
        if not held.wants(record.offset):
            return
        call = await self._call_for(held, record)
        if held.is_closing:
            return
        held.passed(record.offset)
        if call is None:
            return
        self._delivering = (partition, asyncio.ensure_future(call))
        try:
            await self._delivering[1]
        except asyncio.CancelledError:
            if not held.is_closing or (task := asyncio.current_task()) is None or task.cancelling():
                raise
        finally:
            self._delivering = None

    async def _call_for(self, held: HeldPartition, record: Record) -> Awaitable[None] | None:
        """What is to be done with a record of the inbox: nothing where it is done already."""
        conversation_id, message_id = split_key(record.key)
        position = Position(held.lease.partition, record.offset)
        held.waiting.discard(record.offset)
        if record.value is None or held.came_again((conversation_id, message_id), record.offset):
            return None
        index = await self._known(held, conversation_id)
        if name := question_name(message_id):
            self._answer(held, conversation_id, name, record.value, index)
            return None
        if index is not None and (answered := index.find(message_id)) is not None:
            key = inbox_key(conversation_id, message_id)
            self._tell(held, key, Places(index.last_turn, found=answered))
            return None
        try:
            message = decode_inbox(record.value, conversation_id)
        except UndecodableRecord as error:
            damaged = Undecodable("inbox", position, str(error), conversation_id, message_id)
            logger.error("%s", damaged)
            metrics.UNDECODABLE.labels("inbox").inc()
            return self._assignee.undecodable(damaged)
        revived = index if index is not None and index.is_archived else None
        held.taken((conversation_id, message_id), record.offset, revived)
        return self._assignee.deliver(Delivery(held.lease, position, message))

    def _answer(
        self, held: HeldPartition, conversation_id: str, name: str, data: bytes, index: ConversationIndex | None
    ) -> None:
        try:
            question = decode_question(data)
        except (ValueError, struct.error) as error:
            logger.error("a question about conversation '%s' cannot be read: %s", conversation_id, error)
            return
        self._tell(held, question_key(conversation_id, name), answer(index, question))

    def _tell(self, held: HeldPartition, key: bytes, places: Places) -> None:
        self._committer.tell(held.lease, PlannedPlaces(held.lease.partition, key, encode_places(places)))


_background: set["asyncio.Future[None]"] = set()
"""Kept from being collected while they run."""
