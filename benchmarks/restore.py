"""How soon a worker that takes everything over can go on: the state of 100,000 conversations, read from Kafka."""

import asyncio
import gc
import time
from dataclasses import dataclass

import psutil
from kafka import KafkaProducer
from turnstream.testing.turnlog_contract import Running
from turnstream.turnlog.kafka.index import ConversationIndex
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.records import HEAD, partition_of
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

from benchmarks.turn_logs import PARTITIONS

CONVERSATIONS = 100_000
TURNS_EACH = 10
UNCOMPACTED = 3
"""Versions of each conversation's record that the broker has not compacted away yet."""
OFFSETS_APART = 37


@dataclass(frozen=True, slots=True)
class RestoreFigures:
    """From the start of a worker until it holds every partition; `bytes_each` is its memory for a conversation."""

    conversations: int
    records: int
    restore_s: float
    bytes_each: float


async def measure_restore(address: str) -> RestoreFigures:
    settings = KafkaSettings(address, "restore.", PARTITIONS, replication=1)
    log = KafkaTurnLog(settings)
    try:
        await log.ready()
        await asyncio.to_thread(_fill, settings)
        process = psutil.Process()
        gc.collect()
        before = process.memory_info().rss
        start = time.perf_counter()
        running = Running(log)
        await running.worker.holds(PARTITIONS)
        restore_s = time.perf_counter() - start
        gc.collect()
        grown = process.memory_info().rss - before
    finally:
        await log.close()
    return RestoreFigures(CONVERSATIONS, CONVERSATIONS * UNCOMPACTED, restore_s, grown / CONVERSATIONS)


def _fill(settings: KafkaSettings) -> None:
    """What workers would have written, without the turns themselves, which no worker reads before one is needed."""
    now = int(time.time())
    producer = KafkaProducer(**producer_config(settings) | {"linger_ms": 20, "batch_size": 64 * 1024})
    for turns in range(TURNS_EACH - UNCOMPACTED + 1, TURNS_EACH + 1):
        index = ConversationIndex()
        for turn in range(turns):
            index = index.extended(f"message-{turn}", 1_000_000 + turn * OFFSETS_APART, now)
        head = index.head()
        for number in range(CONVERSATIONS):
            conversation = f"conversation-{number:024d}"
            place = partition_of(conversation, settings.partitions)
            producer.send(settings.state, head, HEAD + conversation.encode(), partition=place)
    producer.flush()
    producer.close()
