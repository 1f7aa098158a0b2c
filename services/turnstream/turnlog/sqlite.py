"""The turn log in one SQLite file, for one machine; several processes may open it.

Durable means here: in the write-ahead log and fsynced (`synchronous=FULL`), so that neither a killed process nor a
power cut takes back what was acknowledged. One transaction carries all that waits for it (see `sqlite_writer`).
Processes share the partitions by leases in the file; a commit checks its lease inside the transaction.
What this process commits, its waiters hear of at once; what others commit, by polling SQLite's `data_version`.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.turnlog import sqlite_store as store
from turnstream.turnlog.errors import LogClosed, MessageTooLarge, TurnTooLarge, UndecodableRecord, Unfinished
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
from turnstream.turnlog.records import (
    check_agenda,
    decode_inbox,
    decode_turn,
    encode_inbox,
    encode_turn,
    erases,
)
from turnstream.turnlog.sqlite_members import Member, address_of, live_members
from turnstream.turnlog.sqlite_work import SqliteWork
from turnstream.turnlog.sqlite_writer import GroupWriter
from turnstream.turnlog.waiters import Waiters

logger = logging.getLogger(__name__)

_PAGE = 200
_NO_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """`partitions` counts only when the log is created. `max_record_bytes`: of one message, one turn with its snapshot.
    `lease_s` is after how long a worker that hangs is replaced;
    one that died is replaced within `heartbeat_s`. `poll_s`: how soon another process's commits are seen; after
    `quiet_s` without any, and while nobody waits for a turn, within `idle_poll_s`."""

    partitions: int = 16
    max_unanswered: int = 10_000
    max_unanswered_per_conversation: int = 100
    max_record_bytes: int = 64 * 1024 * 1024
    lease_s: float = 5.0
    heartbeat_s: float = 0.5
    poll_s: float = 0.005
    idle_poll_s: float = 0.02
    quiet_s: float = 1.0
    synchronous: Literal["FULL", "NORMAL"] = "FULL"


class SqliteTurnLog:
    """All roles of `turnlog.interface.TurnLog`. Open it inside a running event loop, use it in that loop only."""

    def __init__(
        self, path: Path, settings: SqliteSettings | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises IncompatibleLog, sqlite3.OperationalError where the file cannot be opened."""
        self._settings = settings or SqliteSettings()
        self._clock = clock
        self._members_folder = path.with_name(path.name + "-workers")
        self._reader = self._connect(path)
        self._reader.execute("PRAGMA query_only=ON")
        self._writer = GroupWriter(self._connect(path), self._on_news)
        self._partitions = store.count_partitions(self._reader)
        self._messages = Waiters[tuple[str, str]]()
        self._conversations = Waiters[str]()
        self._seen_turn = store.newest_turn(self._reader)
        self._work: SqliteWork | None = None
        self._closed = False
        self._poll = asyncio.create_task(self._poll_always())

    def _connect(self, path: Path) -> sqlite3.Connection:
        return store.connect(path, synchronous=self._settings.synchronous, create_partitions=self._settings.partitions)

    @property
    def partitions(self) -> int:
        return self._partitions

    def partition_of(self, conversation_id: str) -> int:
        return store.partition_of(conversation_id, self._partitions)

    async def owner_of(self, partition: int) -> str | None:
        self._check_open()
        worker = store.owner_of(self._reader, partition)
        if worker is None or worker not in self._live_members():
            return None
        return address_of(self._members_folder, worker)

    async def accept(self, message: InboxMessage) -> Accepted:
        settings = self._settings
        return await self._insert(message, settings.max_unanswered, settings.max_unanswered_per_conversation)

    async def put(self, message: InboxMessage) -> None:
        await self._insert(message, _NO_LIMIT, _NO_LIMIT)

    async def _insert(self, message: InboxMessage, most: int, most_of_one: int) -> Accepted:
        data = encode_inbox(message)
        if len(data) > self._settings.max_record_bytes:
            raise MessageTooLarge(f"the message has {len(data)} bytes; the log takes {self._settings.max_record_bytes}")
        conversation_id, message_id = message.conversation_id, message.message_id
        partition = self.partition_of(conversation_id)
        return await self._writer.run(
            lambda connection: store.insert_message(
                connection,
                partition,
                conversation_id,
                message_id,
                data,
                max_unanswered=most,
                max_unanswered_per_conversation=most_of_one,
            )
        )

    async def wait_for(self, conversation_id: str, message_id: str, timeout_s: float) -> TurnRecord:
        with self._messages.waiting((conversation_id, message_id)) as woken:
            try:
                async with asyncio.timeout(timeout_s):
                    while (row := self._find(conversation_id, message_id)) is None:
                        await woken.wait()
                        woken.clear()
            except TimeoutError as error:
                raise Unfinished(f"message '{message_id}' was not answered within {timeout_s:g} s") from error
        return decode_turn(row.record, conversation_id)

    def _find(self, conversation_id: str, message_id: str) -> store.Row | None:
        self._check_open()
        return store.find_turn(self._reader, conversation_id, message_id)

    async def turns(self, conversation_id: str, from_turn: int = 1) -> AsyncIterator[TurnRecord]:
        wanted = max(1, from_turn)
        with self._conversations.waiting(conversation_id) as woken:
            while True:
                woken.clear()
                self._check_open()
                rows = store.turns_of(self._reader, conversation_id, wanted, _PAGE)
                for row in rows:
                    wanted = (row.turn_number or 0) + 1
                    entry = _turn_entry(row)
                    if isinstance(entry, Entry):
                        yield entry.record
                if not rows:
                    await woken.wait()

    async def work(self, assignee: Assignee, address: str = "") -> None:
        """Raises RuntimeError where this log serves an assignee already."""
        if self._work is not None:
            raise RuntimeError("this log serves a worker already; open the file again for another one")
        self._check_open()
        settings = self._settings
        self._work = SqliteWork(
            self._reader,
            self._writer,
            Member(self._members_folder, self._clock, address),
            assignee,
            live=self._live_members,
            heartbeat_s=settings.heartbeat_s,
        )
        try:
            await self._work.run()
        finally:
            self._work = None

    def _live_members(self) -> Sequence[str]:
        return live_members(self._members_folder, self._settings.lease_s, self._clock)

    @property
    def joined(self) -> bool:
        return self._work is not None

    async def trouble(self) -> str:
        if self._closed:
            return "the turn log is closed"
        try:
            self._reader.execute("SELECT 1 FROM partitions LIMIT 1")
        except sqlite3.Error as error:
            return f"the turn log cannot be read: {error}"
        return ""

    async def leave(self) -> None:
        if self._work is not None:
            await self._work.leave()

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState:
        snapshot = store.find_snapshot(self._reader, conversation_id) if from_turn is None else None
        first = snapshot.turn_number + 1 if snapshot else from_turn or 1
        rows = store.turns_of(self._reader, conversation_id, first)
        last = (rows[-1].turn_number or 0) if rows else store.last_turn(self._reader, conversation_id)
        entries = [_turn_entry(row) for row in rows]
        return ConversationState(
            last_turn=last,
            turns=tuple(e.record for e in entries if isinstance(e, Entry)),
            snapshot=snapshot,
            undecodable=tuple(e for e in entries if isinstance(e, Undecodable)),
            agenda=store.find_agenda(self._reader, self.partition_of(conversation_id), conversation_id),
        )

    async def agendas(self, lease: Lease) -> Mapping[str, bytes]:
        self._check_open()
        store.check_lease(self._reader, lease, self._worker_name)
        return store.agendas(self._reader, lease.partition)

    @property
    def _worker_name(self) -> str:
        return self._work.name if self._work is not None else ""

    async def commit(
        self, lease: Lease, record: TurnRecord, snapshot: Snapshot | None = None, agenda: bytes | None = None
    ) -> Position:
        turn = store.NewTurn(
            partition=self.partition_of(record.conversation_id),
            conversation_id=record.conversation_id,
            message_id=record.message_id,
            turn_number=record.turn_number,
            inbox_offset=record.inbox_offset,
            record=encode_turn(record),
        )
        if turn.partition != lease.partition:
            raise ValueError(f"conversation '{turn.conversation_id}' is in partition {turn.partition}, not in {lease}")
        size = len(turn.record) + (len(snapshot.payload) if snapshot is not None else 0)
        if size > self._settings.max_record_bytes:
            raise TurnTooLarge(
                f"turn {turn.turn_number} of '{turn.conversation_id}' has {size} bytes, with its snapshot; "
                f"the log takes {self._settings.max_record_bytes}"
            )
        new_agenda = check_agenda(record, agenda)
        worker = self._worker_name
        erasing = erases(record)

        def write(connection: sqlite3.Connection) -> Position:
            position = store.insert_turn(connection, lease, worker, turn)
            if erasing:
                store.erase_before(connection, turn.conversation_id, turn.turn_number)
            if snapshot is not None:
                store.save_snapshot(connection, turn.conversation_id, snapshot)
            if new_agenda is not None:
                store.save_agenda(connection, turn.partition, turn.conversation_id, new_agenda)
            return position

        return await self._writer.run(write)

    async def read_inbox(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[InboxMessage] | Undecodable]:
        until = store.newest_message(self._reader)
        for rows in store.read_rows(self._reader, "inbox", partition, after_offset, until):
            for row in rows:
                yield _inbox_entry(row)
            await asyncio.sleep(0)

    async def read_turns(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
        until = store.newest_turn(self._reader)
        for rows in store.read_rows(self._reader, "turns", partition, after_offset, until):
            for row in rows:
                yield _turn_entry(row)
            await asyncio.sleep(0)

    async def close(self) -> None:
        if self._closed:
            return
        await self.leave()
        await self._stop()

    async def abandon(self) -> None:
        """Stop as if the process had been killed, for tests: no partition is handed over."""
        if self._work is not None:
            await self._work.abandon()
        await self._stop()

    async def _stop(self) -> None:
        self._closed = True
        self._messages.wake_all()
        self._conversations.wake_all()
        self._poll.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._poll
        await self._writer.close()
        self._reader.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the turn log is closed")

    async def _poll_always(self) -> None:
        loop = asyncio.get_running_loop()
        seen = store.data_version(self._reader)
        quiet_from = loop.time()
        while True:
            # A process with a worker of its own hears of most turns directly.
            is_quiet = (self._work is not None or not self._messages) and loop.time() > quiet_from
            await asyncio.sleep(self._settings.idle_poll_s if is_quiet else self._settings.poll_s)
            try:
                if (version := store.data_version(self._reader)) != seen:
                    self._on_news()
                    seen = version
                    quiet_from = loop.time() + self._settings.quiet_s
            except sqlite3.Error:
                logger.exception("the turn log could not be read; trying again")
                await asyncio.sleep(1.0)

    def _on_news(self) -> None:
        """Something was committed, here or elsewhere."""
        if self._closed:
            return
        if self._work is not None:
            self._work.news.set()
        for position, conversation_id, message_id in store.turns_since(self._reader, self._seen_turn):
            self._seen_turn = position
            self._messages.wake((conversation_id, message_id))
            self._conversations.wake(conversation_id)


def _turn_entry(row: store.Row) -> Entry[TurnRecord] | Undecodable:
    position = Position(row.partition, row.position)
    try:
        return Entry(position, decode_turn(row.record, row.conversation_id))
    except UndecodableRecord as error:
        return _report(Undecodable("turns", position, str(error), row.conversation_id, row.message_id))


def _inbox_entry(row: store.Row) -> Entry[InboxMessage] | Undecodable:
    position = Position(row.partition, row.position)
    try:
        return Entry(position, decode_inbox(row.record, row.conversation_id))
    except UndecodableRecord as error:
        return _report(Undecodable("inbox", position, str(error), row.conversation_id, row.message_id))


def _report(record: Undecodable) -> Undecodable:
    logger.error("%s", record)
    return record
