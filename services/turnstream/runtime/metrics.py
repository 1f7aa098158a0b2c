"""What a process counts and times, for Prometheus; `docs/metrics.md` lists every metric of every package.

with timed("nlu.parse"):
    await stub.Parse(request)
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from prometheus_client import Gauge, Histogram

TIMINGS_FOLDER = "TURNSTREAM_TIMINGS_FOLDER"
"""Environment variable: a folder where each process writes `<process id>.json` at SIGUSR1 (see `TimingsFile`)."""

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a histogram of durations: from a call within the process to a slow custom action."""

STEP_SECONDS = Histogram(
    "turnstream_step_seconds", "Time of a step of a turn, waiting included", ["step"], buckets=SECONDS
)
SERVER_SECONDS = Histogram(
    "turnstream_grpc_server_seconds", "Calls answered, by method and status", ["method", "code"], buckets=SECONDS
)
SERVER_IN_FLIGHT = Gauge("turnstream_grpc_server_in_flight", "Calls being answered", ["method"])
CLIENT_SECONDS = Histogram(
    "turnstream_grpc_client_seconds", "Calls made, by method and status", ["method", "code"], buckets=SECONDS
)
CLIENT_IN_FLIGHT = Gauge("turnstream_grpc_client_in_flight", "Calls made and not answered yet", ["method"])

# A look-up by labels takes a lock and builds a tuple of texts; the children never change.
_step = lru_cache(maxsize=1000)(STEP_SECONDS.labels)


class Calls:
    """The calls of one side, by method."""

    def __init__(self, seconds: Histogram, in_flight: Gauge) -> None:
        self._in_flight = in_flight
        self._under_way: Tally[str] = Tally()
        self._seconds = lru_cache(maxsize=1000)(seconds.labels)

    def begin(self, method: str) -> float:
        """The time at the beginning, for `end`."""
        if method not in self._under_way:
            self._in_flight.labels(method).set_function(lambda: self._under_way[method])
        self._under_way[method] += 1
        return time.perf_counter()

    def end(self, method: str, code: str, started: float) -> None:
        self._under_way[method] -= 1
        self._seconds(method, code).observe(time.perf_counter() - started)


SERVER_CALLS = Calls(SERVER_SECONDS, SERVER_IN_FLIGHT)
CLIENT_CALLS = Calls(CLIENT_SECONDS, CLIENT_IN_FLIGHT)


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Measure a step by the clock on the wall, waiting included. There are few steps, and none is named after data."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _step(step).observe(time.perf_counter() - start)


def step_totals() -> dict[str, tuple[int, float]]:
    """Count and seconds of each step so far."""
    found: dict[str, dict[str, float]] = {}
    for metric in STEP_SECONDS.collect():
        for sample in metric.samples:
            found.setdefault(sample.labels["step"], {})[sample.name.rpartition("_")[2]] = sample.value
    return {step: (int(values["count"]), values["sum"]) for step, values in found.items()}


class TimingsFile:
    """What the process has timed and used since the last time that it was written, as JSON.

    `number` counts the writings, `cpu_s` is processor time, `timings` has `count` and `total_s` by step.
    """

    def __init__(
        self,
        path: Path,
        totals: Callable[[], Mapping[str, tuple[int, float]]] = step_totals,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._path = path
        self._totals = totals
        self._cpu = cpu
        self._cpu_before = 0.0
        self._before: Mapping[str, tuple[int, float]] = {}
        self._number = 0

    def write(self) -> None:
        """Write, and begin anew. A reader sees the file as it was or as it is."""
        cpu_s, totals = self._cpu(), self._totals()
        content = {"number": self._number, "cpu_s": cpu_s - self._cpu_before, "timings": self._since(totals)}
        self._number += 1
        self._cpu_before, self._before = cpu_s, totals
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self._path)

    def _since(self, totals: Mapping[str, tuple[int, float]]) -> dict[str, dict[str, float]]:
        steps = {}
        for step, (count, total_s) in totals.items():
            count_before, total_before_s = self._before.get(step, (0, 0.0))
            if count > count_before:
                steps[step] = {"count": count - count_before, "total_s": total_s - total_before_s}
        return steps


def write_timings_on_signal() -> None:
    """Where `TIMINGS_FOLDER` is set: write a first file now, and again at every SIGUSR1. Needs a running loop."""
    folder = os.environ.get(TIMINGS_FOLDER)
    if folder:
        file = TimingsFile(Path(folder) / f"{os.getpid()}.json")
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, file.write)
        file.write()
