"""Any number of gateways: what they look up, and how they know together that too much waits."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from support.kafka import kafka_settings
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.testing.turnlog_contract import PATIENCE_S, Running, a_message, a_turn, everything, soon
from turnstream.turnlog.errors import InboxFull
from turnstream.turnlog.interface import Entry
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.reader import Reader
from turnstream.turnlog.kafka.settings import KafkaSettings


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return kafka_settings(kafka_broker)


@pytest.fixture
async def running(settings: KafkaSettings) -> AsyncIterator[Running]:
    log = KafkaTurnLog(settings)
    yield Running(log)
    await log.close()


@pytest.fixture
async def gateway(settings: KafkaSettings) -> AsyncIterator[KafkaTurnLog]:
    log = KafkaTurnLog(settings)
    yield log
    await log.close()


@pytest.fixture
def places_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many turns were read by place, in each look-up; reading a partition's state fails."""
    counts: list[int] = []
    turns_at = Reader.turns_at

    def counted(self: Reader, partition: int, offsets: list[int]) -> object:
        counts.append(len(offsets))
        return turns_at(self, partition, offsets)

    def refused(self: Reader, partition: int, conversation_id: str) -> object:
        raise AssertionError("a gateway reads the state of a partition")

    monkeypatch.setattr(Reader, "turns_at", counted)
    monkeypatch.setattr(Reader, "index", refused)
    return counts


async def turns_of(running: Running, conversation_id: str, count: int) -> None:
    for number in range(1, count + 1):
        await running.log.accept(a_message(conversation_id, f"m{number}"))
        delivery = await running.worker.next()
        await running.log.commit(delivery.lease, a_turn(delivery, number, f"reply {number}"))


async def test_reading_on_from_a_turn_reads_what_comes_after_it_and_no_more(
    running: Running, gateway: KafkaTurnLog, places_read: list[int]
) -> None:
    await turns_of(running, "c", 130)
    async with aclosing(gateway.turns("c", from_turn=128)) as turns:  # type: ignore[type-var]
        assert [(await soon(anext(turns))).replies[0].text for _ in range(3)] == [f"reply {n}" for n in (128, 129, 130)]
        following = asyncio.ensure_future(anext(turns))
        await gateway.accept(a_message("c", "m131"))
        await running.answer(await running.worker.next(), "live")
        assert (await soon(following)).replies[0].text == "live"
    assert sum(places_read) - len(await whole_of(running)) <= 4


async def whole_of(running: Running) -> tuple[object, ...]:
    """What the answer of the last turn read back, on the worker's side."""
    return (await running.log.conversation("c")).turns


async def test_a_message_from_long_ago_costs_one_turn(
    running: Running, gateway: KafkaTurnLog, places_read: list[int]
) -> None:
    await turns_of(running, "c", 70)
    places_read.clear()
    assert (await gateway.wait_for("c", "m5", PATIENCE_S)).replies[0].text == "reply 5"
    assert places_read == [1]


async def test_questions_are_no_messages(running: Running, gateway: KafkaTurnLog) -> None:
    await turns_of(running, "c", 1)
    await gateway.wait_for("c", "m1", PATIENCE_S)
    inbox = [entry for entry in await everything(gateway.read_inbox()) if isinstance(entry, Entry)]
    assert [entry.record.message_id for entry in inbox] == ["m1"]
    assert running.worker.problems == []


async def test_a_question_is_answered_by_whoever_owns_the_partition_next(
    running: Running, gateway: KafkaTurnLog, settings: KafkaSettings
) -> None:
    await turns_of(running, "c", 1)
    await running.stop()
    waiting = asyncio.create_task(gateway.wait_for("c", "m1", PATIENCE_S))
    following = Running(KafkaTurnLog(settings))
    assert (await soon(waiting)).replies[0].text == "reply 1"
    await following.log.close()


async def test_a_conversation_can_be_read_where_there_are_no_workers(running: Running, gateway: KafkaTurnLog) -> None:
    await turns_of(running, "c", 2)
    await running.stop()
    assert [turn.turn_number for turn in (await soon(gateway.conversation("c"))).turns] == [1, 2]


async def test_gateways_know_together_that_too_much_waits(settings: KafkaSettings) -> None:
    settings = replace(settings, partitions=1, max_backlog_per_partition=6)
    gateways = [KafkaTurnLog(settings) for _ in range(2)]
    for n in range(6):
        await gateways[n % 2].accept(a_message(f"c{n}", "m"))
    late = KafkaTurnLog(settings)
    # None of them has so many of its own: each knows of the others' within a moment.
    for gateway in (*gateways, late):
        message = await until_refused(gateway)
        assert "partition 0 (kafka.max_backlog_per_partition is 6)" in message
    running = Running(KafkaTurnLog(settings))
    answering = asyncio.create_task(answer_everything(running))
    await until_accepted(late)
    answering.cancel()
    for log in (*gateways, late, running.log):
        await log.close()


async def until_refused(gateway: KafkaTurnLog) -> str:
    """Why, as the gateway says."""
    async with asyncio.timeout(PATIENCE_S):
        for n in itertools.count():
            try:
                await gateway.accept(a_message(f"one more {n}", "m"))
            except InboxFull as error:
                return str(error)
    raise AssertionError("nothing was refused")


async def until_accepted(gateway: KafkaTurnLog) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(InboxFull):
                await gateway.accept(a_message("after all", "m"))
                return
            await asyncio.sleep(0.05)


async def answer_everything(running: Running) -> None:
    while True:
        await running.answer(await running.worker.next())


async def test_a_process_counts_what_it_does(running: Running, gateway: KafkaTurnLog) -> None:
    before = {name: value_of(name) for name in COUNTED}
    await turns_of(running, "c", 2)
    await gateway.wait_for("c", "m2", PATIENCE_S)
    grown = {name for name, value in before.items() if value_of(name) > value}
    assert grown == set(COUNTED)


COUNTED = (
    "turnstream_turnlog_accepted_messages_total",
    "turnstream_turnlog_accept_seconds_count",
    "turnstream_turnlog_transaction_seconds_count",
    "turnstream_turnlog_transaction_turns_sum",
    "turnstream_turnlog_restore_seconds_count",
)


def value_of(name: str) -> float:
    return REGISTRY.get_sample_value(name) or 0.0
