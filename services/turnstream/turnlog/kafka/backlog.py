"""How much waits in each partition of the inbox, whichever gateway it came from: read from the brokers, cheaply."""

import asyncio
import logging
from typing import Any

import kafka.errors
from kafka.structs import TopicPartition

from turnstream.turnlog.errors import InboxFull
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.records import backlog_of
from turnstream.turnlog.kafka.settings import KafkaSettings

logger = logging.getLogger(__name__)

_INTERVAL_S = 0.5
_LATEST = -1


class Backlog:
    """Two small requests each half second. In between, what this gateway accepts is added. Loop-bound."""

    def __init__(self, settings: KafkaSettings, admin: Any, interval_s: float = _INTERVAL_S) -> None:
        self._settings = settings
        self._admin = admin
        self._interval_s = interval_s
        self._waiting = [0] * settings.partitions
        self._ends = [0] * settings.partitions
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Until it is known once; what passes (no coordinator yet, a time-out) is waited out.

        Raises kafka.errors.KafkaError.
        """
        is_known = False
        while not is_known:
            is_known = await self._is_read()
        self._task = asyncio.create_task(self._read_always())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def of(self, partition: int) -> int:
        return self._waiting[partition]

    def accepted(self, partition: int, offset: int) -> None:
        """A message stands in the inbox at this place."""
        if offset >= self._ends[partition]:
            self._waiting[partition] += offset + 1 - self._ends[partition]
            self._ends[partition] = offset + 1

    def check_room(self, partition: int) -> None:
        """Raises InboxFull."""
        waiting, most = self._waiting[partition], self._settings.max_backlog_per_partition
        if waiting >= most:
            raise InboxFull(
                f"{waiting} messages wait in partition {partition} (kafka.max_backlog_per_partition is {most}). "
                "Try later, with the same message id."
            )

    async def _is_read(self) -> bool:
        try:
            await self._read()
        except kafka.errors.KafkaError as error:
            if not error.retriable:
                raise
            logger.warning("how much waits in the inbox cannot be read; trying again: %s", repr(error))
            await asyncio.sleep(self._interval_s)
            return False
        return True

    async def _read_always(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self._read()
            except kafka.errors.KafkaError as error:
                logger.info("the backlog is not known now: %s", repr(error))

    async def _read(self) -> None:
        ends, waiting = await asyncio.to_thread(self._ask)
        for partition in range(self._settings.partitions):
            # What was accepted while the brokers were asked is in neither answer.
            later = max(0, self._ends[partition] - ends[partition])
            self._ends[partition] = max(ends[partition], self._ends[partition])
            self._waiting[partition] = waiting[partition] + later
            metrics.BACKLOG.labels(partition).set(self._waiting[partition])

    def _ask(self) -> tuple[list[int], list[int]]:
        settings = self._settings
        tps = [TopicPartition(settings.inbox, partition) for partition in range(settings.partitions)]
        committed = self._committed(tps)
        found = self._admin.list_partition_offsets(dict.fromkeys(tps, _LATEST))
        ends = [found[tp].offset for tp in tps]
        waiting = []
        for tp, end in zip(tps, ends, strict=True):
            known = committed.get(tp)
            waiting.append(backlog_of(end, known.offset, known.metadata or "") if known is not None else end)
        return ends, waiting

    def _committed(self, tps: list[TopicPartition]) -> Any:
        group = self._settings.group
        try:
            return self._admin.list_group_offsets({group: tps})[group]
        except kafka.errors.CoordinatorNotAvailableError:
            # Nobody ever joined a group on this cluster.
            return {}
