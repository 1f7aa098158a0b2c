"""What a conversation is to do of its own accord, kept with its turns."""

import pytest

from turnstream.testing.turnlog_contract.opened import OpenedLog
from turnstream.testing.turnlog_contract.running import Running, a_message, a_turn
from turnstream.turnlog.errors import Fenced, OutOfOrder, TurnTooLarge
from turnstream.turnlog.interface import (
    MAX_AGENDA_BYTES,
    Lease,
)


class AgendasContract(OpenedLog):
    """Tests; see the module."""

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
        delivery = await running.erase("c", turn=2)
        assert await running.log.agendas(delivery.lease) == {}
