"""How fast a log is replayed: a synthetic log of many conversations, and the trackers rebuilt from it on one core.

`python -m benchmarks.replay [--events 1000000] [--kafka host:port]` makes the log and prints the figures as JSON.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from turnstream.api.v1.events_pb2 import Event as EventProto
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.assistant.domain import Domain, Intent, Slot
from turnstream.dialogue.events import (
    ActionExecuted,
    BotUttered,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
    SessionStarted,
    SlotSet,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_to_proto, timestamp_to_proto
from turnstream.dialogue.proto_late import event_read_late
from turnstream.replay.rebuild import rarely_collected, rebuild
from turnstream.turnlog import sqlite_store
from turnstream.turnlog.interface import INBOX_FORMAT_VERSION, TURN_FORMAT_VERSION, Entry, LogReader, TurnLog
from turnstream.turnlog.sqlite import SqliteTurnLog

if TYPE_CHECKING:
    from turnstream.turnlog.kafka.log import KafkaTurnLog
    from turnstream.turnlog.kafka.settings import KafkaSettings

T = TypeVar("T")
EVENTS = 1_000_000
TURNS_PER_CONVERSATION = 10
PARTITIONS = 16
AIM_EVENTS_PER_S = 200_000.0

INTENTS = tuple(f"intent_{n}" for n in range(10))
DOMAIN = Domain(
    intents={name: Intent(name) for name in INTENTS},
    slots={"city": Slot("city", "text"), "session_started_metadata": Slot("session_started_metadata", "any")},
    responses=dict.fromkeys(("utter_greet", "utter_ask"), ()),
)
_LABELS = {"model_id": "75167364e21a471bb7b687f800597633", "assistant_id": "benchmark"}
_EMPTY_DATA = dict.fromkeys(("elements", "quick_replies", "buttons", "attachment", "image", "custom"))


@dataclass(frozen=True, slots=True)
class ReplayFigures:
    """Events a second of this process's processor time, so that what else runs on the machine counts little.

    `rebuild` is all of it, from the log to trackers; its parts are measured alone over a part of the log: reading
    records, decoding events, folding events. `wall_events_per_s` is `rebuild` by the clock.
    """

    events: int
    conversations: int
    rebuild_events_per_s: float
    wall_events_per_s: float
    read_events_per_s: float
    decode_events_per_s: float
    fold_events_per_s: float


async def measure_replay(log: LogReader, domain: Domain = DOMAIN) -> ReplayFigures:
    """Rebuild every tracker of a log, one after the other in this process."""
    wall, spent = time.perf_counter(), time.process_time()
    events = conversations = 0
    with rarely_collected():
        async for rebuilt in rebuild(log, lambda version: domain):
            assert rebuilt.dialogue.tracker.latest_event_time is not None
            events += rebuilt.dialogue.event_count
            conversations += 1
    spent, wall = time.process_time() - spent, time.perf_counter() - wall
    records, reading = await _read(log)
    messages = [event for record in records for event in record.events]
    decoded, decoding = _timed(lambda: [event_read_late(message) for message in messages])
    by_conversation = _grouped(records, decoded)
    _, folding = _timed(lambda: [Dialogue(name, domain, found).tracker for name, found in by_conversation.items()])
    return ReplayFigures(
        events=events,
        conversations=conversations,
        rebuild_events_per_s=events / spent,
        wall_events_per_s=events / wall,
        read_events_per_s=len(messages) / reading,
        decode_events_per_s=len(messages) / decoding,
        fold_events_per_s=len(messages) / folding,
    )


async def _read(log: LogReader) -> tuple[list[TurnRecord], float]:
    """The records of one partition, and the processor's seconds that reading them took."""
    spent = time.process_time()
    records = [entry.record async for entry in log.read_turns(0) if isinstance(entry, Entry)]
    return records, time.process_time() - spent


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    spent = time.process_time()
    result = work()
    return result, time.process_time() - spent


def _grouped(records: list[TurnRecord], events: list[Event]) -> dict[str, list[Event]]:
    grouped: dict[str, list[Event]] = {}
    place = 0
    for record in records:
        end = place + len(record.events)
        grouped.setdefault(record.conversation_id, []).extend(events[place:end])
        place = end
    return grouped


@cache
def _templates() -> list[list[EventProto]]:
    return [[event_to_proto(event) for event in _turn(n)] for n in range(len(INTENTS))]


def synthetic_conversation(conversation_id: str, turns: int) -> Iterator[TurnRecord]:
    """The turns of one conversation."""
    templates = _templates()
    for turn in range(1, turns + 1):
        yield _record(conversation_id, turn, templates[turn % len(templates)])


def synthetic_turns(events: int) -> Iterator[TurnRecord]:
    """Turns of conversations that go on side by side, until there are so many events.

    A turn is what DIET, a rule and a response make of a message: 7 events and 1.7 kB, and 3 more where a session
    begins.
    """
    templates = _templates()
    session = [event_to_proto(event) for event in _session()]
    done, batch = 0, 0
    while done < events:
        for turn in range(TURNS_PER_CONVERSATION):
            for number in range(_SIDE_BY_SIDE):
                conversation = f"conversation-{batch * _SIDE_BY_SIDE + number:08d}"
                template = templates[(number + turn) % len(templates)]
                record = _record(conversation, turn + 1, [*session, *template] if not turn else template)
                done += len(record.events)
                yield record
                if done >= events:
                    return
        batch += 1


_SIDE_BY_SIDE = 500
_FROM = 1_700_000_000.0


def _session() -> list[Event]:
    events: list[Event] = [
        ActionExecuted(name="action_session_start", confidence=1.0),
        SessionStarted(),
        ActionExecuted(name="action_listen"),
    ]
    return [replace(event, metadata=_LABELS) for event in events]


def _turn(number: int) -> list[Event]:
    ranked = INTENTS[number:] + INTENTS[:number]
    text = f"I would like to go to Rome by train number {number}"
    spans, start = [], 0
    for word in text.split():
        spans.append((start, start + len(word)))
        start += len(word) + 1
    city = ExtractedEntity("city", "Rome", 22, 26, confidence=0.99, extractor="DIETClassifier")
    parse = ParseData(
        text=text,
        intent=IntentScore(ranked[0], 0.9995),
        intent_ranking=tuple(IntentScore(name, 0.9995 / 3**place) for place, name in enumerate(ranked)),
        entities=(city,),
        text_tokens=tuple(spans),
        message_id="0123456789abcdef0123456789abcdef",
    )
    action = ActionExecuted(name="utter_greet", policy="MemoizationPolicy", confidence=1.0)
    listen = ActionExecuted(name="action_listen", policy="MemoizationPolicy", confidence=1.0)
    events: list[Event] = [
        UserUttered(text=text, parse_data=parse, input_channel="rest", message_id=parse.message_id),
        SlotSet(name="city", value="Rome"),
        UserFeaturized(use_text_for_featurization=False),
        action,
        BotUttered(text="Hey! How are you?", data=_EMPTY_DATA, metadata={"utter_action": "utter_greet"}),
        replace(action, name="utter_ask") if number % 2 else BotUttered(text="And where to?", data=_EMPTY_DATA),
        listen,
    ]
    return [replace(event, metadata={**event.metadata, **_LABELS}) for event in events]


def _record(conversation_id: str, turn: int, events: list[EventProto]) -> TurnRecord:
    record = TurnRecord(
        format_version=TURN_FORMAT_VERSION,
        conversation_id=conversation_id,
        message_id=f"{conversation_id}-{turn}",
        turn_number=turn,
        bundle_version="benchmark",
        committed_at=timestamp_to_proto(_FROM + turn),
        events=events,
        channel="rest",
    )
    for place, event in enumerate(record.events):
        event.timestamp.CopyFrom(timestamp_to_proto(_FROM + 60.0 * turn + 0.001 * place + 0.000123))
    return record


def write_sqlite(path: Path, events: int = EVENTS) -> None:
    """A log of so many events in a file."""
    write_turns(path, synthetic_turns(events))


def write_turns(path: Path, records: Iterable[TurnRecord]) -> None:
    """A log of these turns in a file, as turns commit it, in one transaction."""
    connection = sqlite_store.connect(path, synchronous="NORMAL", create_partitions=PARTITIONS)
    connection.execute("BEGIN IMMEDIATE")
    for offset, record in enumerate(records, 1):
        partition = sqlite_store.partition_of(record.conversation_id, PARTITIONS)
        record.inbox_partition, record.inbox_offset = partition, offset
        message = InboxMessage(
            format_version=INBOX_FORMAT_VERSION, conversation_id=record.conversation_id, message_id=record.message_id
        )
        message.user_message.text = record.events[0].user_uttered.text or "hello"
        ids = (partition, record.conversation_id, record.message_id, record.turn_number)
        connection.execute(
            "INSERT INTO inbox (position, partition, conversation_id, message_id, turn_number, record)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (offset, *ids, message.SerializeToString()),
        )
        connection.execute(
            "INSERT INTO turns (partition, conversation_id, message_id, turn_number, record) VALUES (?, ?, ?, ?, ?)",
            (*ids, record.SerializeToString()),
        )
    connection.execute("COMMIT")
    connection.close()


async def write_kafka(log: "KafkaTurnLog", settings: "KafkaSettings", events: int = EVENTS) -> None:
    """Turns straight into the topic of an empty log: for reading only, no worker may go on with it."""
    await log.ready()
    await asyncio.to_thread(_produce, settings, events)


def _produce(settings: "KafkaSettings", events: int) -> None:
    from turnstream.turnlog.kafka.clients import close_producer, open_producer
    from turnstream.turnlog.kafka.records import message_header, partition_of, turn_key
    from turnstream.turnlog.kafka.settings import producer_config

    producer = open_producer(producer_config(settings) | {"linger_ms": 20, "batch_size": 256 * 1024})
    for record in synthetic_turns(events):
        producer.send(
            settings.turns,
            key=turn_key(record.conversation_id, record.turn_number),
            value=record.SerializeToString(),
            headers=message_header(record.message_id),
            partition=partition_of(record.conversation_id, settings.partitions),
        )
    producer.flush()
    close_producer(producer, 10.0)


@asynccontextmanager
async def synthetic_log(folder: Path, events: int, bootstrap_servers: str = "") -> AsyncIterator[TurnLog]:
    """A log of so many events: in a file of this folder, or on Kafka under a prefix of its own."""
    if not bootstrap_servers:
        path = folder / "replay.db"
        await asyncio.to_thread(write_sqlite, path, events)
        log = SqliteTurnLog(path)
        try:
            yield log
        finally:
            await log.close()
        return
    from turnstream.turnlog.kafka.log import KafkaTurnLog
    from turnstream.turnlog.kafka.settings import KafkaSettings

    settings = KafkaSettings(
        bootstrap_servers=bootstrap_servers, prefix=f"replay-{time.time_ns()}.", partitions=PARTITIONS, replication=1
    )
    kafka_log = KafkaTurnLog(settings)
    try:
        await write_kafka(kafka_log, settings, events)
        yield kafka_log
    finally:
        await kafka_log.close()


@click.command()
@click.option("--events", default=EVENTS, show_default=True)
@click.option("--kafka", "bootstrap_servers", default="", help="Brokers, instead of a file.")
def main(events: int, bootstrap_servers: str) -> None:
    """Make a log and replay it."""

    async def run() -> ReplayFigures:
        with tempfile.TemporaryDirectory(prefix="turnstream-replay-") as folder:
            async with synthetic_log(Path(folder), events, bootstrap_servers) as log:
                return await measure_replay(log)

    json.dump({"replay": asdict(asyncio.run(run()))}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
