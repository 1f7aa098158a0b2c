"""The index follows the log: read once from its beginning, then from where it was left, when somebody asks."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from turnstream.inspector.index import ConversationIndex
from turnstream.turnlog.interface import Entry, LogReader

logger = logging.getLogger(__name__)

REST_S = 0.5
"""A log that was just read is not read again for so long, ..."""
REST_SHARE = 4.0
"""... nor for so many times what it took to read on: opening a Kafka partition costs more than an SQLite query ..."""
LONGEST_REST_S = 5.0
"""... but no longer than this."""


class IndexFollower:
    """Reads nothing while nobody asks."""

    def __init__(
        self,
        log: LogReader,
        index: ConversationIndex | None = None,
        clock: Callable[[], float] = time.monotonic,
        rest_s: float = REST_S,
    ) -> None:
        self.index = index or ConversationIndex()
        self._log = log
        self._clock = clock
        self._rest_s = rest_s
        self._offsets: dict[int, int] = {}
        self._done = 0
        self._read_once = False
        self._reading: asyncio.Task[None] | None = None
        self._next_at = 0.0

    @property
    def progress(self) -> float:
        """How much of the log was read, 0 to 1; from the first time on it is 1."""
        return 1.0 if self._read_once else self._done / max(1, self._log.partitions)

    async def catch_up(self, patience_s: float) -> None:
        """Read on, for as long as somebody cares to wait; what takes longer goes on by itself. Raises what reading
        raised."""
        if self._reading is None:
            if self._clock() < self._next_at:
                return
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait({self._reading}, timeout=patience_s)
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            reading.result()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    async def _read(self) -> None:
        began, reads_on = self._clock(), self._read_once
        self._done = 0
        try:
            for partition in range(self._log.partitions):
                await self._read_partition(partition)
                self._done += 1
            self._read_once = True
        finally:
            now = self._clock()
            took = now - began if reads_on else 0.0
            self._next_at = now + max(self._rest_s, min(LONGEST_REST_S, REST_SHARE * took))

    async def _read_partition(self, partition: int) -> None:
        entries = self._log.read_turns(partition, self._offsets.get(partition, -1))
        async with aclosing(entries) as turns:  # type: ignore[type-var]
            async for entry in turns:
                if isinstance(entry, Entry):
                    self.index.add(entry.record)
                self._offsets[partition] = entry.position.offset
