"""One worker of the SQLite turn log: its share of the partitions, and the delivery of their messages."""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Sequence

from turnstream.turnlog import sqlite_store as store
from turnstream.turnlog.errors import UndecodableRecord
from turnstream.turnlog.interface import Assignee, Delivery, Lease, Position, Undecodable
from turnstream.turnlog.records import decode_inbox
from turnstream.turnlog.sqlite_members import Member
from turnstream.turnlog.sqlite_writer import GroupWriter

logger = logging.getLogger(__name__)

_CHUNK = 64
_PAUSE_S = 1.0


class SqliteWork:
    """Serves one `Assignee`. Its calls for one partition are made one at a time, in the order of what happened."""

    def __init__(
        self,
        reader: sqlite3.Connection,
        writer: GroupWriter,
        member: Member,
        assignee: Assignee,
        *,
        live: Callable[[], Sequence[str]],
        heartbeat_s: float,
    ) -> None:
        """`live` names the workers that live, this one included or not."""
        self.news = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._member = member
        self._live = live
        self._heartbeat_s = heartbeat_s
        self._assignee = assignee
        self._leases: dict[int, Lease] = {}
        self._delivered: dict[int, int] = {}
        self._rescan = True
        self._calls = asyncio.Lock()
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self._abandoned = False

    @property
    def name(self) -> str:
        return self._member.name

    async def run(self) -> None:
        """Until `leave`, or until cancelled; then nothing is handed over, and the others find this worker gone."""
        # A worker that waits for its last turns is well.
        beating = asyncio.create_task(self._beat_always())
        try:
            await self._serve()
            if not self._abandoned:
                await self._hand_over(list(self._leases.values()))
        finally:
            beating.cancel()
            self._member.close()
            self._left.set()

    async def _beat_always(self) -> None:
        while True:
            self._member.beat()
            await asyncio.sleep(self._heartbeat_s)

    async def _serve(self) -> None:
        loops = (self._balance_always(), self._deliver_always(), self._leaving.wait())
        tasks = [asyncio.ensure_future(loop) for loop in loops]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def leave(self) -> None:
        self._leaving.set()
        await self._left.wait()

    async def abandon(self) -> None:
        """Stop as if the process had been killed: nothing is handed over, nothing tidied up."""
        self._abandoned = True
        self._member.abandon()
        await self.leave()

    async def _balance_always(self) -> None:
        while True:
            try:
                await self._balance()
            except sqlite3.Error:
                logger.exception("the partitions could not be shared out; trying again")
            await asyncio.sleep(self._heartbeat_s)

    async def _balance(self) -> None:
        owners = store.owners(self._reader)
        await self._drop_lost(owners)
        live = {*self._live(), self.name}
        fair = math.ceil(len(owners) / len(live))
        await self._hand_over(list(self._leases.values())[fair:])
        free = [owner for owner in owners if owner.worker not in live]
        wanted = free[: max(0, fair - len(self._leases))]
        if wanted:
            for lease in await self._writer.run(lambda connection: store.claim(connection, wanted, self.name)):
                await self._take(lease)

    async def _drop_lost(self, owners: list[store.Ownership]) -> None:
        mine = {Lease(o.partition, o.epoch) for o in owners if o.worker == self.name}
        for lease in [lease for lease in self._leases.values() if lease not in mine]:
            logger.warning("partition %d was taken over by another worker", lease.partition)
            await self._revoke(lease)

    async def _hand_over(self, leases: Sequence[Lease]) -> None:
        await asyncio.gather(*(self._release(lease) for lease in leases))

    async def _release(self, lease: Lease) -> None:
        await self._revoke(lease)
        await self._writer.run(lambda connection: store.release(connection, lease, self.name))

    async def _revoke(self, lease: Lease) -> None:
        async with self._calls:
            # Nothing of it is delivered from here on, while other partitions go on.
            del self._leases[lease.partition]
        await self._assignee.revoked(lease)

    async def _take(self, lease: Lease) -> None:
        async with self._calls:
            await self._assignee.claimed(lease)
            self._leases[lease.partition] = lease
            self._delivered[lease.partition] = 0
            self._rescan = True
            self.news.set()

    async def _deliver_always(self) -> None:
        after = 0
        while True:
            self.news.clear()
            if self._rescan:
                after, self._rescan = 0, False
            rows = await self._read_on(after)
            for row in rows:
                async with self._calls:
                    if self._rescan:
                        # A partition was claimed just now: its older messages come first.
                        break
                    await self._deliver(row)
                after = row.position
            if not rows:
                await self.news.wait()

    async def _read_on(self, after: int) -> list[store.Row]:
        while True:
            try:
                return store.unanswered(self._reader, after, _CHUNK)
            except sqlite3.Error:
                logger.exception("the inbox could not be read; trying again")
                await asyncio.sleep(_PAUSE_S)

    async def _deliver(self, row: store.Row) -> None:
        lease = self._leases.get(row.partition)
        if lease is None or row.position <= self._delivered[row.partition]:
            return
        self._delivered[row.partition] = row.position
        position = Position(row.partition, row.position)
        try:
            message = decode_inbox(row.record, row.conversation_id)
        except UndecodableRecord as error:
            record = Undecodable("inbox", position, str(error), row.conversation_id, row.message_id)
            logger.error("%s", record)
            await self._assignee.undecodable(record)
        else:
            await self._assignee.deliver(Delivery(lease, position, message))
