"""Moves the indexes of idle conversations out of memory and out of the state topic, into the archive."""

import asyncio
import logging
import time
from collections.abc import Mapping

from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.archive import chunks, idle_by_bucket, whole_indexes
from turnstream.turnlog.kafka.committer import Committer
from turnstream.turnlog.kafka.connection import Lookup
from turnstream.turnlog.kafka.partitions import HeldPartition
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.kafka.transactor import PlannedArchiving

logger = logging.getLogger(__name__)

_MOST_TOGETHER = 1000
"""Conversations of one transaction: turns wait behind it."""
_SHORTEST_INTERVAL_S = 60.0
_LONGEST_INTERVAL_S = 6 * 3600.0
_PAUSE_S = 0.05
_BUCKET_OVERHEAD_BYTES = 14 * _MOST_TOGETHER


class Sweeper:
    """Runs beside a worker. The seldomer it looks, the fewer times a bucket is written."""

    def __init__(
        self,
        settings: KafkaSettings,
        partitions: Mapping[int, HeldPartition],
        committer: Committer,
        lookup: Lookup,
    ) -> None:
        self._settings = settings
        self._partitions = partitions
        self._committer = committer
        self._lookup = lookup

    async def run(self) -> None:
        """Until cancelled."""
        idle_s = self._settings.idle_after_h * 3600
        interval_s = min(max(idle_s / 24, _SHORTEST_INTERVAL_S), _LONGEST_INTERVAL_S)
        while True:
            await asyncio.sleep(interval_s)
            if idle_s > 0:
                await self.sweep(int(time.time() - idle_s))

    async def sweep(self, before_s: int) -> int:
        """Archive what had no turn since a moment of Unix time; how many conversations."""
        count = 0
        for held in [held for held in self._partitions.values() if held.is_claimed]:
            for bucket, conversations in idle_by_bucket(held.state.heads, before_s).items():
                for some in chunks(conversations, _MOST_TOGETHER):
                    count += await self._archive(held, bucket, some)
                    # Turns go first.
                    await asyncio.sleep(_PAUSE_S)
        return count

    async def _archive(self, held: HeldPartition, bucket: int, conversations: list[bytes]) -> int:
        partition = held.lease.partition
        if held.is_closing or self._partitions.get(partition) is not held:
            return 0
        before = await self._lookup.bucket(partition, held.state.buckets.get(bucket))
        if len(before) + _BUCKET_OVERHEAD_BYTES > self._settings.max_message_bytes:
            logger.warning("bucket %d of partition %d is full: idle conversations stay in the state", bucket, partition)
            return 0
        resting = [c for c in conversations if c.decode() not in held.conversations_in_flight]
        indexes = whole_indexes(held.state, resting)
        if not indexes:
            return 0
        planned = PlannedArchiving(partition, bucket, before, indexes)
        if not await self._committer.archive(held.lease, planned):
            return 0
        metrics.ARCHIVED_CONVERSATIONS.inc(len(indexes))
        return len(indexes)
