"""Requests that wait while a batch runs go into the next one: latency of a lone request, throughput of a crowd."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from turnstream.inference.batches import Arrays, NotBatchableError, Padding, join, rows_of, split
from turnstream.inference.signatures import TensorSpec
from turnstream.runtime.errors import TryLater

Run = Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]

HALVED_FROM = 8
"""Requests. A batch of more takes no more than half of those that are made: see `Batcher._request_limit`."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """`max_waiting` is in requests; `wait_s` is how long a lone request waits for company (0: not at all).

    A lone request to a model that answered its latest one within `inline_s` seconds runs in the event loop's own
    thread: to go to another thread and back costs as much as such a run. 0: never. A batch runs in another thread, so
    that the requests for the next one are read meanwhile.
    """

    max_rows: int = 32
    max_waiting: int = 1024
    wait_s: float = 0.0
    inline_s: float = 0.0
    padding: Padding = Padding.ZERO


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    inputs: Arrays
    rows: int | None
    done: asyncio.Future[dict[str, NDArray[Any]]]

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def finish(self, outputs: dict[str, NDArray[Any]]) -> None:
        if not self.done.done():
            self.done.set_result(outputs)


class Batcher:
    """Batches for one signature of one model version; one runs at a time, in `executor`."""

    def __init__(
        self, run: Run, outputs: Mapping[str, TensorSpec], executor: Executor, limits: BatchLimits | None = None
    ) -> None:
        self._run = run
        self._outputs = outputs
        self._executor = executor
        self._limits = limits or BatchLimits()
        self._waiting: deque[_Job] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._batchable = True
        self._latest_alone_s = math.inf
        self._latest_requests = 0
        self.batches = 0
        """How many were run."""

    async def submit(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The outputs for these inputs, as if they had been alone. Raises TryLater, and what the model raises."""
        if len(self._waiting) >= self._limits.max_waiting:
            raise TryLater(f"{len(self._waiting)} predictions wait for this model already: try later")
        loop = asyncio.get_running_loop()
        job = _Job(inputs, rows_of(inputs), loop.create_future())
        self._waiting.append(job)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return await job.done

    async def idle(self) -> None:
        """Until nothing runs or waits."""
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def _work(self) -> None:
        if self._limits.wait_s and len(self._waiting) == 1:
            await asyncio.sleep(self._limits.wait_s)
        while batch := self._next_batch():
            await self._run_batch(batch)

    def _next_batch(self) -> list[_Job]:
        """The oldest job and those after it that fit; jobs whose caller is gone are dropped."""
        batch: list[_Job] = []
        rows = 0
        limit = self._request_limit()
        while self._waiting and len(batch) < limit:
            job = self._waiting[0]
            if job.done.done():
                self._waiting.popleft()
                continue
            if batch and (not self._fits(batch[0], job) or rows + (job.rows or 0) > self._limits.max_rows):
                break
            batch.append(self._waiting.popleft())
            rows += job.rows or 0
        self._latest_requests = len(batch)
        return batch

    def _request_limit(self) -> int:
        """Half of those that are made at present: those that wait, and those just answered, whose clients ask again.

        Were all of them in one batch, the model would have nothing to do while they are answered and ask again, and
        the clients nothing while it runs.
        """
        return max(HALVED_FROM, math.ceil((len(self._waiting) + self._latest_requests) / 2))

    def _fits(self, first: _Job, job: _Job) -> bool:
        if not self._batchable or first.rows is None or job.rows is None:
            return False
        return all(a.ndim == job.inputs[n].ndim and a.dtype == job.inputs[n].dtype for n, a in first.inputs.items())

    async def _run_batch(self, batch: list[_Job]) -> None:
        try:
            if len(batch) == 1:
                batch[0].finish(await self._call_alone(dict(batch[0].inputs)))
                return
            requests = [job.inputs for job in batch]
            joined = join(requests, self._limits.padding)
            for job, part in zip(batch, split(await self._call(joined), requests, joined, self._outputs), strict=True):
                job.finish(part)
        except Exception as error:
            if isinstance(error, NotBatchableError):
                self._batchable = False
            if len(batch) == 1:
                batch[0].fail(error)
            else:
                # One bad request must not fail its neighbours.
                for job in batch:
                    await self._run_batch([job])

    async def _call_alone(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if self._latest_alone_s < self._limits.inline_s:
            self.batches += 1
            outputs = self._timed_run(inputs)
            # Lets requests in that have arrived meanwhile, for this model's next batch.
            await asyncio.sleep(0)
            return outputs
        return await self._call(inputs, self._timed_run)

    async def _call(self, inputs: dict[str, NDArray[Any]], run: Run | None = None) -> dict[str, NDArray[Any]]:
        self.batches += 1
        return await asyncio.get_running_loop().run_in_executor(self._executor, run or self._run, inputs)

    def _timed_run(self, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        start = time.perf_counter()
        try:
            return self._run(inputs)
        finally:
            self._latest_alone_s = time.perf_counter() - start
