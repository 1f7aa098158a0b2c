"""A worker that loses a partition and is given it again while a turn of the old lease is under way."""

import asyncio
from collections.abc import Mapping

from support.turns import PLANS, a_domain
from support.workers import PATIENCE_S, Gate
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord, UserMessage
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.services import Services
from turnstream.conversation.turn import TurnHandler
from turnstream.conversation.worker import ConversationWorker
from turnstream.runtime.bundles import Bundles
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.turnlog.errors import Fenced
from turnstream.turnlog.interface import Assignee, ConversationState, Delivery, Lease, Position, Snapshot

OLD, NEW = Lease(0, 1), Lease(0, 2)


class Log:
    """Takes commits under the new lease only."""

    def __init__(self) -> None:
        self.committed: asyncio.Queue[TurnRecord] = asyncio.Queue()

    async def work(self, assignee: Assignee, address: str = "") -> None: ...

    async def leave(self) -> None: ...

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState:
        return ConversationState(0)

    async def agendas(self, lease: Lease) -> Mapping[str, bytes]:
        return {}

    async def put(self, message: InboxMessage) -> None: ...

    async def commit(
        self, lease: Lease, record: TurnRecord, snapshot: Snapshot | None = None, agenda: bytes | None = None
    ) -> Position:
        if lease != NEW:
            raise Fenced(lease.partition, lease.epoch)
        self.committed.put_nowait(record)
        return Position(0, 0)


def a_delivery(lease: Lease, message_id: str, text: str) -> Delivery:
    message = InboxMessage(
        conversation_id="c", message_id=message_id, channel="rest", user_message=UserMessage(text=text)
    )
    return Delivery(lease, Position(0, 0), message)


async def test_what_is_delivered_under_the_new_lease_outlives_the_turn_of_the_old_one() -> None:
    log, services = Log(), ScriptedServices()
    services.policy.plans = {intent: list(actions) for intent, actions in PLANS.items()}
    bundles = Bundles({"v1": LoadedAssistant("v1", a_domain(actions=("action_order",)))})
    worker = ConversationWorker(log, TurnHandler(bundles, Services(services.channels())), partition_of=lambda name: 0)
    gate = Gate(services, "action_order")
    await worker.claimed(OLD)
    await worker.deliver(a_delivery(OLD, "m1", "/order"))
    await gate.entered.wait()
    await worker.claimed(NEW)
    await worker.deliver(a_delivery(NEW, "m1", "/greet"))
    await worker.deliver(a_delivery(NEW, "m2", "/greet"))
    gate.opened.set()
    await worker.revoked(OLD)
    answered = [await asyncio.wait_for(log.committed.get(), PATIENCE_S) for _ in range(2)]
    assert [record.message_id for record in answered] == ["m1", "m2"]
    assert worker.holds("c")
    await worker.revoked(NEW)
    assert not worker.holds("c")
    assert worker.in_flight == 0
