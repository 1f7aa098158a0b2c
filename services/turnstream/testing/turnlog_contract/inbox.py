"""What is accepted: each message once, in order, and not more than can be carried."""

import asyncio
from contextlib import suppress

import pytest

from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.testing.turnlog_contract.opened import OpenedLog
from turnstream.testing.turnlog_contract.running import (
    PATIENCE_S,
    Running,
    a_message,
    everything,
    soon,
)
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.errors import InboxFull
from turnstream.turnlog.interface import (
    TurnLog,
)


class InboxContract(OpenedLog):
    """Tests; see the module."""

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
