"""Where the logs of runs live: on brokers that many runs share, on one that may be killed, or in a file."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import kafka
import kafka.errors

from turnstream.testing.chaos.cluster import Broker
from turnstream.testing.chaos.plan import Odds, Plan
from turnstream.testing.kafka_broker import BrokerSettings, KafkaBroker
from turnstream.turnlog.kafka.settings import KafkaSettings

_SESSION_TIMEOUT_S = 1.5
_LEASE_S = 1.5


@dataclass(frozen=True, slots=True)
class Scene:
    """The log of one run, as `conversation_process.open_log` takes it, and the broker that this run may kill."""

    log: str
    broker: Broker | None = None


class Stage(Protocol):
    """Gives each run a log of its own."""

    @property
    def odds(self) -> Odds: ...

    def scene(self, plan: Plan, folder: Path) -> AbstractAsyncContextManager[Scene]: ...

    async def close(self) -> None: ...


class SqliteStage:
    """A file for each run."""

    odds = Odds(session_timeout_s=_LEASE_S, has_broker=False)

    @asynccontextmanager
    async def scene(self, plan: Plan, folder: Path) -> AsyncIterator[Scene]:
        yield Scene(json.dumps({"path": str(folder / "turns.db"), "partitions": 3, "lease_s": _LEASE_S}))

    async def close(self) -> None:
        pass


class Switch:
    """A broker's power switch."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker

    async def kill(self) -> None:
        await asyncio.to_thread(self._broker.kill)

    async def launch(self) -> None:
        await asyncio.to_thread(self._broker.launch)


class KafkaStage:
    """Topics of its own for each run, on a broker that all share. What kills its broker has another one to itself.

    Brokers are started when they are needed first.
    """

    odds = Odds(session_timeout_s=_SESSION_TIMEOUT_S)

    def __init__(self, folder: Path, shared: KafkaBroker | None = None, fragile: KafkaBroker | None = None) -> None:
        """`shared` and `fragile` (the one that is killed) serve already, and outlive this."""
        self._folder = folder
        self._given = {"shared": shared, "fragile": fragile}
        self._started: dict[str, KafkaBroker] = {}
        self._starting = asyncio.Lock()
        self._fragile = asyncio.Lock()

    @asynccontextmanager
    async def scene(self, plan: Plan, folder: Path) -> AsyncIterator[Scene]:
        async with AsyncExitStack() as stack:
            if plan.breaks_broker:
                await stack.enter_async_context(self._fragile)
                broker = await self._broker("fragile")
            else:
                broker = await self._broker("shared")
            settings = _settings(broker, f"chaos-{plan.seed}-{uuid.uuid4().hex[:8]}.")
            stack.push_async_callback(asyncio.to_thread, _forget, settings)
            yield Scene(json.dumps(asdict(settings)), Switch(broker) if plan.breaks_broker else None)

    async def _broker(self, name: str) -> KafkaBroker:
        given = self._given[name]
        if given is not None:
            return given
        async with self._starting:
            if name not in self._started:
                settings = BrokerSettings(heap_mb=512)
                self._started[name] = await asyncio.to_thread(KafkaBroker.start, self._folder / name, settings)
            return self._started[name]

    async def close(self) -> None:
        for broker in self._started.values():
            await asyncio.to_thread(broker.stop)


def _settings(broker: KafkaBroker, prefix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=broker.address,
        prefix=prefix,
        partitions=3,
        replication=1,
        session_timeout_s=_SESSION_TIMEOUT_S,
        accept_timeout_s=3.0,
    )


def _forget(settings: KafkaSettings) -> None:
    """Delete the topics of a run: hundreds of runs would be thousands of partitions."""
    with suppress(kafka.errors.KafkaError):
        admin = kafka.KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers, bootstrap_timeout_ms=5000)
        try:
            admin.delete_topics([name for name in admin.list_topics() if name.startswith(settings.prefix)])
        finally:
            admin.close()
