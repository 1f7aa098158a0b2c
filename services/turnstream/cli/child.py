"""Processes that `turnstream` starts beside itself, ends when it ends, and starts again when they die."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from turnstream.cli.errors import CommandError
from turnstream.runtime.settings import Settings, settings_as_environment

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 30.0
MAX_RESTARTS = 5
CALM_S = 60.0
"""A child that has run this long starts counting its restarts anew."""


@dataclass(frozen=True, slots=True)
class Program:
    """`python -m <module> <arguments>`; the line of its output that begins with `ready_prefix` names its address."""

    name: str
    module: str
    arguments: Sequence[str]
    ready_prefix: str
    environment: Mapping[str, str] = field(default_factory=dict)
    start_timeout_s: float = 60.0


def environment_of(settings: Settings) -> dict[str, str]:
    """The variables of a child. The ports of operators are this process's own: a child takes a free one.

    Nor has it to wait at its end until others have heard: this process alone asks it.
    """
    grpc = replace(settings.grpc, health_port=-1, drain_delay_s=0.0)
    metrics = replace(settings.metrics, port=min(settings.metrics.port, 0))
    return settings_as_environment(replace(settings, grpc=grpc, metrics=metrics))


class Child:
    """One run of a program. It ends with this process, however that ends (see `runtime.leash`)."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Start it and return its address. Raises CommandError where it ends or stays silent."""
        program = self._program
        # A session of its own, so that Ctrl-C reaches this process alone, which then ends the child in its turn.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turnstream.runtime.leash", program.module, *program.arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(program.start_timeout_s):
                address = await self._ready()
        except TimeoutError as error:
            raise CommandError(f"The {program.name} was not ready after {program.start_timeout_s:.0f} s.") from error
        self._output = asyncio.create_task(self._pass_on())
        return address

    async def _ready(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip()
            if line.startswith(self._program.ready_prefix):
                return line.removeprefix(self._program.ready_prefix).split()[0].rstrip(":")
            self._show(line)
        code = await self._process.wait()
        raise CommandError(f"The {self._program.name} ended before it was ready (exit code {code}).")

    async def _pass_on(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            self._show(raw.decode(errors="replace").rstrip())

    def _show(self, line: str) -> None:
        sys.stderr.write(f"{self._program.name}: {line}\n")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not heard."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._output is not None:
            await self._output


class KeptAlive:
    """A program that is started again, at the same address, when it dies, and given up after too many deaths in a row.

    `program_at(port)` is the program that listens on a port of loopback, 0 for a free one.
    """

    def __init__(self, program_at: Callable[[int], Program], give_up: Callable[[str], None]) -> None:
        """`give_up` is told, once, why the program is not started any more."""
        self._program_at = program_at
        self._give_up = give_up
        self._child: Child | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Its address, once it is ready. Raises CommandError."""
        self._child = Child(self._program_at(0))
        address = await self._child.start()
        self._watching = asyncio.create_task(self._watch(address))
        return address

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._child is not None
        return self._child.pid

    async def _watch(self, address: str) -> None:
        program = self._program_at(int(address.rpartition(":")[2]))
        loop, deaths = asyncio.get_running_loop(), 0
        while True:
            assert self._child is not None
            began = loop.time()
            code = await self._child.ended()
            deaths = 1 if loop.time() - began > CALM_S else deaths + 1
            if deaths > MAX_RESTARTS:
                self._give_up(f"The {program.name} ended {deaths} times in a row; see the messages above.")
                return
            logger.error("the %s ended (exit code %d) and is started again", program.name, code)
            await self._start_again(program, address)

    async def _start_again(self, program: Program, address: str) -> None:
        self._child = Child(program)
        try:
            await self._child.start()
        except CommandError as error:
            logger.error("%s", error)
            await self._child.stop()
        else:
            logger.warning("the %s is back on %s", program.name, address)

    async def stop(self) -> None:
        """End it for good; nothing where it was not started."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._child is not None:
            await self._child.stop()


@asynccontextmanager
async def stopped_together(children: Collection[KeptAlive]) -> AsyncIterator[None]:
    """On leaving, all of them are stopped at once."""
    try:
        yield
    finally:
        await asyncio.gather(*(child.stop() for child in children))


async def start_together(children: Mapping[str, KeptAlive]) -> dict[str, str]:
    """Their addresses by name. Raises CommandError where one does not start; the others are then not awaited."""
    try:
        async with asyncio.TaskGroup() as group:
            starts = {name: group.create_task(child.start()) for name, child in children.items()}
    except* CommandError as errors:
        raise errors.exceptions[0] from None
    return {name: start.result() for name, start in starts.items()}
