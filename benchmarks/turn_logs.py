"""The same assistant on SQLite and on Kafka, beside what the broker does for a minimal client, in one run."""

import asyncio
import contextlib
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import aiohttp
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.structs import TopicPartition
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord, UserMessage
from turnstream.testing.kafka_broker import BrokerSettings, BrokerUnavailable, KafkaBroker
from turnstream.turnlog.interface import Delivery, Entry, Lease, Undecodable
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.settings import KafkaSettings, consumer_config, producer_config

from benchmarks.figures import Latency, Throughput, median_latency, median_throughput
from benchmarks.load import RestClient, Send, dialogue_turns, one_after_the_other, side_by_side
from benchmarks.project import BUILD, BenchmarkError
from benchmarks.serving import served

PARTITIONS = 12
CROWDS = (16, 64)
EARLY_TURNS = range(10, 60)
LATE_TURNS = range(1950, 2000)
BARE_RECORDS = 300
LOG_MESSAGES = 2000
LOG_CONVERSATIONS = 200


@dataclass(frozen=True, slots=True)
class LongConversation:
    """One conversation, turn by turn."""

    early: Latency
    late: Latency


@dataclass(frozen=True, slots=True)
class LogTurns:
    """Turns of the whole assistant on one kind of log."""

    alone: Latency
    crowds: tuple[Throughput, ...]
    long: LongConversation | None


@dataclass(frozen=True, slots=True)
class BareBroker:
    """A record of a turn's size, produced with acks=all and consumed, by a minimal client."""

    record_bytes: int
    round_trip: Latency
    records_per_s: float


@dataclass(frozen=True, slots=True)
class LogAlone:
    """Our log without an assistant: accept, deliver, commit, wait for the turn."""

    alone: Latency
    turns_per_s: float


@dataclass(frozen=True, slots=True)
class TurnLogFigures:
    sqlite: LogTurns
    kafka: LogTurns
    bare: BareBroker
    log_alone: LogAlone

    @property
    def overhead_ms(self) -> float:
        """Of a turn on an idle machine."""
        return self.kafka.alone.p50_ms - self.sqlite.alone.p50_ms

    @property
    def overhead_under_load_ms(self) -> float:
        """Of each turn, in the largest crowd."""
        return 1e3 / self.kafka.crowds[-1].turns_per_s - 1e3 / self.sqlite.crowds[-1].turns_per_s


@contextlib.contextmanager
def running_broker() -> Iterator[KafkaBroker]:
    """Raises BenchmarkError where there is none."""
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="kafka-") as folder:
        try:
            broker = KafkaBroker.start(Path(folder), BrokerSettings())
        except BrokerUnavailable as error:
            raise BenchmarkError(str(error)) from error
        with broker:
            yield broker


def on_kafka(address: str, prefix: str) -> Mapping[str, str]:
    return {
        "TURNSTREAM_TURN_LOG_KIND": "kafka",
        "TURNSTREAM_KAFKA_BOOTSTRAP_SERVERS": address,
        "TURNSTREAM_KAFKA_REPLICATION": "1",
        "TURNSTREAM_KAFKA_PARTITIONS": str(PARTITIONS),
        "TURNSTREAM_KAFKA_PREFIX": prefix,
    }


async def measure_turn_logs(models: Path, runs: int, *, long: bool = True) -> TurnLogFigures:
    """Both servers are up at once and take turns, so that what else the machine does meets both alike."""
    with running_broker() as broker:
        async with (
            served(models, "together") as one,
            served(models, "together", on_kafka(broker.address, "bench.")) as other,
            aiohttp.ClientSession() as session,
        ):
            sends = [RestClient(session, server.url).turn for server in (one, other)]
            sqlite, kafka = await _measure_both(sends, runs, long=long)
        settings = KafkaSettings(broker.address, "bench.", PARTITIONS, replication=1)
        records = await _some_records(settings)
        bare = await asyncio.to_thread(_bare, settings, records)
        alone = await _log_alone(KafkaSettings(broker.address, "alone.", PARTITIONS, replication=1), records)
        return TurnLogFigures(sqlite, kafka, bare, alone)


async def _measure_both(sends: Sequence[Send], runs: int, *, long: bool) -> list[LogTurns]:
    alone: list[list[Latency]] = [[], []]
    crowds: list[list[list[Throughput]]] = [[], []]
    for send in sends:
        await side_by_side(send, CROWDS[0], 5)
    for _ in range(runs):
        for place, send in enumerate(sends):
            alone[place].append(await one_after_the_other(send, 150))
        for place, send in enumerate(sends):
            crowds[place].append([await side_by_side(send, crowd, 15) for crowd in CROWDS])
    longs = [await _long_conversation(send) if long else None for send in sends]
    return [
        LogTurns(
            median_latency(alone[place]),
            tuple(median_throughput([run[i] for run in crowds[place]]) for i in range(len(CROWDS))),
            longs[place],
        )
        for place in range(len(sends))
    ]


async def _long_conversation(send: Send) -> LongConversation:
    conversation = uuid.uuid4().hex
    seconds = []
    for _, text in islice(dialogue_turns(), LATE_TURNS.stop):
        start = time.perf_counter()
        await send(conversation, text)
        seconds.append(time.perf_counter() - start)
    return LongConversation(*(Latency.of(seconds[turns.start : turns.stop]) for turns in (EARLY_TURNS, LATE_TURNS)))


async def _some_records(settings: KafkaSettings) -> list[TurnRecord]:
    """Turns that the assistant took."""
    records = []
    async with _opened(settings) as log:
        async for entry in log.read_turns(0):
            if isinstance(entry, Entry):
                records.append(entry.record)
            if len(records) >= BARE_RECORDS:
                break
    return records


def _bare(settings: KafkaSettings, records: Sequence[TurnRecord]) -> BareBroker:
    """Into the inbox of a log of its own, which nobody else reads."""
    values = [record.SerializeToString() for record in records]
    topic = "bare"
    producer = KafkaProducer(**producer_config(settings) | {"linger_ms": 0, "allow_auto_create_topics": True})
    consumer = KafkaConsumer(**consumer_config(settings) | {"fetch_max_wait_ms": 50})
    try:
        _create(settings, topic)
        consumer.assign([TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        round_trips = []
        for value in values:
            start = time.perf_counter()
            producer.send(topic, value).get(10)
            _consume(consumer, 1)
            round_trips.append(time.perf_counter() - start)
        start = time.perf_counter()
        for value in values * 10:
            producer.send(topic, value)
        producer.flush()
        _consume(consumer, len(values) * 10)
        rate = len(values) * 10 / (time.perf_counter() - start)
    finally:
        producer.close()
        consumer.close()
    return BareBroker(int(statistics.fmean(map(len, values))), Latency.of(round_trips), rate)


def _create(settings: KafkaSettings, topic: str) -> None:

    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    try:
        admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        admin.close()


def _consume(consumer: KafkaConsumer, count: int) -> None:
    while count > 0:
        count -= sum(len(found) for found in consumer.poll(1000).values())


class _Committing:
    """An assignee that answers each message at once with a turn that was taken before."""

    def __init__(self, log: KafkaTurnLog, records: Sequence[TurnRecord]) -> None:
        self._log = log
        self._records = records
        self._numbers: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def claimed(self, lease: Lease) -> None: ...

    async def revoked(self, lease: Lease) -> None:
        await asyncio.gather(*self._tasks)

    async def undecodable(self, record: Undecodable) -> None: ...

    async def deliver(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._answer(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, delivery: Delivery) -> None:
        conversation = delivery.message.conversation_id
        number = self._numbers[conversation] = self._numbers.get(conversation, 0) + 1
        record = TurnRecord()
        record.CopyFrom(self._records[number % len(self._records)])
        record.conversation_id, record.message_id = conversation, delivery.message.message_id
        record.turn_number = number
        record.inbox_partition, record.inbox_offset = delivery.position.partition, delivery.position.offset
        await self._log.commit(delivery.lease, record)


@asynccontextmanager
async def _opened(settings: KafkaSettings) -> AsyncIterator[KafkaTurnLog]:
    log = KafkaTurnLog(settings)
    try:
        yield log
    finally:
        await log.close()


async def _log_alone(settings: KafkaSettings, records: Sequence[TurnRecord]) -> LogAlone:
    async with _opened(settings) as log:
        working = asyncio.create_task(log.work(_Committing(log, records)))

        async def turn(conversation: str, text: str) -> None:
            message = uuid.uuid4().hex
            request = UserMessage(text=text)
            await log.accept(
                InboxMessage(conversation_id=conversation, message_id=message, channel="rest", user_message=request)
            )
            await log.wait_for(conversation, message, 30.0)

        alone = await one_after_the_other(turn, 200)
        crowd = await side_by_side(turn, LOG_CONVERSATIONS, LOG_MESSAGES // LOG_CONVERSATIONS)
        await log.leave()
        await working
    return LogAlone(alone, crowd.turns_per_s)
