"""The processes of a run, and what is done to them: killed, paused, stopped, started again."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from turnstream.testing.chaos.client import Gateways
from turnstream.testing.chaos.plan import REPLICAS_AT_MOST, FaultKind, Plan, PlannedFault
from turnstream.testing.chaos.processes import Child
from turnstream.testing.chaos.roles import Place, run_gateway, run_replica

_WAIT_FOR_CLIENT_S = 2.0
_WAIT_FOR_TURN_S = 5.0
_LEAVING_S = 20.0
_MOST_ACCIDENTS = 5
"""Processes that ended for no reason of ours and are replaced all the same."""


class Broker(Protocol):
    """What a run can do to its broker."""

    async def kill(self) -> None: ...

    async def launch(self) -> None:
        """Until it serves again."""
        ...


@dataclass(slots=True)
class _Fate:
    """What becomes of a process that ends."""

    replaced_after_s: float = 0.0
    point: str = ""
    is_leaving: bool = False


@dataclass(slots=True)
class Chronicle:
    """What was done in a run (`done`), and what should not have happened (`wrong`)."""

    done: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Cluster:
    """`async with`: starts the processes that the plan names; none is left at the end."""

    def __init__(self, plan: Plan, place: Place, chronicle: Chronicle, broker: Broker | None = None) -> None:
        self._plan = plan
        self._place = place
        self._broker = broker
        self.replicas: list[Child] = []
        self.gateway_slots: list[Child] = []
        self.gateways = Gateways(lambda: [gateway.address for gateway in self.gateway_slots])
        self.chronicle = chronicle
        self._replacing = 0
        self._has_moved = asyncio.Event()
        self._readers: list[asyncio.Task[None]] = []
        self._fates: dict[str, _Fate] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._children: list[Child] = []
        self._strikes: Mapping[FaultKind, Callable[[PlannedFault], Awaitable[None]]] = {
            FaultKind.CRASH_POINT: self._crash,
            FaultKind.KILL_REPLICA: self._kill_replica,
            FaultKind.PAUSE_REPLICA: self._pause_replica,
            FaultKind.JOIN: self._join,
            FaultKind.LEAVE: self._leave,
            FaultKind.KILL_GATEWAY: self._kill_gateway,
            FaultKind.PAUSE_GATEWAY: self._pause_gateway,
            FaultKind.RESTART_BROKER: self._restart_broker,
        }

    async def __aenter__(self) -> "Cluster":
        try:
            async with asyncio.TaskGroup() as starting:
                for _ in range(self._plan.replicas):
                    starting.create_task(self._start_replica())
                for slot in range(self._plan.gateways):
                    starting.create_task(self._start_gateway(slot))
        except BaseException:
            await self.destroy()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.destroy()

    def read_along(self, readers: Sequence[Coroutine[Any, Any, None]]) -> None:
        """Run these beside the processes, until `stop_readers`."""
        self._readers = [asyncio.create_task(reader) for reader in readers]

    async def quiet(self) -> None:
        """Until whoever was told to leave has left, and what was killed is replaced; or until patience ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING_S):
                while self._is_moving():
                    self._has_moved.clear()
                    await self._has_moved.wait()
        for child in self.replicas:
            fate = self._fates.get(child.name)
            if fate is not None and fate.is_leaving:
                self.chronicle.wrong.append(f"{child.name} has not left after {_LEAVING_S:g} s, see {child.name}.log")
                child.tell_where_it_is()
                await asyncio.sleep(0.5)

    def _is_moving(self) -> bool:
        leaving = any(fate.is_leaving for fate in self._fates.values())
        return leaving or self._replacing > 0

    def stop_readers(self) -> None:
        for reader in self._readers:
            reader.cancel()

    async def destroy(self) -> None:
        """End all of them by force."""
        self.stop_readers()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for child in self._children:
            await child.destroy()

    async def strike(self, fault: PlannedFault) -> None:
        """Until it is over; what was killed is replaced later."""
        await self._strikes[fault.kind](fault)

    async def _start_replica(self) -> None:
        child = await Child.start(run_replica, self._place)
        self._children.append(child)
        self.replicas.append(child)
        self._spawn(self._watch(child, self._start_replica))

    async def _start_gateway(self, slot: int) -> None:
        child = await Child.start(run_gateway, self._place)
        self._children.append(child)
        self.gateway_slots[slot : slot + 1] = [child]

        async def replace() -> None:
            await self._start_gateway(self.gateway_slots.index(child))

        self._spawn(self._watch(child, replace))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _watch(self, child: Child, replace: Callable[[], Awaitable[None]]) -> None:
        code = await child.ended()
        fate = self._fates.pop(child.name, _Fate())
        self.note(f"{child.name} ended with {code}{' at ' + fate.point if fate.point else ''}")
        if child in self.replicas:
            self.replicas.remove(child)
        if code != (0 if fate.is_leaving else -signal.SIGKILL):
            self.chronicle.wrong.append(f"{child.name} ended with {code}, see {child.name}.log")
        if not fate.is_leaving and len(self.chronicle.wrong) <= _MOST_ACCIDENTS:
            self._replacing += 1
            await asyncio.sleep(fate.replaced_after_s)
            await replace()
            self._replacing -= 1
        self._has_moved.set()

    def note(self, what: str) -> None:
        """For the chronicle."""
        self.chronicle.done.append(f"{asyncio.get_running_loop().time():.2f} {what}")

    def _one_replica(self, fault: PlannedFault) -> Child | None:
        """One that serves and that nothing else happens to."""
        free = [child for child in self.replicas if child.serves and child.name not in self._fates]
        return free[fault.target % len(free)] if free else None

    async def _crash(self, fault: PlannedFault) -> None:
        child = self._one_replica(fault)
        if child is not None:
            self.note(f"arm {child.name} for {fault.point}")
            self._fates[child.name] = _Fate(fault.lasts_s, fault.point)
            child.arm(fault.point)

    async def _kill_replica(self, fault: PlannedFault) -> None:
        child = self._one_replica(fault)
        if child is not None:
            self.note(f"kill {child.name}")
            self._fates[child.name] = _Fate(fault.lasts_s)
            child.kill()

    async def _pause_replica(self, fault: PlannedFault) -> None:
        """In the midst of a turn, where the plan says so and one comes soon."""
        child = self._one_replica(fault)
        if child is None:
            return
        self._fates[child.name] = _Fate()
        if fault.point:
            child.arm(fault.point, signal.SIGSTOP)
            with suppress(TimeoutError):
                async with asyncio.timeout(_WAIT_FOR_TURN_S):
                    await child.stopped()
        await self._pause(child, fault.lasts_s, f" at {fault.point}" if child.is_paused else "")
        child.arm("")
        self._fates.pop(child.name, None)

    async def _pause(self, child: Child, lasts_s: float, where: str = "") -> None:
        self.note(f"pause {child.name}{where}")
        child.pause()
        await asyncio.sleep(lasts_s)
        child.resume()
        self.note(f"resume {child.name}")

    async def _join(self, fault: PlannedFault) -> None:
        if len(self.replicas) < REPLICAS_AT_MOST:
            await self._start_replica()
            self.note(f"join {self.replicas[-1].name}")

    async def _leave(self, fault: PlannedFault) -> None:
        """Where nobody else stays, another one is started first, as in a rolling update."""
        child = self._one_replica(fault)
        if child is None:
            return
        self.note(f"stop {child.name}")
        self._fates[child.name] = _Fate(is_leaving=True)
        if all(other.name in self._fates for other in self.replicas):
            await self._start_replica()
        child.terminate()

    async def _kill_gateway(self, fault: PlannedFault) -> None:
        """While a client waits there, where one does soon."""
        gateway = self.gateway_slots[fault.target % len(self.gateway_slots)]
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_FOR_CLIENT_S):
                while not self.gateways.has_waiting(gateway.address):
                    self.gateways.changed.clear()
                    await self.gateways.changed.wait()
        waits = self.gateways.has_waiting(gateway.address)
        self.note(f"kill {gateway.name}, {'where a client waits' if waits else 'idle'}")
        self._fates[gateway.name] = _Fate(fault.lasts_s)
        gateway.kill()

    async def _pause_gateway(self, fault: PlannedFault) -> None:
        await self._pause(self.gateway_slots[fault.target % len(self.gateway_slots)], fault.lasts_s)

    async def _restart_broker(self, fault: PlannedFault) -> None:
        if self._broker is not None:
            self.note("kill the broker")
            await self._broker.kill()
            await asyncio.sleep(fault.lasts_s)
            await self._broker.launch()
            self.note("the broker serves again")
