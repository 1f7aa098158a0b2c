"""What tests of a turn log share: messages, turns, and a worker that keeps what it is given.

Every wait is on something that happens; `PATIENCE_S` only bounds a failure.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.turnlog.interface import (
    Assignee,
    Delivery,
    Lease,
    TurnLog,
    Undecodable,
)

PATIENCE_S = 30.0

T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    """The result, or a failure where it does not come."""
    async with asyncio.timeout(PATIENCE_S):
        return await awaitable


def a_message(conversation_id: str, message_id: str, text: str = "hello") -> InboxMessage:
    message = InboxMessage(conversation_id=conversation_id, message_id=message_id, channel="rest")
    message.user_message.text = text
    return message


def a_turn(delivery: Delivery, turn_number: int, reply: str = "hi") -> TurnRecord:
    record = TurnRecord(
        conversation_id=delivery.message.conversation_id,
        message_id=delivery.message.message_id,
        turn_number=turn_number,
        inbox_partition=delivery.position.partition,
        inbox_offset=delivery.position.offset,
    )
    record.events.add().bot_uttered.text = reply
    record.replies.add(text=reply)
    return record


class RecordingWorker(Assignee):
    """Takes what is delivered and keeps it; answers when told to, or at once with `Answering`."""

    def __init__(self) -> None:
        self.deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
        self.leases: dict[int, Lease] = {}
        self.revoked_leases: list[Lease] = []
        self.problems: list[Undecodable] = []
        self.changed = asyncio.Condition()

    async def claimed(self, lease: Lease) -> None:
        async with self.changed:
            self.leases[lease.partition] = lease
            self.changed.notify_all()

    async def revoked(self, lease: Lease) -> None:
        async with self.changed:
            self.leases.pop(lease.partition, None)
            self.revoked_leases.append(lease)
            self.changed.notify_all()

    async def deliver(self, delivery: Delivery) -> None:
        self.deliveries.put_nowait(delivery)

    async def undecodable(self, record: Undecodable) -> None:
        async with self.changed:
            self.problems.append(record)
            self.changed.notify_all()

    async def next(self) -> Delivery:
        return await soon(self.deliveries.get())

    async def holds(self, count: int) -> None:
        """Wait until exactly `count` partitions are this worker's."""
        async with self.changed:
            await soon(self.changed.wait_for(lambda: len(self.leases) == count))


class Running:
    """A log with a worker on it."""

    def __init__(self, log: TurnLog, worker: RecordingWorker | None = None, address: str = "") -> None:
        self.log = log
        self.worker = worker or RecordingWorker()
        self.task = asyncio.create_task(log.work(self.worker, address))

    async def erase(self, conversation_id: str, turn: int) -> Delivery:
        """Ask for it, and commit it as this turn."""
        message = InboxMessage(conversation_id=conversation_id, message_id="e1")
        message.erasure.reason = "asked for"
        await self.log.accept(message)
        delivery = await self.worker.next()
        record = a_turn(delivery, turn, "")
        record.events.add().conversation_erased.SetInParent()
        await self.log.commit(delivery.lease, record)
        return delivery

    async def answer(self, delivery: Delivery, reply: str = "hi") -> TurnRecord:
        state = await self.log.conversation(delivery.message.conversation_id)
        record = a_turn(delivery, state.last_turn + 1, reply)
        await self.log.commit(delivery.lease, record)
        return record

    async def stop(self) -> None:
        await soon(self.log.leave())
        await soon(self.task)


async def until(read: Callable[[], Awaitable[object]], expected: object) -> object:
    """What is read once it is as expected: for what a log may know a moment late. Else what it was at last."""
    found = await read()
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while found != expected:
                await asyncio.sleep(0.01)
                found = await read()
    return found


async def everything(entries: AsyncIterator[T]) -> list[T]:
    return [entry async for entry in entries]
