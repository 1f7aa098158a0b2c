"""Who owns a partition, and what becomes of one whose owner is gone."""

import pytest

from turnstream.testing.turnlog_contract.opened import OpenedLog
from turnstream.testing.turnlog_contract.running import Running, a_message, a_turn, everything, soon, until
from turnstream.turnlog.errors import Fenced


class OwnersContract(OpenedLog):
    """Tests; see the module."""

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
