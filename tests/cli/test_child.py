"""Processes beside the command: kept alive, given up, and ended with it."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from turnstream.cli import child
from turnstream.cli.child import Child, KeptAlive, Program, environment_of, start_together, stopped_together
from turnstream.cli.errors import CommandError
from turnstream.runtime.settings import GrpcSettings, MetricsSettings, Settings, load_settings

PATIENCE_S = 60.0

SERVER = """
import signal, sys, threading
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("a word before")
print(f"ready on 127.0.0.1:{int(sys.argv[1]) or 1234}", flush=True)
stop.wait()
"""
QUITTER = "import sys\nprint('it does not work', flush=True)\nsys.exit(3)\n"
SILENT = "import threading\nthreading.Event().wait()\n"
DYING = "print('ready on 127.0.0.1:1', flush=True)\n"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], Callable[[int], Program]]:
    """A program from its source."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(source: str, timeout_s: float = PATIENCE_S) -> Callable[[int], Program]:
        (tmp_path / "a_program.py").write_text(source)
        return lambda port: Program("test program", "a_program", [str(port)], "ready on", {}, timeout_s)

    return make


async def test_its_address_is_read_and_it_stops_when_told(program: Callable[..., Callable[[int], Program]]) -> None:
    started = Child(program(SERVER)(0))
    assert await started.start() == "127.0.0.1:1234"
    await started.stop()
    assert await started.ended() == 0


async def test_one_that_ends_before_it_is_ready_is_told(program: Callable[..., Callable[[int], Program]]) -> None:
    started = Child(program(QUITTER)(0))
    with pytest.raises(CommandError, match=r"test program ended before it was ready \(exit code 3\)"):
        await started.start()
    await started.stop()


async def test_one_that_stays_silent_is_told_and_ended(program: Callable[..., Callable[[int], Program]]) -> None:
    started = Child(program(SILENT, 0.2)(0))
    with pytest.raises(CommandError, match="was not ready"):
        await started.start()
    await started.stop()
    assert not psutil.pid_exists(started.pid)


class Heard(logging.Handler):
    """Sets `event` when something with these words is logged."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words
        self.event = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self._words in record.getMessage():
            self.event.set()


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    heard = Heard("test program is back on 127.0.0.1:1234")
    monkeypatch.setattr(child.logger, "handlers", [heard])
    return heard.event


async def test_one_that_dies_comes_back_at_its_address(
    program: Callable[..., Callable[[int], Program]], back: asyncio.Event
) -> None:
    kept = KeptAlive(program(SERVER), pytest.fail)
    async with stopped_together([kept]):
        assert await start_together({"it": kept}) == {"it": "127.0.0.1:1234"}
        first = kept.pid
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            await back.wait()
        assert kept.pid != first
        arguments = psutil.Process(kept.pid).cmdline()
        assert arguments[-1] == "1234"
    assert not psutil.pid_exists(kept.pid)


async def test_one_that_dies_again_and_again_is_given_up(
    program: Callable[..., Callable[[int], Program]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "MAX_RESTARTS", 2)
    reason: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    kept = KeptAlive(program(DYING), reason.set_result)
    async with stopped_together([kept]), asyncio.timeout(PATIENCE_S):
        await start_together({"it": kept})
        assert "test program ended 3 times in a row" in await reason


async def test_it_ends_when_its_starter_is_killed(
    program: Callable[..., Callable[[int], Program]], tmp_path: Path
) -> None:
    program(SERVER)
    starter = (
        "import asyncio\n"
        "from turnstream.cli.child import Child, Program\n"
        "async def main():\n"
        "    child = Child(Program('p', 'a_program', ['0'], 'ready on'))\n"
        "    await child.start()\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", starter, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        orphan = psutil.Process(int(await process.stdout.readline()))
    process.kill()
    await process.wait()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [orphan], timeout=30)
    assert gone


def test_a_child_has_no_operators_ports_and_does_not_wait_until_others_have_heard() -> None:
    grpc = GrpcSettings(health_port=50052, drain_delay_s=5, drain_timeout_s=25)
    told = environment_of(Settings(grpc=grpc, metrics=MetricsSettings(port=9464)))
    chosen = load_settings(environment=told)
    assert (chosen.grpc.health_port, chosen.grpc.drain_delay_s, chosen.grpc.drain_timeout_s) == (-1, 0, 25)
    assert chosen.metrics.port == 0
