"""Reading what is committed of partitions that a worker takes over: in one thread, tried until it works."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka.structs import TopicPartition

from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.fencing import fence_transactions
from turnstream.turnlog.kafka.index import PartitionState
from turnstream.turnlog.kafka.reader import THROUGH, Reader
from turnstream.turnlog.kafka.settings import KafkaSettings

logger = logging.getLogger(__name__)

_PAUSE_S = 0.5

Found = tuple[int, PartitionState]


class Restorer:
    """Loop-bound. `cancel` ends what is under way, `close` lets go of the brokers."""

    def __init__(self, settings: KafkaSettings, admin: Any, name: str) -> None:
        """`name` is the worker's own transactional id, which is never fenced."""
        self._settings = settings
        self._admin = admin
        self._name = name
        self._executor = ThreadPoolExecutor(1, "turnlog-restore")
        self._reader: Reader | None = None
        self._closed = False

    async def states(
        self, partitions: Sequence[int], is_wanted: Callable[[int], bool], *, fence: bool = True
    ) -> AsyncIterator[Found]:
        """Each partition as soon as it is read, those left out that are not wanted any more."""
        missing = list(partitions)
        began = time.monotonic()
        while missing := [partition for partition in missing if is_wanted(partition)]:
            try:
                async for partition, state in self._read(missing, fence):
                    missing.remove(partition)
                    metrics.RESTORE_SECONDS.observe(time.monotonic() - began)
                    yield partition, state
            except Exception as error:
                if self._closed:
                    raise
                logger.warning("the state of partitions cannot be read; trying again: %s", repr(error))
                await asyncio.sleep(_PAUSE_S)

    def cancel(self) -> None:
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()

    async def close(self) -> None:
        self.cancel()
        if self._reader is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._reader.close)
        self._executor.shutdown(wait=False)

    async def _read(self, partitions: Sequence[int], fence: bool) -> AsyncIterator[Found]:
        loop = asyncio.get_running_loop()
        found = self._begin(list(partitions), fence)
        while (one := await loop.run_in_executor(self._executor, next, found, None)) is not None:
            yield one

    def _begin(self, partitions: Sequence[int], fence: bool) -> Iterator[Found]:
        """A generator: all of it runs in the thread."""
        if self._reader is None:
            self._reader = Reader(self._settings, self._admin, THROUGH)
        try:
            yield from self._reader.states(partitions, self._fence if fence else None, _tell_progress)
        finally:
            metrics.RESTORE_REMAINING.set(0)

    def _fence(self, held_back: Sequence[TopicPartition]) -> None:
        fence_transactions(self._admin, self._settings, held_back, self._name)


def _tell_progress(count: int, remaining: int) -> None:
    metrics.RESTORED_RECORDS.inc(count)
    metrics.RESTORE_REMAINING.set(remaining)
