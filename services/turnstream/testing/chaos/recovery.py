"""How long a dead replica's conversations are silent, with the settings that a user gets by default.

The broker has its own defaults too, where `kafka_broker` sets them lower for tests. In each conversation somebody
pauses and writes again; what counts is the time from the kill to the answer of the first message that a conversation
sent after it.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import grpc
import grpc.aio

from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.testing.chaos.client import gateway_stub
from turnstream.testing.chaos.cluster import Chronicle, Cluster
from turnstream.testing.chaos.plan import FaultKind, Plan, PlannedFault
from turnstream.testing.chaos.roles import Place
from turnstream.testing.kafka_broker import BrokerSettings, KafkaBroker
from turnstream.turnlog.kafka.settings import KafkaSettings

CONVERSATIONS = 48
_BROKER_DEFAULTS = {
    "group.min.session.timeout.ms": "6000",
    "group.initial.rebalance.delay.ms": "3000",
    "offsets.topic.num.partitions": "50",
    "transaction.state.log.num.partitions": "50",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000",
}
_LOOK_S = 0.1
_REPLACED_AFTER_S = 15.0
_CALM_S = 6.0
_WITHOUT_A_KILL_S = 1.0
"""Whoever was answered sooner than that was not the dead replica's."""


@dataclass(slots=True)
class _Talk:
    """When each message was sent and answered, by conversation, in the loop's time."""

    pause_s: float
    answered: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    async def go_on(self, address: str, conversation_id: str) -> None:
        """One message after the other, until cancelled."""
        loop = asyncio.get_running_loop()
        number = 0
        async with gateway_stub(address) as stub:
            while True:
                number += 1
                request = pb.SendMessageRequest(
                    conversation_id=conversation_id, message_id=f"m{number}", text=f"text {number}"
                )
                sent = loop.time()
                with suppress(grpc.aio.AioRpcError):
                    await stub.SendMessage(request, timeout=60.0)
                    self.answered[conversation_id].append((sent, loop.time()))
                await asyncio.sleep(self.pause_s)

    async def after(self, moment: float) -> list[float]:
        """For each conversation, seconds from then to the first answer to what it sent after that."""
        while True:
            first = {
                name: next((answered - moment for sent, answered in times if sent >= moment), None)
                for name, times in self.answered.items()
            }
            found = [seconds for seconds in first.values() if seconds is not None]
            if len(found) == CONVERSATIONS:
                return found
            await asyncio.sleep(_LOOK_S)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Of one kill or several: seconds until each of the dead replica's conversations was answered again."""

    silent_s: Sequence[float]

    def __str__(self) -> str:
        if not self.silent_s:
            return "no conversation was held up"
        middle, worst = median(self.silent_s), max(self.silent_s)
        return f"{len(self.silent_s)} conversations, median {middle:.2f} s, worst {worst:.2f} s"


async def measure(kills: int, pause_s: float, folder: Path, told: Callable[[str], None]) -> Recovery:
    """Those who talk pause for `pause_s` after each answer. `told` hears of each kill; returned are all of them
    together. Raises BrokerUnavailable.
    """
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 (a moment)
    settings = BrokerSettings(properties=_BROKER_DEFAULTS)
    broker = await asyncio.to_thread(KafkaBroker.start, folder / "broker", settings)
    try:
        log = KafkaSettings(bootstrap_servers=broker.address, replication=1)
        return await _measure(kills, pause_s, Place(json.dumps(asdict(log)), folder), told)
    finally:
        await asyncio.to_thread(broker.stop)


async def _measure(kills: int, pause_s: float, place: Place, told: Callable[[str], None]) -> Recovery:
    loop = asyncio.get_running_loop()
    talk = _Talk(pause_s)
    silent_s: list[float] = []
    async with Cluster(Plan(0, 2, 1, (), ()), place, Chronicle()) as cluster:
        address = cluster.gateways.pick(0)
        talking = [asyncio.create_task(talk.go_on(address, f"c{n}")) for n in range(CONVERSATIONS)]
        try:
            for kill in range(1, kills + 1):
                await talk.after(loop.time())
                await asyncio.sleep(_CALM_S)
                moment = loop.time()
                await cluster.strike(PlannedFault(FaultKind.KILL_REPLICA, 0.0, kill, _REPLACED_AFTER_S))
                held_up = [seconds for seconds in await talk.after(moment) if seconds > _WITHOUT_A_KILL_S]
                told(f"kill {kill}: {Recovery(held_up)}")
                silent_s += held_up
                await cluster.quiet()
        finally:
            for task in talking:
                task.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
    return Recovery(silent_s)
