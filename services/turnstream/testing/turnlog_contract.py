"""What every turn log must do: one suite, run on each implementation.

A test module subclasses `TurnLogContract` and says how to open a log, how to open the same one again, and how to stop
one as a killed process would. Every wait is on something that happens; `PATIENCE_S` only bounds a failure.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import pytest

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.errors import Erased, Fenced, InboxFull, LogClosed, OutOfOrder, TurnTooLarge, Unfinished
from turnstream.turnlog.interface import (
    MAX_AGENDA_BYTES,
    Assignee,
    ConversationState,
    Delivery,
    Entry,
    Lease,
    Snapshot,
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


class TurnLogContract(ABC):
    """Subclass it, name the class `Test...`, and implement the abstract methods."""

    @abstractmethod
    async def open_log(self, *, max_unanswered: int = 1000) -> TurnLog:
        """Open the test's log (the same one each time); it is closed by `shut`."""

    @abstractmethod
    async def crash(self, log: TurnLog) -> None:
        """Stop this one as if its process had been killed."""

    @abstractmethod
    async def shut(self) -> None:
        """Close whatever is still open."""

    @pytest.fixture(autouse=True)
    async def _shut_at_the_end(self) -> AsyncIterator[None]:
        yield
        await soon(self.shut())

    async def run(self) -> Running:
        return Running(await self.open_log())

    async def test_an_accepted_message_survives_a_crash_and_is_delivered_after_it(self) -> None:
        log = await self.open_log()
        await log.accept(a_message("c", "m1", "first"))
        await self.crash(log)
        running = await self.run()
        delivery = await running.worker.next()
        assert delivery.message.user_message.text == "first"
        assert delivery.message.format_version == 1

    async def test_a_message_without_an_id_or_a_request_is_refused(self) -> None:
        log = await self.open_log()
        with pytest.raises(ValueError, match="message_id"):
            await log.accept(a_message("c", ""))
        with pytest.raises(ValueError, match="conversation_id"):
            await log.accept(a_message("", "m1"))
        with pytest.raises(ValueError, match="request"):
            await log.accept(InboxMessage(conversation_id="c", message_id="m1"))
        assert await everything(log.read_inbox()) == []

    async def test_the_same_id_again_is_the_same_message(self) -> None:
        running = await self.run()
        first = await running.log.accept(a_message("c", "m1", "first"))
        await running.log.accept(a_message("c", "m1", "a retry"))
        await running.log.accept(a_message("c", "m2", "second"))
        delivered = [await running.worker.next(), await running.worker.next()]
        assert [d.message.user_message.text for d in delivered] == ["first", "second"]
        assert delivered[0].position == first.position

    async def test_the_same_id_in_another_conversation_is_another_message(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        await running.log.accept(a_message("d", "m1"))
        delivered = {(await running.worker.next()).message.conversation_id for _ in range(2)}
        assert delivered == {"c", "d"}

    async def test_a_repeated_message_is_answered_from_the_log_and_not_delivered_again(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        record = await running.answer(await running.worker.next(), "the answer")
        await running.stop()
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        again = await running.log.wait_for("c", "m1", PATIENCE_S)
        assert [r.text for r in again.replies] == ["the answer"]
        assert again.turn_number == record.turn_number
        await running.log.accept(a_message("c", "m2"))
        assert (await running.worker.next()).message.message_id == "m2"

    async def test_too_many_waiting_messages_are_refused_until_some_are_answered(self) -> None:
        log = await self.open_log(max_unanswered=3)
        for n in range(3):
            await log.accept(a_message(f"c{n}", "m"))
        with pytest.raises(InboxFull) as refused:
            await log.accept(a_message("c9", "m"))
        assert refused.value.retry_after_s > 0
        running = Running(log)
        await running.answer(await running.worker.next())
        await log.accept(a_message("c9", "m"))

    async def test_messages_of_a_conversation_come_in_the_order_of_acceptance(self) -> None:
        running = await self.run()
        for n in range(20):
            await running.log.accept(a_message("c", f"m{n}"))
        delivered = [(await running.worker.next()).message.message_id for _ in range(20)]
        assert delivered == [f"m{n}" for n in range(20)]

    async def test_a_turn_that_is_not_finished_does_not_hold_up_another_conversation_of_its_partition(self) -> None:
        running = await self.run()
        slow, other = self.two_of_one_partition(running.log)
        await running.log.accept(a_message(slow, "m1"))
        await running.log.accept(a_message(other, "m1"))
        held = await running.worker.next()
        await running.answer(await running.worker.next(), "quick")
        assert (await running.log.wait_for(other, "m1", PATIENCE_S)).replies[0].text == "quick"
        await running.answer(held, "late")
        assert (await running.log.wait_for(slow, "m1", PATIENCE_S)).replies[0].text == "late"

    def two_of_one_partition(self, log: TurnLog) -> tuple[str, str]:
        names = [f"c{n}" for n in range(log.partitions + 1)]
        by_partition: dict[int, str] = {}
        for name in names:
            other = by_partition.setdefault(log.partition_of(name), name)
            if other != name:
                return other, name
        raise AssertionError("more names than partitions")

    async def test_what_finished_out_of_order_is_not_delivered_again_and_the_rest_is(self) -> None:
        running = await self.run()
        slow, other = self.two_of_one_partition(running.log)
        await running.log.accept(a_message(slow, "m1"))
        await running.log.accept(a_message(other, "m1"))
        await running.worker.next()
        await running.answer(await running.worker.next())
        await self.crash(running.log)
        running = await self.run()
        await running.log.accept(a_message("z", "last"))
        delivered = {(await running.worker.next()).message.conversation_id for _ in range(2)}
        assert delivered == {slow, "z"}

    async def test_many_conversations_at_once_each_get_their_own_turns_in_order(self) -> None:
        running = await self.run()

        async def talk(conversation: str) -> list[str]:
            replies = []
            for n in range(5):
                await running.log.accept(a_message(conversation, f"m{n}"))
                record = await running.log.wait_for(conversation, f"m{n}", PATIENCE_S)
                replies.append(record.replies[0].text)
            return replies

        async def answer_all() -> None:
            while True:
                delivery = await running.worker.deliveries.get()
                message = delivery.message
                await running.answer(delivery, f"{message.conversation_id}:{message.message_id}")

        answering = asyncio.create_task(answer_all())
        names = [f"c{n}" for n in range(16)]
        answers = await soon(asyncio.gather(*(talk(name) for name in names)))
        answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering
        assert answers == [[f"{name}:m{n}" for n in range(5)] for name in names]
        assert await check_log(running.log) == []

    async def test_concurrent_accepts_of_the_same_message_make_one_turn(self) -> None:
        running = await self.run()
        await asyncio.gather(*(running.log.accept(a_message("c", "m1")) for _ in range(8)))
        await running.answer(await running.worker.next())
        await running.log.accept(a_message("c", "m2"))
        assert (await running.worker.next()).message.message_id == "m2"

    async def test_a_commit_is_seen_whole_by_every_reader(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        delivery = await running.worker.next()
        record = a_turn(delivery, 1)
        record.events.add().session_started.SetInParent()
        record.errors.add(where="action", message="it failed")
        position = await running.log.commit(delivery.lease, record)
        record.format_version = 1
        assert await running.log.wait_for("c", "m1", PATIENCE_S) == record
        assert await running.log.conversation("c") == ConversationState(last_turn=1, turns=(record,))
        assert await everything(running.log.read_turns()) == [Entry(position, record)]

    async def test_nothing_of_a_turn_is_seen_before_its_commit(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        await running.worker.next()
        assert await running.log.conversation("c") == ConversationState(last_turn=0)
        with pytest.raises(Unfinished):
            await running.log.wait_for("c", "m1", 0.0)

    async def test_a_turn_that_does_not_follow_the_last_one_is_refused(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        delivery = await running.worker.next()
        with pytest.raises(OutOfOrder):
            await running.log.commit(delivery.lease, a_turn(delivery, 2))
        await running.log.commit(delivery.lease, a_turn(delivery, 1))
        with pytest.raises(OutOfOrder):
            await running.log.commit(delivery.lease, a_turn(delivery, 2))
        assert len(await everything(running.log.read_turns())) == 1

    async def test_turns_that_commit_together_fail_each_on_its_own(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        await running.log.accept(a_message("d", "m1"))
        first, second = await running.worker.next(), await running.worker.next()
        outcomes = await asyncio.gather(
            running.log.commit(first.lease, a_turn(first, 7)),
            running.log.commit(second.lease, a_turn(second, 1)),
            return_exceptions=True,
        )
        assert isinstance(outcomes[0], OutOfOrder)
        assert (await running.log.conversation(second.message.conversation_id)).last_turn == 1
        assert (await running.log.conversation(first.message.conversation_id)).last_turn == 0

    async def test_a_snapshot_is_kept_with_its_turn_and_shortens_what_is_read_back(self) -> None:
        running = await self.run()
        for n in (1, 2, 3):
            await running.log.accept(a_message("c", f"m{n}"))
            delivery = await running.worker.next()
            snapshot = Snapshot(2, b"state after two") if n == 2 else None
            await running.log.commit(delivery.lease, a_turn(delivery, n), snapshot)
        state = await running.log.conversation("c")
        assert state.snapshot == Snapshot(2, b"state after two")
        assert (state.last_turn, [turn.turn_number for turn in state.turns]) == (3, [3])

    async def test_a_conversation_can_be_read_from_any_turn_in_spite_of_its_snapshot(self) -> None:
        running = await self.run()
        for n in (1, 2, 3):
            await running.log.accept(a_message("c", f"m{n}"))
            delivery = await running.worker.next()
            snapshot = Snapshot(2, b"state after two") if n == 2 else None
            await running.log.commit(delivery.lease, a_turn(delivery, n), snapshot)
        for first, expected in ((1, [1, 2, 3]), (2, [2, 3]), (4, [])):
            state = await running.log.conversation("c", from_turn=first)
            assert state.snapshot is None
            assert (state.last_turn, [turn.turn_number for turn in state.turns]) == (3, expected)

    async def test_a_snapshot_may_be_older_than_the_turn_that_it_comes_with(self) -> None:
        running = await self.run()
        for n in (1, 2, 3):
            await running.log.accept(a_message("c", f"m{n}"))
            delivery = await running.worker.next()
            await running.log.commit(delivery.lease, a_turn(delivery, n), Snapshot(1, b"after one") if n == 3 else None)
        state = await running.log.conversation("c")
        assert state.snapshot == Snapshot(1, b"after one")
        assert [turn.turn_number for turn in state.turns] == [2, 3]

    async def test_a_worker_that_owns_nothing_reads_a_conversation_as_committed(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        await running.answer(await running.worker.next(), "here")
        other = await self.open_log()
        assert await soon(other.conversation("c")) == await running.log.conversation("c")

    async def test_the_owner_of_a_partition_is_known_by_its_address(self) -> None:
        log = await self.open_log()
        assert await log.owner_of(0) is None
        first = Running(log, address="10.0.0.1:700")
        await first.worker.holds(log.partitions)
        gateway = await self.open_log()
        assert await until(lambda: gateway.owner_of(0), "10.0.0.1:700") == "10.0.0.1:700"
        await first.stop()
        second = Running(await self.open_log(), address="10.0.0.2:700")
        await second.worker.holds(log.partitions)
        assert await until(lambda: gateway.owner_of(0), "10.0.0.2:700") == "10.0.0.2:700"

    async def test_a_worker_without_an_address_is_no_known_owner(self) -> None:
        running = await self.run()
        await running.worker.holds(running.log.partitions)
        assert await running.log.owner_of(0) is None

    async def test_one_worker_gets_all_partitions_and_two_share_them(self) -> None:
        first = await self.run()
        await first.worker.holds(first.log.partitions)
        second = await self.run()
        share = first.log.partitions // 2
        await second.worker.holds(share)
        await first.worker.holds(first.log.partitions - share)
        assert not set(first.worker.leases) & set(second.worker.leases)
        await first.stop()
        await second.worker.holds(first.log.partitions)

    async def test_a_dead_workers_messages_are_delivered_to_another_and_its_commits_are_fenced(self) -> None:
        dead = await self.run()
        await dead.log.accept(a_message("c", "m1"))
        lost = await dead.worker.next()
        await self.crash(dead.log)
        alive = await self.run()
        delivery = await alive.worker.next()
        assert delivery.message.message_id == "m1"
        assert delivery.lease.epoch > lost.lease.epoch
        with pytest.raises(Fenced):
            await alive.log.commit(lost.lease, a_turn(lost, 1))
        await alive.answer(delivery)
        assert len(await everything(alive.log.read_turns())) == 1

    async def test_a_worker_that_left_cannot_commit_any_more(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        delivery = await running.worker.next()
        await running.stop()
        assert delivery.lease in running.worker.revoked_leases
        with pytest.raises(Fenced):
            await running.log.commit(delivery.lease, a_turn(delivery, 1))

    async def test_what_was_not_answered_is_delivered_once_to_each_new_owner(self) -> None:
        for n in range(3):
            running = await self.run()
            await running.log.accept(a_message("c", "m1"))
            await running.log.accept(a_message("c", f"later{n}"))
            expected = ["m1", *(f"later{m}" for m in range(n + 1))]
            assert [(await running.worker.next()).message.message_id for _ in expected] == expected
            assert running.worker.deliveries.empty()
            await running.stop()

    async def test_waiting_begins_before_the_message_is_there(self) -> None:
        running = await self.run()
        waiting = asyncio.create_task(running.log.wait_for("c", "m1", PATIENCE_S))
        await running.log.accept(a_message("c", "m1"))
        await running.answer(await running.worker.next(), "here")
        assert (await soon(waiting)).replies[0].text == "here"

    async def test_a_turn_committed_elsewhere_is_heard_of(self) -> None:
        gateway = await self.open_log()
        waiting = asyncio.create_task(gateway.wait_for("c", "m1", PATIENCE_S))
        running = await self.run()
        await gateway.accept(a_message("c", "m1"))
        await running.answer(await running.worker.next(), "from afar")
        assert (await soon(waiting)).replies[0].text == "from afar"

    async def test_reading_from_a_turn_on_gives_the_past_and_then_the_live_turns(self) -> None:
        running = await self.run()

        async def one_turn(n: int) -> None:
            await running.log.accept(a_message("c", f"m{n}"))
            await running.answer(await running.worker.next(), f"reply {n}")

        for n in (1, 2, 3):
            await one_turn(n)
        turns = running.log.turns("c", from_turn=2)
        assert [(await soon(anext(turns))).turn_number for _ in range(2)] == [2, 3]
        live = asyncio.ensure_future(anext(turns))
        await one_turn(4)
        assert (await soon(live)).replies[0].text == "reply 4"
        await turns.aclose()  # type: ignore[attr-defined]

    async def test_reading_everything_gives_each_partition_in_order_and_can_go_on_from_a_place(self) -> None:
        running = await self.run()
        for n in range(6):
            await running.log.accept(a_message(f"c{n % 2}", f"m{n}"))
            await running.answer(await running.worker.next())
        partition = running.log.partition_of("c0")
        entries = [e for e in await everything(running.log.read_turns(partition)) if isinstance(e, Entry)]
        assert [e.record.message_id for e in entries if e.record.conversation_id == "c0"] == ["m0", "m2", "m4"]
        rest = await everything(running.log.read_turns(partition, after_offset=entries[0].position.offset))
        assert rest == list(entries[1:])
        inbox = [e for e in await everything(running.log.read_inbox()) if isinstance(e, Entry)]
        assert {e.record.message_id for e in inbox} == {f"m{n}" for n in range(6)}

    async def test_an_erased_conversation_has_nothing_left_but_the_fact(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1", "my secret"))
        await running.answer(await running.worker.next(), "your secret")
        message = InboxMessage(conversation_id="c", message_id="e1")
        message.erasure.reason = "asked for"
        await running.log.accept(message)
        delivery = await running.worker.next()
        record = a_turn(delivery, 2, "")
        record.events.add().conversation_erased.SetInParent()
        await running.log.commit(delivery.lease, record)
        turns = [e for e in await everything(running.log.read_turns()) if isinstance(e, Entry)]
        assert [e.record.turn_number for e in turns] == [2]
        inbox = [e for e in await everything(running.log.read_inbox()) if isinstance(e, Entry)]
        assert [e.record.message_id for e in inbox] == ["e1"]
        assert (await running.log.conversation("c")).last_turn == 2
        with pytest.raises(Erased):
            await running.log.wait_for("c", "m1", PATIENCE_S)

    async def commit_with_agenda(self, running: Running, message_id: str, number: int, agenda: bytes | None) -> Lease:
        await running.log.accept(a_message("c", message_id))
        delivery = await running.worker.next()
        await running.log.commit(delivery.lease, a_turn(delivery, number), None, agenda)
        return delivery.lease

    async def test_an_agenda_is_kept_with_its_turn_until_another_one_replaces_it(self) -> None:
        running = await self.run()
        lease = await self.commit_with_agenda(running, "m1", 1, b"call back at ten")
        assert await running.log.agendas(lease) == {"c": b"call back at ten"}
        assert (await running.log.conversation("c")).agenda == b"call back at ten"
        await self.commit_with_agenda(running, "m2", 2, None)
        assert await running.log.agendas(lease) == {"c": b"call back at ten"}
        await self.commit_with_agenda(running, "m3", 3, b"at eleven")
        assert await running.log.agendas(lease) == {"c": b"at eleven"}
        await self.commit_with_agenda(running, "m4", 4, b"")
        assert await running.log.agendas(lease) == {}
        assert (await running.log.conversation("c")).agenda == b""

    async def test_the_next_owner_knows_the_agendas_and_nobody_else(self) -> None:
        running = await self.run()
        lease = await self.commit_with_agenda(running, "m1", 1, b"call back at ten")
        other = running.log.partition_of("c") + 1
        assert await running.log.agendas(running.worker.leases[other % running.log.partitions]) == {}
        await self.crash(running.log)
        running = await self.run()
        await running.worker.holds(running.log.partitions)
        mine = running.worker.leases[lease.partition]
        assert await running.log.agendas(mine) == {"c": b"call back at ten"}
        with pytest.raises(Fenced):
            await running.log.agendas(lease)

    async def test_an_agenda_of_a_turn_that_is_refused_is_not_kept(self) -> None:
        running = await self.run()
        await running.log.accept(a_message("c", "m1"))
        delivery = await running.worker.next()
        with pytest.raises(OutOfOrder):
            await running.log.commit(delivery.lease, a_turn(delivery, 2), None, b"never")
        with pytest.raises(TurnTooLarge):
            await running.log.commit(delivery.lease, a_turn(delivery, 1), None, bytes(MAX_AGENDA_BYTES + 1))
        assert await running.log.agendas(delivery.lease) == {}

    async def test_an_erased_conversation_has_no_agenda(self) -> None:
        running = await self.run()
        await self.commit_with_agenda(running, "m1", 1, b"call back at ten")
        message = InboxMessage(conversation_id="c", message_id="e1")
        message.erasure.reason = "asked for"
        await running.log.accept(message)
        delivery = await running.worker.next()
        record = a_turn(delivery, 2, "")
        record.events.add().conversation_erased.SetInParent()
        await running.log.commit(delivery.lease, record)
        assert await running.log.agendas(delivery.lease) == {}

    async def test_a_message_of_the_workers_own_is_delivered_once_however_often_it_is_put_and_however_much_waits(
        self,
    ) -> None:
        running = Running(await self.open_log(max_unanswered=1))
        await running.log.accept(a_message("c", "m1"))
        with pytest.raises(InboxFull):
            await running.log.accept(a_message("c", "m2"))
        for _ in range(2):
            await running.log.put(a_message("c", "reminder"))
        assert [(await running.worker.next()).message.message_id for _ in range(2)] == ["m1", "reminder"]
        await running.log.put(a_message("c", "last"))
        assert (await running.worker.next()).message.message_id == "last"

    async def test_whoever_waits_hears_that_the_log_is_closed(self) -> None:
        log = await self.open_log()
        waiting = asyncio.create_task(log.wait_for("c", "m1", PATIENCE_S))
        await asyncio.sleep(0)
        await log.close()
        with pytest.raises(LogClosed):
            await soon(waiting)
        with pytest.raises(LogClosed):
            await log.accept(a_message("c", "m1"))
