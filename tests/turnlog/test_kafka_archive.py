"""Conversations that were idle leave a worker's memory and what restoring reads, and go on as if they had not."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from support.kafka import kafka_settings
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.testing.turnlog_contract import PATIENCE_S, Running, a_message, a_turn, soon
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import Snapshot
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.settings import KafkaSettings


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return kafka_settings(kafka_broker)


@pytest.fixture
async def running(settings: KafkaSettings) -> AsyncIterator[Running]:
    log = KafkaTurnLog(settings)
    yield Running(log)
    await log.close()


def later() -> int:
    """A moment at which everything that was done so far is past."""
    return int(time.time()) + 1


async def one_turn(running: Running, conversation_id: str, number: int, snapshot: Snapshot | None = None) -> None:
    await running.log.accept(a_message(conversation_id, f"m{number}"))
    delivery = await running.worker.next()
    await running.log.commit(delivery.lease, a_turn(delivery, number, f"reply {number}"), snapshot)


async def archived(log: object) -> int:
    assert isinstance(log, KafkaTurnLog)
    return await soon(log.archive_idle(later()))


def test_nothing_is_archived_before_what_was_erased_has_left_the_disks() -> None:
    with pytest.raises(ValueError, match=r"kafka\.idle_after_h \(12\) must be longer"):
        KafkaSettings(idle_after_h=12.0, erasure_lag_h=24.0)
    assert KafkaSettings(idle_after_h=0.0).idle_after_h == 0


async def test_an_archived_conversation_goes_on_with_its_next_turn(running: Running) -> None:
    for number in (1, 2):
        await one_turn(running, "c", number)
    assert await archived(running.log) == 1
    assert await archived(running.log) == 0
    state = await running.log.conversation("c")
    assert (state.last_turn, [turn.turn_number for turn in state.turns]) == (2, [1, 2])
    await one_turn(running, "c", 3)
    assert await archived(running.log) == 1
    assert (await running.log.conversation("c")).last_turn == 3
    assert await check_log(running.log) == []


async def test_a_message_of_an_archived_conversation_has_the_same_answer_when_it_comes_again(
    running: Running, settings: KafkaSettings
) -> None:
    await one_turn(running, "c", 1)
    await archived(running.log)
    late = KafkaTurnLog(settings)
    await late.accept(a_message("c", "m1"))
    assert (await late.wait_for("c", "m1", PATIENCE_S)).replies[0].text == "reply 1"
    assert running.worker.deliveries.empty()
    await late.close()


async def test_the_next_owner_finds_archived_conversations_and_restores_none_of_them(
    running: Running, settings: KafkaSettings
) -> None:
    for number in range(1, 67):
        await one_turn(running, "long", number, Snapshot(65, b"so far") if number == 65 else None)
    await one_turn(running, "short", 1)
    assert await archived(running.log) == 2
    await running.stop()
    next_owner = Running(KafkaTurnLog(settings))
    await next_owner.worker.holds(settings.partitions)
    restored = next_owner.log._work._partitions  # type: ignore[attr-defined]
    assert sum(len(held.state.heads) + len(held.state.segments) for held in restored.values()) == 0
    state = await next_owner.log.conversation("long")
    assert (state.last_turn, state.snapshot) == (66, Snapshot(65, b"so far"))
    assert [turn.turn_number for turn in state.turns] == [66]
    await one_turn(next_owner, "long", 67)
    await next_owner.log.close()
    # What was written back is whole.
    last = Running(KafkaTurnLog(settings))
    await last.worker.holds(settings.partitions)
    whole = await last.log.conversation("long", from_turn=1)
    assert [turn.turn_number for turn in whole.turns] == list(range(1, 68))
    await last.log.close()


async def test_a_conversation_with_a_message_in_flight_is_not_idle(running: Running) -> None:
    await one_turn(running, "c", 1)
    await running.log.accept(a_message("c", "m2"))
    delivery = await running.worker.next()
    assert await archived(running.log) == 0
    await running.log.commit(delivery.lease, a_turn(delivery, 2))
    assert await archived(running.log) == 1


async def test_turns_go_on_while_conversations_are_archived(running: Running) -> None:
    names = [f"c{n}" for n in range(12)]
    for name in names:
        await one_turn(running, name, 1)

    async def answer() -> None:
        while True:
            await running.answer(await running.worker.next())

    some = asyncio.Event()

    async def talk(name: str) -> None:
        for number in range(2, 8):
            if number == 5:
                # However quick the turns are: some conversations are archived in the middle of them.
                await some.wait()
            await running.log.accept(a_message(name, f"m{number}"))
            await running.log.wait_for(name, f"m{number}", PATIENCE_S)

    async def archive() -> None:
        while True:
            if await archived(running.log):
                some.set()

    beside = [asyncio.create_task(answer()), asyncio.create_task(archive())]
    before = metrics.ARCHIVED_CONVERSATIONS._value.get()
    await soon(asyncio.gather(*(talk(name) for name in names)))
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    assert metrics.ARCHIVED_CONVERSATIONS._value.get() > before
    assert await check_log(running.log) == []
    assert {(await running.log.conversation(name)).last_turn for name in names} == {7}
