"""The judge reads Kafka's topics: what a plain producer wrote there on purpose, is found as in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import kafka
import pytest
from support.kafka import kafka_settings
from support.written_logs import WRONG, WrittenLog, a_good_log, what_clients_saw
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.records import inbox_key, message_header, turn_key
from turnstream.turnlog.kafka.settings import KafkaSettings


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return replace(kafka_settings(kafka_broker), partitions=1)


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[KafkaTurnLog]:
    opened = KafkaTurnLog(settings)
    await opened.ready()
    yield opened
    await opened.close()


def write(settings: KafkaSettings, written: WrittenLog) -> None:
    """Not as the log does it: without transactions, without its own records. Offsets of the inbox count from 0."""
    producer = kafka.KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    try:
        for offset, entry in enumerate(written.inbox):
            # What is not there is a tombstone: every other one keeps its place.
            key = inbox_key("c", f"m{offset}")
            if entry is not None:
                key = inbox_key(entry.record.conversation_id, entry.record.message_id)
            producer.send(settings.inbox, entry and entry.record.SerializeToString(), key, partition=0)
        for index in range(len(written.turns)):
            record = written.record(index)
            producer.send(
                settings.turns,
                record.SerializeToString(),
                turn_key(record.conversation_id, record.turn_number),
                headers=message_header(record.message_id),
                partition=0,
            )
        producer.flush(timeout=30)
    finally:
        producer.close(timeout=5)


async def test_a_log_that_is_right_has_no_faults(settings: KafkaSettings, log: KafkaTurnLog) -> None:
    await asyncio.to_thread(write, settings, a_good_log())
    assert await check_log(log, witness=what_clients_saw(a_good_log())) == []


@pytest.mark.parametrize("what", WRONG)
async def test_what_was_made_wrong_is_found(what: str, settings: KafkaSettings, log: KafkaTurnLog) -> None:
    spoil, expected = WRONG[what]
    written = a_good_log()
    spoil(written)
    await asyncio.to_thread(write, settings, written)
    found = await check_log(log, witness=what_clients_saw(a_good_log()))
    assert {fault.kind for fault in found} == expected


async def test_bytes_that_are_no_turn_are_found(settings: KafkaSettings, log: KafkaTurnLog) -> None:
    def damage() -> None:
        write(settings, a_good_log())
        producer = kafka.KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
        producer.send(settings.turns, b"\xff\xff", turn_key("c", 4), headers=message_header("m4"), partition=0)
        producer.flush(timeout=30)
        producer.close(timeout=5)

    await asyncio.to_thread(damage)
    assert [fault.kind for fault in await check_log(log)] == ["unreadable"]
