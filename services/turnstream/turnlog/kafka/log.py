"""The turn log on Apache Kafka: any number of gateways and workers, on any number of machines.

Workers share the inbox's partitions as one consumer group; what a turn changes is one Kafka transaction, which the
group's coordinator refuses from a worker that is no member any more (KIP-447). Gateways read the end of the turns
topic. A message that comes again after its turn is answered by the partition's owner, which points the gateways to
that turn in the places topic. `docs/turn-log.md` tells what is in which topic, and what happens at each failure.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka.structs import TopicPartition

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.turnlog.errors import Fenced, LogClosed, LogUnavailable, TurnTooLarge, UndecodableRecord
from turnstream.turnlog.interface import (
    Accepted,
    Assignee,
    ConversationState,
    Entry,
    Lease,
    Position,
    Snapshot,
    Undecodable,
)
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.backlog import Backlog
from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.connection import Connection, Lookup, unreachable
from turnstream.turnlog.kafka.gateway import Gateway, decoded
from turnstream.turnlog.kafka.inbox import InboxProducer
from turnstream.turnlog.kafka.index import ConversationIndex
from turnstream.turnlog.kafka.owners import Owners
from turnstream.turnlog.kafka.questions import AFTER_SNAPSHOT, Places, Question, answer, question_name
from turnstream.turnlog.kafka.reader import THROUGH, Reader
from turnstream.turnlog.kafka.records import (
    ERASED,
    check_ids,
    inbox_key,
    message_of,
    partition_of,
    split_key,
    turn_number_of,
)
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.kafka.tail import Heard
from turnstream.turnlog.kafka.transactor import Erasing, PlannedTurn
from turnstream.turnlog.kafka.work import KafkaWork, NotOwned
from turnstream.turnlog.records import check_agenda, decode_inbox, decode_turn, encode_inbox, encode_turn, erases

_ALL_TURNS = 2**31

logger = logging.getLogger(__name__)


class KafkaTurnLog:
    """All roles of `turnlog.interface.TurnLog`. Open it inside a running event loop, use it in that loop only.

    It connects in the background: a broker that is away is waited for. What a role needs is opened with its first use.
    Every method may raise IncompatibleLog where topics exist with other settings, AccessDenied.
    """

    def __init__(self, settings: KafkaSettings | None = None) -> None:
        self._settings = settings or KafkaSettings()
        self._connection = Connection(self._settings)
        self._lookup = Lookup(self._settings, self._connection)
        self._owners = Owners(self._settings)
        self._gateway: Gateway | None = None
        self._opening: asyncio.Task[Gateway] | None = None
        self._work: KafkaWork | None = None
        self._own_inbox: InboxProducer | None = None
        self._leaving = asyncio.Event()
        self._closed = False

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    def partition_of(self, conversation_id: str) -> int:
        return partition_of(conversation_id, self._settings.partitions)

    async def ready(self) -> None:
        """Until the topics are there and as they should be."""
        await self._connection.admin()

    async def accept(self, message: InboxMessage) -> Accepted:
        """Raises LogUnavailable, MessageTooLarge also."""
        data = encode_inbox(message)
        check_ids(message.conversation_id, message.message_id)
        try:
            async with asyncio.timeout(self._settings.accept_timeout_s):
                gateway = await self._opened_gateway()
        except TimeoutError as error:
            raise LogUnavailable(f"{unreachable(self._settings)}. Try later, with the same message id.") from error
        return await gateway.accept(message.conversation_id, message.message_id, data)

    async def put(self, message: InboxMessage) -> None:
        """Raises LogUnavailable also. It needs no gateway: nobody here waits for the turn."""
        data = encode_inbox(message)
        check_ids(message.conversation_id, message.message_id)
        self._check_open()
        if self._own_inbox is None:
            self._own_inbox = InboxProducer(self._settings, Backlog(self._settings, None))
        key = inbox_key(message.conversation_id, message.message_id)
        await self._own_inbox.put(key, self.partition_of(message.conversation_id), data)

    async def wait_for(self, conversation_id: str, message_id: str, timeout_s: float) -> TurnRecord:
        gateway = await self._opened_gateway()
        heard = await gateway.wait_for(conversation_id, message_id, timeout_s)
        return decode_turn(decoded(heard), conversation_id)

    async def turns(self, conversation_id: str, from_turn: int = 1) -> AsyncIterator[TurnRecord]:
        gateway = await self._opened_gateway()
        wanted = max(1, from_turn)
        is_past = True
        with gateway.conversation_waiters().waiting(conversation_id) as woken:
            while True:
                woken.clear()
                found: Sequence[tuple[int, bytes]] = ()
                if is_past or gateway.heard_beyond(conversation_id, wanted):
                    found = await gateway.turns_from(conversation_id, wanted)
                for number, data in found:
                    wanted = number + 1
                    with contextlib.suppress(UndecodableRecord):
                        yield decode_turn(data, conversation_id)
                if not found:
                    is_past = False
                    self._check_open()
                    await woken.wait()

    async def work(self, assignee: Assignee, address: str = "") -> None:
        """Raises RuntimeError where this log serves an assignee already."""
        if self._work is not None:
            raise RuntimeError("this log serves a worker already; open it again for another one")
        self._check_open()
        admin = await self._admin_unless_leaving()
        if admin is None:
            return
        name = f"{self._settings.prefix}worker-{uuid.uuid4().hex}"
        self._work = KafkaWork(self._settings, admin, name, assignee, self._lookup, self._on_committed, address)
        try:
            await self._work.run()
        finally:
            self._work = None

    @property
    def joined(self) -> bool:
        return self._work is not None and self._work.joined

    async def trouble(self) -> str:
        error = self._opening_error()
        if error is not None:
            return f"messages cannot be taken: {error!r}"
        return await self._connection.trouble()

    async def archive_idle(self, before_s: int) -> int:
        """Archive this worker's conversations without a turn since a moment of Unix time; how many there were.

        Workers do so by themselves, for what was idle for `idle_after_h`.
        """
        return 0 if self._work is None else await self._work.archive_idle(before_s)

    async def _admin_unless_leaving(self) -> Any:
        """None where this worker is told to leave before there is a broker."""
        self._leaving.clear()
        found = asyncio.ensure_future(self._connection.admin())
        told = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait({found, told}, return_when=asyncio.FIRST_COMPLETED)
            return found.result() if found.done() and not told.done() else None
        finally:
            found.cancel()
            told.cancel()

    async def leave(self) -> None:
        self._leaving.set()
        if self._work is not None:
            await self._work.leave()

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState:
        partition = self.partition_of(conversation_id)
        after_snapshot = from_turn is None
        while True:
            question = Question(AFTER_SNAPSHOT if from_turn is None else max(1, from_turn), _ALL_TURNS)
            places = await self._places(conversation_id, question)
            agenda = self._agenda_here(partition, conversation_id)
            snapshot = None
            if after_snapshot and places.snapshot is not None:
                snapshot = await self._lookup.snapshot(partition, places.snapshot[1])
                if snapshot is None:
                    # A newer one was written in the meantime.
                    continue
            records = await self._lookup.turns_at(partition, [offset for _, offset in places.turns])
            entries = [_turn_entry(record) for record in records if record.value is not None]
            return ConversationState(
                last_turn=places.last_turn,
                turns=tuple(entry.record for entry in entries if isinstance(entry, Entry)),
                snapshot=snapshot,
                undecodable=tuple(entry for entry in entries if isinstance(entry, Undecodable)),
                agenda=agenda,
            )

    async def _places(self, conversation_id: str, question: Question) -> Places:
        here = await self._answer_here(conversation_id, question)
        return await (await self._opened_gateway()).places(conversation_id, question) if here is None else here

    async def _answer_here(self, conversation_id: str, question: Question) -> Places | None:
        partition = self.partition_of(conversation_id)
        if self._work is None:
            return None
        try:
            return answer(await self._work.index(partition, conversation_id), question)
        except NotOwned:
            return None

    def _agenda_here(self, partition: int, conversation_id: str) -> bytes:
        """Empty where this worker does not own the conversation."""
        try:
            return b"" if self._work is None else self._work.agendas(partition).get(conversation_id, b"")
        except NotOwned:
            return b""

    async def agendas(self, lease: Lease) -> Mapping[str, bytes]:
        self._check_open()
        try:
            if self._work is not None:
                return dict(self._work.agendas(lease.partition, lease))
        except NotOwned:
            pass
        raise Fenced(lease.partition, lease.epoch)

    async def owner_of(self, partition: int) -> str | None:
        return await self._lookup.with_admin(lambda admin: self._owners.address(admin, partition))

    async def commit(
        self, lease: Lease, record: TurnRecord, snapshot: Snapshot | None = None, agenda: bytes | None = None
    ) -> Position:
        """Raises TurnTooLarge also: committing it again is in vain."""
        conversation_id = record.conversation_id
        data = encode_turn(record)
        partition = self.partition_of(conversation_id)
        if partition != lease.partition:
            raise ValueError(f"conversation '{conversation_id}' is in partition {partition}, not in {lease}")
        size = len(data) + (len(snapshot.payload) if snapshot is not None else 0)
        if size > self._settings.max_message_bytes:
            raise TurnTooLarge(
                f"turn {record.turn_number} of '{conversation_id}' has {size} bytes, with its snapshot; "
                f"kafka.max_message_bytes is {self._settings.max_message_bytes}"
            )
        if self._work is None:
            raise Fenced(lease.partition, lease.epoch)
        turn = PlannedTurn(
            partition=partition,
            conversation_id=conversation_id,
            message_id=record.message_id,
            turn_number=record.turn_number,
            data=data,
            index=ConversationIndex(),
            snapshot=snapshot,
            erasing=await self._erasing(conversation_id) if erases(record) else None,
            agenda=check_agenda(record, agenda),
        )
        return await self._work.commit(lease, turn, record.inbox_offset)

    async def _erasing(self, conversation_id: str) -> Erasing:
        turns = (await self._places(conversation_id, Question(1, _ALL_TURNS))).turns
        records = await self._lookup.turns_at(self.partition_of(conversation_id), [offset for _, offset in turns])
        return Erasing(tuple(number for number, _ in turns), tuple(message_of(r.headers) for r in records))

    async def read_inbox(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[InboxMessage] | Undecodable]:
        seen: set[bytes] = set()
        async for erased, records in self._read(self._settings.inbox, partition, after_offset):
            for record in records:
                _, message_id = split_key(record.key)
                if record.key is None or record.key in seen or question_name(message_id):
                    continue
                seen.add(record.key)
                index = erased.get(record.key.partition(b"\0")[0])
                if index is None or index.find(message_id) != ERASED:
                    yield _inbox_entry(record)

    async def read_turns(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
        async for erased, records in self._read(self._settings.turns, partition, after_offset):
            for record in records:
                if erased and _is_erased(record, erased):
                    continue
                yield _turn_entry(record)

    async def _read(
        self, topic: str, partition: int | None, after_offset: int
    ) -> AsyncIterator[tuple[Mapping[bytes, ConversationIndex], list[Record]]]:
        """Records that have a value, with the conversations that were erased: compaction may not have been there yet.

        While some are looked at the next ones are read.
        """
        admin = await self._connection.admin()
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "turnlog-scan") as executor:
            reader = await loop.run_in_executor(executor, Reader, self._settings, admin, THROUGH)
            following: asyncio.Future[list[Record] | None] | None = None
            try:
                for place in range(self.partitions) if partition is None else (partition,):
                    erased, chunks = await loop.run_in_executor(executor, _scan, reader, topic, place, after_offset)
                    following = loop.run_in_executor(executor, next, chunks, None)
                    while (records := await following) is not None:
                        following = loop.run_in_executor(executor, next, chunks, None)
                        yield erased, [record for record in records if record.value is not None]
            finally:
                reader.cancel()
                if following is not None:
                    await asyncio.gather(following, return_exceptions=True)
                await loop.run_in_executor(executor, reader.close)

    async def close(self) -> None:
        if self._closed:
            return
        await self.leave()
        await self._stop()

    async def abandon(self) -> None:
        """Stop as if the process had been killed, for tests: nobody is told, nothing is handed over."""
        if self._work is not None:
            await self._work.abandon()
        await self._stop()

    async def _stop(self) -> None:
        self._closed = True
        self._connection.fail()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._gateway is not None:
            await self._gateway.close()
        if self._own_inbox is not None:
            await self._own_inbox.close()
        await self._lookup.close()
        await self._connection.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the turn log is closed")

    async def _opened_gateway(self) -> Gateway:
        self._check_open()
        if self._opening is None or self._opening_error() is not None:
            # What failed may have passed: a broker that was busy, a right that was given since.
            self._opening = asyncio.create_task(self._open_gateway())
        try:
            return await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            self._check_open()
            raise

    def _opening_error(self) -> BaseException | None:
        """Why messages cannot be taken, until it is tried again."""
        if self._opening is None or not self._opening.done() or self._opening.cancelled():
            return None
        return self._opening.exception()

    async def _open_gateway(self) -> Gateway:
        backlog = Backlog(self._settings, await self._connection.admin())
        gateway = Gateway(self._settings, self._lookup, backlog, self._answer_here)
        try:
            await gateway.open()
        except BaseException:
            await gateway.close()
            raise
        self._gateway = gateway
        return gateway

    def _on_committed(self, turn: PlannedTurn, offset: int) -> None:
        if self._gateway is not None:
            self._gateway.on_turn(Heard(turn.conversation_id, turn.message_id, turn.turn_number, turn.data))


def _scan(
    reader: Reader, topic: str, partition: int, after_offset: int
) -> tuple[Mapping[bytes, ConversationIndex], Iterator[list[Record]]]:
    _, state = next(reader.states([partition]))
    until = reader.committed_end(TopicPartition(topic, partition))
    return state.erased(), reader.scan(topic, partition, after_offset, until)


def _is_erased(record: Record, erased: Mapping[bytes, ConversationIndex]) -> bool:
    index = erased.get((record.key or b"").partition(b"\0")[0])
    return index is not None and turn_number_of(record.key) in index.erased_turns()


def _turn_entry(record: Record) -> Entry[TurnRecord] | Undecodable:
    conversation_id, _ = split_key(record.key)
    try:
        return Entry(Position(record.partition, record.offset), decode_turn(record.value or b"", conversation_id))
    except UndecodableRecord as error:
        return _undecodable("turns", record, conversation_id, message_of(record.headers), error)


def _inbox_entry(record: Record) -> Entry[InboxMessage] | Undecodable:
    conversation_id, message_id = split_key(record.key)
    try:
        return Entry(Position(record.partition, record.offset), decode_inbox(record.value or b"", conversation_id))
    except UndecodableRecord as error:
        return _undecodable("inbox", record, conversation_id, message_id, error)


def _undecodable(log: str, record: Record, conversation_id: str, message_id: str, error: Exception) -> Undecodable:
    damaged = Undecodable(log, Position(record.partition, record.offset), str(error), conversation_id, message_id)
    logger.error("%s", damaged)
    metrics.UNDECODABLE.labels(log).inc()
    return damaged
