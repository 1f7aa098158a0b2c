"""A served assistant as its users have it: `turnstream run` in a process, stopped at the end, by its id."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import aiohttp
import psutil
from turnstream.runtime.metrics import TIMINGS_FOLDER

from benchmarks.project import BUILD, BenchmarkError

Placement = Literal["together", "apart"]
PLACEMENTS: tuple[Placement, ...] = ("together", "apart")
START_TIMEOUT_S = 120.0
ASK_AGAIN_S = 0.02
SNAPSHOT_TRIES = 500
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """`uss_mb` is what would be free if the process ended; `rss_mb` counts pages that it shares too."""

    name: str
    uss_mb: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Step:
    """A timed step since the last snapshot."""

    count: int
    total_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a process has timed since its last snapshot, and the processor time that it used."""

    process: str
    cpu_s: float
    steps: Mapping[str, Step]


class Server:
    """A running `turnstream run`."""

    def __init__(self, process: psutil.Popen, url: str, grpc_target: str, timings: Path, start_s: float) -> None:
        self.url = url
        self.grpc_target = grpc_target
        self.start_s = start_s
        """From the start of the process to the first answer."""
        self._process = process
        self._timings = timings

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self._process.pid), *self._process.children(recursive=True)]

    def memory(self) -> list[ProcessMemory]:
        found = []
        for process in self.processes():
            usage = process.memory_full_info()
            found.append(ProcessMemory(_name(process), usage.uss / 2**20, usage.rss / 2**20))
        return found

    async def snapshot(self) -> list[Snapshot]:
        """The timings of every process since the last call. Raises BenchmarkError where one does not tell."""
        return [await self._snapshot(process) for process in self.processes() if self._file(process).exists()]

    def _file(self, process: psutil.Process) -> Path:
        return self._timings / f"{process.pid}.json"

    async def _snapshot(self, process: psutil.Process) -> Snapshot:
        file = self._file(process)
        before = json.loads(file.read_text())["number"]
        process.send_signal(signal.SIGUSR1)
        for _ in range(SNAPSHOT_TRIES):
            if (found := json.loads(file.read_text()))["number"] != before:
                break
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            raise BenchmarkError(f"process {process.pid} wrote no timings")
        steps = {name: Step(s["count"], s["total_s"]) for name, s in found["timings"].items()}
        return Snapshot(_name(process), found["cpu_s"], steps)


def _name(process: psutil.Process) -> str:
    command = process.cmdline()
    if any("turnstream.inference" in part for part in command):
        return "model server"
    if "serve" in command:
        return command[command.index("serve") + 1]
    return "gateway" if "apart" in command else "services"


@asynccontextmanager
async def served(
    models: Path, placement: Placement, environment: Mapping[str, str] = NO_SETTINGS
) -> AsyncIterator[Server]:
    """`environment` are settings of its own. Raises BenchmarkError where it does not answer."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="run-") as folder:
        process, url, grpc_target = _start(models, placement, Path(folder), environment)
        begun = time.perf_counter()
        try:
            await _first_answer(process, url, Path(folder) / "log")
            yield Server(process, url, grpc_target, Path(folder), time.perf_counter() - begun)
        finally:
            _stop(process)


def _start(
    models: Path, placement: Placement, folder: Path, environment: Mapping[str, str]
) -> tuple[psutil.Popen, str, str]:
    port, grpc_port = free_port(), free_port()
    command = [sys.executable, "-m", "turnstream.cli", "run", "--enable-api", "--placement", placement]
    command += ["--model", str(models), "--port", str(port), "--grpc-port", str(grpc_port)]
    if "TURNSTREAM_TURN_LOG_KIND" not in environment:
        command += ["--turn-log", str(folder / "turns.db")]
    with (folder / "log").open("wb") as output:
        process = psutil.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, TIMINGS_FOLDER: str(folder), **environment},
        )
    return process, f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}"


async def _first_answer(process: psutil.Popen, url: str, log: Path) -> None:
    deadline = time.perf_counter() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() < deadline and process.poll() is None:
            try:
                async with session.post(f"{url}/webhooks/rest/webhook", json={"message": "hello"}) as response:
                    if response.status == 200 and await response.json():
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(ASK_AGAIN_S)
    raise BenchmarkError(f"no answer:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


def _stop(process: psutil.Popen) -> None:
    children = process.children(recursive=True) if process.poll() is None else []
    if process.poll() is None:
        process.terminate()
    _, alive = psutil.wait_procs([process, *children], timeout=15)
    for one in alive:
        one.kill()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
