"""What is Kafka's own: topics, damaged records, sizes, a broker that is away, answers from long ago."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path

import kafka
import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from support.kafka import SETTINGS, kafka_settings, put
from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.runtime.settings import KafkaSettings as KafkaSection
from turnstream.testing.kafka_broker import BrokerSettings, KafkaBroker, free_port
from turnstream.testing.turnlog_contract import PATIENCE_S, Running, a_message, a_turn, everything, soon
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.errors import (
    Erased,
    Fenced,
    InboxFull,
    IncompatibleLog,
    LogUnavailable,
    MessageTooLarge,
    OutOfOrder,
    TurnTooLarge,
    UndecodableRecord,
)
from turnstream.turnlog.interface import Entry, Position, Undecodable
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.records import inbox_key, turn_key
from turnstream.turnlog.kafka.settings import KafkaSettings


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return kafka_settings(kafka_broker)


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[KafkaTurnLog]:
    opened = KafkaTurnLog(settings)
    yield opened
    await opened.close()


def test_the_settings_of_a_process_are_those_of_the_log() -> None:
    assert [f.name for f in fields(KafkaSection)] == [f.name for f in fields(KafkaSettings)]
    assert KafkaSettings(**asdict(KafkaSection())) == KafkaSettings()


async def test_topics_with_other_settings_are_refused_and_left_as_they_are(
    settings: KafkaSettings, log: KafkaTurnLog
) -> None:
    await log.ready()
    other = KafkaTurnLog(replace(settings, partitions=7, inbox_retention_h=1.0))
    with pytest.raises(IncompatibleLog) as refused:
        await other.accept(a_message("c", "m1"))
    for wrong in ("4 partitions, not 7", "retention.ms is 604800000, not 3600000", "another kafka.prefix"):
        assert wrong in str(refused.value)
    with pytest.raises(IncompatibleLog):
        await other.wait_for("c", "m1", 1.0)
    await other.close()
    await log.accept(a_message("c", "m1"))


async def test_a_topic_that_takes_less_than_the_largest_turn_is_told_at_the_start(
    settings: KafkaSettings, log: KafkaTurnLog, kafka_broker: KafkaBroker
) -> None:
    await log.ready()
    await asyncio.to_thread(shrink, kafka_broker, settings.turns, 20_000)
    other = KafkaTurnLog(settings)
    with pytest.raises(IncompatibleLog, match=rf"'{settings.turns}': max\.message\.bytes is 20000, not 4259840"):
        await other.ready()
    await other.close()


async def test_a_turn_that_the_broker_does_not_take_is_refused_alone(
    settings: KafkaSettings, log: KafkaTurnLog, kafka_broker: KafkaBroker
) -> None:
    running = Running(log)
    await log.accept(a_message("c", "m1"))
    await log.accept(a_message("d", "m1"))
    first, second = await running.worker.next(), await running.worker.next()
    await asyncio.to_thread(shrink, kafka_broker, settings.turns, 20_000)
    outcomes = await asyncio.gather(
        log.commit(first.lease, a_turn(first, 1, random_text(200_000))),
        log.commit(second.lease, a_turn(second, 1, "short")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], TurnTooLarge)
    assert "max.message.bytes" in str(outcomes[0])
    assert isinstance(outcomes[1], Position)
    await running.answer(first, "shorter")
    assert await check_log(log) == []


async def test_a_message_that_the_broker_does_not_take_is_refused(
    settings: KafkaSettings, log: KafkaTurnLog, kafka_broker: KafkaBroker
) -> None:
    await log.accept(a_message("c", "m1"))
    await asyncio.to_thread(shrink, kafka_broker, settings.inbox, 20_000)
    with pytest.raises(MessageTooLarge, match=r"max\.message\.bytes"):
        await log.accept(a_message("c", "m2", random_text(200_000)))
    await log.accept(a_message("c", "m2", "shorter"))


def shrink(broker: KafkaBroker, topic: str, max_bytes: int) -> None:
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker.address)
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(max_bytes)})
    admin.alter_configs([resource])
    # The broker hears of it from its controller, a moment later.
    while admin.describe_configs([resource])["topic"][topic]["max.message.bytes"]["value"] != str(max_bytes):
        pass
    admin.close()


def random_text(length: int) -> str:
    """Nothing that compression makes small."""
    return random.Random(7).randbytes(length // 2).hex()


async def test_more_copies_than_brokers_are_refused(settings: KafkaSettings) -> None:
    log = KafkaTurnLog(replace(settings, replication=3))
    with pytest.raises(IncompatibleLog, match=r"kafka\.replication"):
        await log.ready()
    await log.close()


async def test_a_damaged_message_is_reported_with_its_place_and_the_others_are_delivered(
    settings: KafkaSettings, log: KafkaTurnLog
) -> None:
    await log.ready()
    partition = log.partition_of("c")
    offset = await asyncio.to_thread(put, settings, settings.inbox, partition, inbox_key("c", "m1"), b"\xff\xff")
    later = await log.accept(a_message("c", "m2"))
    running = Running(log)
    assert (await running.worker.next()).position == later.position
    (problem,) = running.worker.problems
    assert (problem.position.offset, problem.conversation_id, problem.message_id) == (offset, "c", "m1")
    assert isinstance((await everything(log.read_inbox()))[0], Undecodable)


async def test_a_record_of_a_later_format_is_left_for_those_who_can_read_it(
    settings: KafkaSettings, log: KafkaTurnLog
) -> None:
    await log.ready()
    message = a_message("c", "m1")
    message.format_version = 7
    data = message.SerializeToString()
    await asyncio.to_thread(put, settings, settings.inbox, log.partition_of("c"), inbox_key("c", "m1"), data)
    await log.accept(a_message("c", "m2"))
    running = Running(log)
    await running.worker.next()
    assert "format version 7" in running.worker.problems[0].reason


async def test_a_damaged_turn_is_reported_and_reading_goes_on_past_it(
    settings: KafkaSettings, log: KafkaTurnLog
) -> None:
    running = Running(log)
    await log.accept(a_message("c", "m1"))
    delivery = await running.worker.next()
    waiting = asyncio.create_task(log.wait_for("c", "m9", PATIENCE_S))
    partition = delivery.lease.partition
    await asyncio.to_thread(put, settings, settings.turns, partition, turn_key("c", 1), b"\xff\xff", "m9")
    await running.answer(delivery)
    found = await everything(log.read_turns(partition))
    assert [e.record.message_id if isinstance(e, Entry) else "damaged" for e in found] == ["damaged", "m1"]
    with pytest.raises(UndecodableRecord):
        await soon(waiting)


async def test_what_is_larger_than_allowed_is_refused_before_it_is_sent(settings: KafkaSettings) -> None:
    log = KafkaTurnLog(replace(settings, max_message_bytes=2000))
    running = Running(log)
    with pytest.raises(MessageTooLarge, match="2000"):
        await log.accept(a_message("c", "m1", "x" * 3000))
    await log.accept(a_message("c", "m2"))
    delivery = await running.worker.next()
    with pytest.raises(TurnTooLarge, match=r"kafka\.max_message_bytes"):
        await log.commit(delivery.lease, a_turn(delivery, 1, "x" * 3000))
    await running.answer(delivery, "shorter")
    assert (await log.wait_for("c", "m2", PATIENCE_S)).replies[0].text == "shorter"
    await log.close()


async def test_one_conversation_cannot_fill_the_inbox(settings: KafkaSettings) -> None:
    log = KafkaTurnLog(replace(settings, max_unanswered_per_conversation=2))
    for n in range(2):
        await log.accept(a_message("busy", f"m{n}"))
    with pytest.raises(InboxFull, match="busy"):
        await log.accept(a_message("busy", "m2"))
    assert (await log.accept(a_message("busy", "m1"))).duplicate
    assert not (await log.accept(a_message("other", "m1"))).duplicate
    await log.close()


@pytest.mark.parametrize("missing", ["conversation_id", "message_id"])
async def test_a_message_without_an_id_is_refused_and_nothing_is_put_anywhere(log: KafkaTurnLog, missing: str) -> None:
    message = a_message("c", "m1")
    message.ClearField(missing)
    with pytest.raises(ValueError, match=missing):
        await log.accept(message)
    assert await everything(log.read_inbox()) == []


async def test_the_trace_of_a_message_is_kept_as_it_is(log: KafkaTurnLog) -> None:
    message = a_message("c", "m1")
    message.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    running = Running(log)
    await log.accept(message)
    delivered = (await running.worker.next()).message
    assert delivered.traceparent == message.traceparent


async def test_a_broker_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    log = KafkaTurnLog(replace(SETTINGS, bootstrap_servers=address))
    waiting = asyncio.ensure_future(log.ready())
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    broker = await asyncio.to_thread(KafkaBroker.start, tmp_path, BrokerSettings(port=port, heap_mb=256))
    try:
        await soon(waiting)
        assert not (await log.accept(a_message("c", "m1"))).duplicate
        await log.close()
    finally:
        await asyncio.to_thread(broker.stop)


async def test_a_broker_that_is_away_at_the_start_is_named_and_nothing_hangs() -> None:
    address = f"127.0.0.1:{free_port()}"
    log = KafkaTurnLog(KafkaSettings(bootstrap_servers=address, accept_timeout_s=0.2))
    with pytest.raises(LogUnavailable, match=address):
        await log.accept(a_message("c", "m1"))
    await soon(log.close())


async def test_an_answer_from_long_ago_is_found_by_a_gateway_that_did_not_hear_it(
    settings: KafkaSettings, log: KafkaTurnLog
) -> None:
    running = Running(log)
    await log.accept(a_message("c", "m1"))
    await running.answer(await running.worker.next(), "long ago")
    late = KafkaTurnLog(settings)
    # Asked again, the owner points to the turn; not asked, the index is looked up.
    await late.accept(a_message("c", "m1"))
    assert (await late.wait_for("c", "m1", PATIENCE_S)).replies[0].text == "long ago"
    later = KafkaTurnLog(settings)
    assert (await later.wait_for("c", "m1", PATIENCE_S)).replies[0].text == "long ago"
    async with aclosing(later.turns("c")) as turns:  # type: ignore[type-var]
        assert (await soon(anext(turns))).replies[0].text == "long ago"
    assert running.worker.deliveries.empty()
    await late.close()
    await later.close()


async def test_an_erased_turn_is_gone_for_a_gateway_that_comes_later(
    settings: KafkaSettings, log: KafkaTurnLog
) -> None:
    running = Running(log)
    await log.accept(a_message("c", "m1", "my secret"))
    await running.answer(await running.worker.next(), "your secret")
    erasure = InboxMessage(conversation_id="c", message_id="e1")
    erasure.erasure.reason = "asked for"
    await log.accept(erasure)
    delivery = await running.worker.next()
    record = a_turn(delivery, 2, "")
    record.events.add().conversation_erased.SetInParent()
    await log.commit(delivery.lease, record)
    late = KafkaTurnLog(settings)
    await late.accept(a_message("c", "m1"))
    with pytest.raises(Erased):
        await late.wait_for("c", "m1", PATIENCE_S)
    assert [t.turn_number for t in (await log.conversation("c")).turns] == [2]
    await late.close()


async def test_a_long_conversation_is_read_back_whole(log: KafkaTurnLog) -> None:
    running = Running(log)
    for n in range(1, 71):
        await log.accept(a_message("c", f"m{n}"))
        delivery = await running.worker.next()
        await log.commit(delivery.lease, a_turn(delivery, n, f"reply {n}"))
    state = await log.conversation("c")
    assert state.last_turn == 70
    assert [turn.replies[0].text for turn in state.turns] == [f"reply {n}" for n in range(1, 71)]


async def test_workers_that_come_and_go_under_load_answer_everything_once(settings: KafkaSettings) -> None:
    gateway = KafkaTurnLog(settings)
    logs = [KafkaTurnLog(settings) for _ in range(3)]
    answering: list[asyncio.Task[None]] = []

    def join(log: KafkaTurnLog) -> Running:
        running = Running(log)
        answering.append(asyncio.create_task(_answer_what_comes(running)))
        return running

    async def talk(conversation_id: str) -> None:
        for n in range(30):
            await gateway.accept(a_message(conversation_id, f"m{n}"))
            await gateway.wait_for(conversation_id, f"m{n}", PATIENCE_S)

    first = join(logs[0])
    await first.worker.holds(4)
    talking = asyncio.gather(*(talk(f"c{n}") for n in range(12)))
    second = join(logs[1])
    await second.worker.holds(2)
    await first.stop()
    await second.worker.holds(4)
    third = join(logs[2])
    await third.worker.holds(2)
    await soon(talking)
    for task in answering:
        task.cancel()
    assert await check_log(gateway) == []
    for log in (gateway, *logs):
        await log.close()


async def _answer_what_comes(running: Running) -> None:
    while True:
        delivery = await running.worker.deliveries.get()
        # One that was handed over before it was answered is delivered to the next owner.
        with suppress(Fenced, OutOfOrder):
            await running.answer(delivery)
