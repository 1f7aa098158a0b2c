"""Training and testing on request: each in a process of its own, one at a time, while the gateway goes on serving.

The process reads `order.json` and `body` in a folder that is made for it, and writes `result.json` there. What it runs
is the composition root's to say: the gateway itself needs no TensorFlow and no training code.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnstream.gateway.metrics import JOBS
from turnstream.runtime.errors import Conflict, InternalError, InvalidRequest, NotImplementedHere, TryLater

logger = logging.getLogger(__name__)

ORDER, BODY, RESULT = "order.json", "body", "result.json"
STOP_S = 10.0
LEASH = "turnstream.runtime.leash"


@dataclass(frozen=True, slots=True)
class Order:
    """`kind` is `train`, `stories` or `intents`; `options` are its further values, as JSON has them."""

    kind: str
    body: bytes
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an order; `folder` is gone once the job is left."""

    value: Mapping[str, Any]
    folder: Path


class Workshop:
    """`module` and `arguments` are run as a process; `models` is the folder where trained bundles are kept."""

    def __init__(
        self, module: str, models: Path, *, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.models = models
        self._command = (sys.executable, "-m", LEASH, module, *arguments)
        self._environment = dict(environment or {})
        self._busy = ""
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def active_trainings(self) -> int:
        return int(self._busy == "train")

    @asynccontextmanager
    async def job(self, order: Order) -> AsyncIterator[Done]:
        """Do it, and keep its folder for as long as the context lasts.

        Raises TryLater while another job is under way, InvalidRequest with every problem of what was sent,
        NotImplementedHere where this machine lacks what it needs, Conflict, InternalError.
        """
        if self._busy:
            raise TryLater(f"a job is under way ({self._busy}); one at a time is done: ask again when it has ended")
        self._busy = order.kind
        try:
            with tempfile.TemporaryDirectory(prefix="turnstream-job-") as name:
                folder = Path(name)
                with JOBS.labels(order.kind).time():
                    await asyncio.to_thread(_write, folder, order)
                    await self._run(folder)
                    value = await asyncio.to_thread(_result, folder)
                yield Done(value, folder)
        finally:
            self._busy = ""

    async def close(self) -> None:
        """Until no process is left of jobs that were cancelled."""
        await asyncio.gather(*self._ending)

    async def _run(self, folder: Path) -> None:
        # A session of its own, so that Ctrl-C reaches the gateway alone; the leash ends it with the gateway.
        process = await asyncio.create_subprocess_exec(
            *self._command,
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self._environment},
            start_new_session=True,
        )
        try:
            code = await process.wait()
        finally:
            # A gateway that ends cancels its requests more than once; the process is ended all the same.
            ending = asyncio.create_task(_ended(process))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)
        if code and not (folder / RESULT).is_file():
            raise InternalError(f"the process of the job ended with code {code}: the server's log says more")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Whoever asked may have gone meanwhile: the process goes too."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    assert process.stdin is not None
    process.stdin.close()
    with suppress(OSError):
        await process.stdin.wait_closed()


def _write(folder: Path, order: Order) -> None:
    (folder / BODY).write_bytes(order.body)
    text = json.dumps({"kind": order.kind, **order.options})
    (folder / ORDER).write_text(text, encoding="utf-8")


def _result(folder: Path) -> Mapping[str, Any]:
    """The value of a job that went well; the others' failures are raised."""
    try:
        result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InternalError(f"the job left no result: {error}") from error
    if (why := result.get("refused")) is not None:
        raise InvalidRequest(why)
    if (why := result.get("missing")) is not None:
        raise NotImplementedHere(why)
    if (why := result.get("conflict")) is not None:
        raise Conflict(why)
    if (why := result.get("failed")) is not None:
        raise InternalError(why)
    value: Mapping[str, Any] = result["value"]
    return value
