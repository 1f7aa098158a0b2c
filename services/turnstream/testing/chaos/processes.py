"""Processes forked from a warm parent, which has all imports behind it: a new one costs some ten milliseconds."""

import asyncio
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path

from turnstream.testing.chaos.roles import Place

START_TIMEOUT_S = 60.0

Role = Callable[[Place, Path, Connection], None]

_numbers = itertools.count(1)


class NeverStarted(RuntimeError):
    """A process ended, or said nothing, before it served."""


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["turnstream.testing.chaos.roles"])
    return context


_fork = _context()


class Child:
    """A process of a run. It is stopped at the latest when this process ends, however that ends."""

    def __init__(self, name: str, process: ForkServerProcess, control: Connection) -> None:
        self.name = name
        self.address = ""
        """Where it serves gRPC."""
        self.is_paused = False
        self._process = process
        self._control = control

    @classmethod
    async def start(cls, role: Role, place: Place) -> "Child":
        """A process that serves. Raises NeverStarted."""
        name = f"{role.__name__.removeprefix('run_')}-{next(_numbers)}"
        control, theirs = _fork.Pipe()
        process = _fork.Process(target=role, args=(place, place.folder / f"{name}.log", theirs), name=name)
        # The warm parent is started with the first process, and imports for a second or two.
        await asyncio.to_thread(process.start)
        theirs.close()
        child = cls(name, process, control)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await _readable(control.fileno())
            child.address = f"127.0.0.1:{control.recv()}"
        except (TimeoutError, EOFError, OSError) as error:
            await child.destroy()
            raise NeverStarted(f"{name}: see {place.folder / name}.log") from error
        return child

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.exitcode is None

    @property
    def serves(self) -> bool:
        return self.is_alive and not self.is_paused

    def arm(self, point: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Let it get this signal at a crash point. Nothing happens where it is dead."""
        if self.is_alive:
            self._control.send((point, number))

    async def stopped(self) -> bool:
        """Wait until SIGSTOP has reached it; False where it ended."""
        while self.is_alive:
            if _state_of(self.pid) == "T":
                self.is_paused = True
                return True
            await asyncio.sleep(0.01)
        return False

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        self.is_paused = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.is_paused = False
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def tell_where_it_is(self) -> None:
        """In its output."""
        self._signal(signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            os.kill(self.pid, number)

    async def ended(self) -> int:
        """Its exit code, negative where a signal ended it."""
        while self._process.exitcode is None:
            await _readable(self._process.sentinel)
        return self._process.exitcode

    async def destroy(self) -> None:
        """By force, where it runs still."""
        self.kill()
        await self.ended()
        self._control.close()
        self._process.close()


def _state_of(pid: int) -> str:
    """One letter, as proc(5) names it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    # Of its own, so that two may wait for the same one.
    own = os.dup(descriptor)
    loop.add_reader(own, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(own)
        os.close(own)


ensure_running()
