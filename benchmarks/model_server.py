"""`python -m benchmarks.model_server BUNDLE MESSAGES`: predictions of DIET through the local model server.

BUNDLE is a trained bundle with a DIETClassifier, MESSAGES a file of NLU data whose texts are asked about.
"""

import asyncio
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from turnstream.assistant.bundle import open_bundle
from turnstream.features.arrays import model_inputs, pad
from turnstream.features.pipeline import FeaturePipeline
from turnstream.inference.client import ModelClient
from turnstream.runtime.pipe import SCHEME

from benchmarks.figures import Latency, median_latency
from benchmarks.project import BenchmarkError

WARM_UP, LONE, CROWD = 200, 1000, 2000
"""Requests: before measuring, of one client, of all clients together."""
CLIENTS = (1, 4, 16, 32, 64)
TIMEOUT_S = 30.0
_READY = re.compile(r"model server ready on (\S+):")

Inputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Predictions a second, and milliseconds of processor time that the server and the clients need for one."""

    rate: float
    server_cpu_ms: float
    client_cpu_ms: float


@dataclass(frozen=True, slots=True)
class ModelServerFigures:
    """By way of asking, `pipe` (services of the same machine) or `gRPC`.

    lone: of one client, one message at a time; crowds: by the number of clients.
    """

    lone: Mapping[str, Latency]
    crowds: Mapping[str, Mapping[int, Crowd]]

    def growth(self, way: str) -> float:
        """How many times one client's rate several clients reach at best."""
        crowds = self.crowds[way]
        return max(crowd.rate for crowd in crowds.values()) / crowds[1].rate


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.argument("messages", type=click.Path(path_type=Path, exists=True))
@click.option("--runs", default=3, show_default=True, help="Repetitions; medians are quoted.")
def main(bundle: Path, messages: Path, runs: int) -> None:
    """One client one message at a time, and then more clients at once."""
    figures = asyncio.run(measure_model_server(bundle, messages, runs))
    Console(width=None if sys.stdout.isatty() else 110).print(model_server_table(figures))


def model_server_table(figures: ModelServerFigures) -> Table:
    table = Table("", "p50 ms", "p95 ms", "p99 ms", "a second", "of one's", "processor ms: server", "client")
    table.title, table.title_justify = "Predictions of DIET through the local model server", "left"
    for way, lone in figures.lone.items():
        table.add_row(f"{way}: one message", f"{lone.p50_ms:.2f}", f"{lone.p95_ms:.2f}", f"{lone.p99_ms:.2f}")
        alone = figures.crowds[way][1]
        for clients, crowd in figures.crowds[way].items():
            rate = f"{crowd.rate:.0f}", f"{crowd.rate / alone.rate:.1f}"
            cpu = f"{crowd.server_cpu_ms:.2f}", f"{crowd.client_cpu_ms:.2f}"
            table.add_row(f"{way}: {clients} at once", "", "", "", *rate, *cpu)
    return table


async def measure_model_server(bundle: Path, messages: Path, runs: int) -> ModelServerFigures:
    """Raises BenchmarkError."""
    inputs = _inputs(bundle, messages)
    lone: dict[str, Latency] = {}
    crowds: dict[str, dict[int, Crowd]] = {}
    with _server(bundle / "models") as (process, targets):
        for way, target in targets.items():
            measured = [await _measure(target, inputs, process) for _ in range(runs)]
            lone[way] = median_latency([latency for latency, _ in measured])
            crowds[way] = {clients: _median([found[clients] for _, found in measured]) for clients in CLIENTS}
    return ModelServerFigures(lone, crowds)


def _median(crowds: Sequence[Crowd]) -> Crowd:
    names = ("rate", "server_cpu_ms", "client_cpu_ms")
    return Crowd(*(statistics.median(getattr(crowd, name) for crowd in crowds) for name in names))


def _inputs(bundle: Path, messages: Path) -> list[Inputs]:
    pipeline = FeaturePipeline.from_json(open_bundle(bundle).read_json("nlu/pipeline.json"))
    sections = yaml.safe_load(messages.read_text(encoding="utf-8"))["nlu"]
    lines = (line for s in sections if "intent" in s for line in s["examples"].splitlines())
    texts = [re.sub(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", line.removeprefix("- ")) for line in lines]
    return [model_inputs(pad([pipeline.featurize(text).features]), pipeline.spec) for text in texts]


@contextmanager
def _server(models: Path) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """A model server of its own, and where it is asked, by the way.

    Raises BenchmarkError where it ends before it is ready.
    """
    command = [sys.executable, "-m", "turnstream.cli", "model-server", "--models", str(models), "--port", "0"]
    with tempfile.TemporaryDirectory(prefix="turnstream-") as folder:
        pipe = Path(folder) / "models.sock"
        env = {**os.environ, "TURNSTREAM_MODEL_SERVER_PIPE": str(pipe)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        try:
            assert process.stdout is not None
            found = next((match for line in process.stdout if (match := _READY.search(line))), None)
            if found is None:
                raise BenchmarkError("the model server ended before it was ready")
            yield psutil.Process(process.pid), {"pipe": f"{SCHEME}{pipe}", "gRPC": found[1]}
        finally:
            process.terminate()
            process.communicate()


async def _measure(address: str, inputs: list[Inputs], server: psutil.Process) -> tuple[Latency, dict[int, Crowd]]:
    async with ModelClient.open(address) as client:
        await client.wait_until_available("diet", timeout_s=TIMEOUT_S)
        forever = itertools.cycle(inputs)

        async def ask() -> float:
            start = time.perf_counter()
            await client.predict("diet", next(forever), timeout_s=TIMEOUT_S)
            return time.perf_counter() - start

        for _ in range(WARM_UP):
            await ask()
        lone = Latency.of([await ask() for _ in range(LONE)])
        crowds: dict[int, Crowd] = {}
        for clients in CLIENTS:
            left = iter(range(CROWD))

            async def one(left: Iterator[int] = left) -> None:
                for _ in left:
                    await ask()

            start, server_s, client_s = time.perf_counter(), _cpu_s(server), time.process_time()
            await asyncio.gather(*(one() for _ in range(clients)))
            rate = CROWD / (time.perf_counter() - start)
            server_ms, client_ms = ((_cpu_s(server) - server_s) * 1e3, (time.process_time() - client_s) * 1e3)
            crowds[clients] = Crowd(rate, server_ms / CROWD, client_ms / CROWD)
        return lone, crowds


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
