"""`python -m benchmarks.model_server BUNDLE MESSAGES`: predictions of DIET through the local model server.

BUNDLE is a trained bundle with a DIETClassifier, MESSAGES a file of NLU data whose texts are asked about.
"""

import asyncio
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from turnstream.assistant.bundle import open_bundle
from turnstream.features.arrays import model_inputs, pad
from turnstream.features.pipeline import FeaturePipeline
from turnstream.inference.client import ModelClient

from benchmarks.figures import Latency
from benchmarks.project import BenchmarkError

WARM_UP, LONE, CROWD = 200, 1000, 2000
"""Requests: before measuring, of one client, of all clients together."""
CLIENTS = (1, 2, 4, 8, 16, 32)
TIMEOUT_S = 30.0
_READY = re.compile(r"model server ready on (\S+):")

Inputs = Mapping[str, NDArray[Any]]


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.argument("messages", type=click.Path(path_type=Path, exists=True))
def main(bundle: Path, messages: Path) -> None:
    """One client one message at a time, and then more clients at once."""
    inputs = _inputs(bundle, messages)
    with _server(bundle / "models") as address:
        lone, rates = asyncio.run(_measure(address, inputs))
    table = Table("clients", "predictions a second", "of one client's", box=None, pad_edge=False)
    for clients, rate in rates.items():
        table.add_row(str(clients), f"{rate:.0f}", f"{rate / rates[1]:.1f}")
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(f"one message: p50 {lone.p50_ms:.2f} ms, p95 {lone.p95_ms:.2f} ms, p99 {lone.p99_ms:.2f} ms")
    console.print(table)


def _inputs(bundle: Path, messages: Path) -> list[Inputs]:
    pipeline = FeaturePipeline.from_json(open_bundle(bundle).read_json("nlu/pipeline.json"))
    sections = yaml.safe_load(messages.read_text(encoding="utf-8"))["nlu"]
    lines = (line for s in sections if "intent" in s for line in s["examples"].splitlines())
    texts = [re.sub(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", line.removeprefix("- ")) for line in lines]
    return [model_inputs(pad([pipeline.featurize(text).features]), pipeline.spec) for text in texts]


@contextmanager
def _server(models: Path) -> Iterator[str]:
    """The address of a model server of its own. Raises BenchmarkError where it ends before it is ready."""
    command = [sys.executable, "-m", "turnstream.cli", "model-server", "--models", str(models), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = next((match for line in process.stdout if (match := _READY.search(line))), None)
        if found is None:
            raise BenchmarkError("the model server ended before it was ready")
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


async def _measure(address: str, inputs: list[Inputs]) -> tuple[Latency, dict[int, float]]:
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
        rates: dict[int, float] = {}
        for clients in CLIENTS:
            left = iter(range(CROWD))

            async def one(left: Iterator[int] = left) -> None:
                for _ in left:
                    await ask()

            start = time.perf_counter()
            await asyncio.gather(*(one() for _ in range(clients)))
            rates[clients] = CROWD / (time.perf_counter() - start)
        return lone, rates


if __name__ == "__main__":
    main()
