"""What is committed: whole or not at all, in order, and read again by everybody."""

import asyncio

import pytest

from turnstream.testing.turnlog_contract.opened import OpenedLog
from turnstream.testing.turnlog_contract.running import (
    PATIENCE_S,
    Running,
    a_message,
    a_turn,
    everything,
    soon,
)
from turnstream.turnlog.errors import Erased, LogClosed, OutOfOrder, Unfinished
from turnstream.turnlog.interface import (
    ConversationState,
    Entry,
    Snapshot,
)


class TurnsContract(OpenedLog):
    """Tests; see the module."""

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

    async def _after_three_turns(self) -> Running:
        """With a snapshot at the second."""
        running = await self.run()
        for n in (1, 2, 3):
            await running.log.accept(a_message("c", f"m{n}"))
            delivery = await running.worker.next()
            snapshot = Snapshot(2, b"state after two") if n == 2 else None
            await running.log.commit(delivery.lease, a_turn(delivery, n), snapshot)
        return running

    async def test_a_snapshot_is_kept_with_its_turn_and_shortens_what_is_read_back(self) -> None:
        running = await self._after_three_turns()
        state = await running.log.conversation("c")
        assert state.snapshot == Snapshot(2, b"state after two")
        assert (state.last_turn, [turn.turn_number for turn in state.turns]) == (3, [3])

    async def test_a_conversation_can_be_read_from_any_turn_in_spite_of_its_snapshot(self) -> None:
        running = await self._after_three_turns()
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
        await running.erase("c", turn=2)
        turns = [e for e in await everything(running.log.read_turns()) if isinstance(e, Entry)]
        assert [e.record.turn_number for e in turns] == [2]
        inbox = [e for e in await everything(running.log.read_inbox()) if isinstance(e, Entry)]
        assert [e.record.message_id for e in inbox] == ["e1"]
        assert (await running.log.conversation("c")).last_turn == 2
        with pytest.raises(Erased):
            await running.log.wait_for("c", "m1", PATIENCE_S)

    async def test_whoever_waits_hears_that_the_log_is_closed(self) -> None:
        log = await self.open_log()
        waiting = asyncio.create_task(log.wait_for("c", "m1", PATIENCE_S))
        await asyncio.sleep(0)
        await log.close()
        with pytest.raises(LogClosed):
            await soon(waiting)
        with pytest.raises(LogClosed):
            await log.accept(a_message("c", "m1"))
