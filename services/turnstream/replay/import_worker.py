"""Carries an import out: its messages go to the inbox, and are answered by the workers of the log, or here."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.dialogue.proto import timestamp_to_proto
from turnstream.replay.importing import MESSAGE_PREFIX, Plan
from turnstream.turnlog.errors import InboxFull, LogClosed, TurnLogError
from turnstream.turnlog.interface import Delivery, Lease, TurnLog, Undecodable


class ImportFailed(Exception):
    """A conversation is not imported, or not all of it; says why. Importing again goes on with it."""


class ImportWorker:
    """A `turnlog.interface.Assignee` that answers imports alone; other messages wait for the next worker."""

    def __init__(self, log: TurnLog) -> None:
        self._log = log
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._behind: set[str] = set()
        """Conversations with a message that came before and must be answered first."""
        self.failures: dict[str, str] = {}
        """Why a conversation's message was not answered."""

    async def claimed(self, lease: Lease) -> None:
        pass

    async def revoked(self, lease: Lease) -> None:
        await asyncio.gather(*self._tasks)

    async def deliver(self, delivery: Delivery) -> None:
        conversation_id = delivery.message.conversation_id
        if not is_import(delivery.message):
            self._behind.add(conversation_id)
        elif conversation_id in self._behind:
            self.failures[conversation_id] = "a message of it waits to be answered first; let the assistant do so"
        else:
            task = asyncio.create_task(self._commit(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def undecodable(self, record: Undecodable) -> None:
        self._behind.add(record.conversation_id)

    async def _commit(self, delivery: Delivery) -> None:
        message = delivery.message
        async with self._turns[message.conversation_id]:
            try:
                state = await self._log.conversation(message.conversation_id)
                await self._log.commit(delivery.lease, _turn(delivery, state.last_turn + 1))
            except LogClosed:
                return
            except TurnLogError as error:
                self.failures[message.conversation_id] = str(error)


def is_import(message: InboxMessage) -> bool:
    return message.message_id.startswith(MESSAGE_PREFIX) and message.events_to_append.verbatim


def _turn(delivery: Delivery, number: int) -> TurnRecord:
    message = delivery.message
    return TurnRecord(
        conversation_id=message.conversation_id,
        message_id=message.message_id,
        turn_number=number,
        committed_at=timestamp_to_proto(time.time()),
        events=message.events_to_append.events,
        inbox_partition=delivery.position.partition,
        inbox_offset=delivery.position.offset,
        channel=message.channel,
    )


class Importer:
    """Puts plans into the log; each conversation's messages one after the other."""

    def __init__(self, log: TurnLog, worker: ImportWorker | None, answered_within_s: float = 60.0) -> None:
        self._log = log
        self._worker = worker
        self._answered_within_s = answered_within_s

    async def carry_out(self, plan: Plan) -> None:
        """Until all of it is committed. Raises ImportFailed."""
        for message in plan.messages:
            try:
                await self._accept(message)
                await self._answered(message)
            except TurnLogError as error:
                raise ImportFailed(str(error)) from error

    async def _accept(self, message: InboxMessage) -> None:
        while True:
            try:
                await self._log.accept(message)
                return
            except InboxFull as error:
                await asyncio.sleep(error.retry_after_s)

    async def _answered(self, message: InboxMessage) -> None:
        """Raises ImportFailed, Unfinished."""
        waiting = asyncio.ensure_future(
            self._log.wait_for(message.conversation_id, message.message_id, self._answered_within_s)
        )
        try:
            while not (await asyncio.wait([waiting], timeout=_LOOKED_EVERY_S))[0]:
                failure = self._worker and self._worker.failures.get(message.conversation_id)
                if failure:
                    raise ImportFailed(failure)
            record = waiting.result()
        finally:
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, TurnLogError):
                await waiting
        if record.errors:
            raise ImportFailed("; ".join(error.message for error in record.errors))


_LOOKED_EVERY_S = 0.2


@asynccontextmanager
async def importer(log: TurnLog) -> AsyncIterator[Importer]:
    """With a worker of its own where no other one tells that it answers; that one leaves at the end."""
    owners = [await log.owner_of(partition) for partition in range(log.partitions)]
    if any(owner is not None for owner in owners):
        yield Importer(log, None)
        return
    worker = ImportWorker(log)
    working = asyncio.create_task(log.work(worker))
    try:
        yield Importer(log, worker)
    finally:
        await log.leave()
        # It may not have begun yet, where there was nothing to do.
        await asyncio.wait([working], timeout=_LOOKED_EVERY_S)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
