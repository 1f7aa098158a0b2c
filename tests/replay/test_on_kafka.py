"""Replay, export and import on Apache Kafka, and events to a topic."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka.admin import NewTopic
from support.kafka import kafka_settings
from support.logs import fill
from support.turns import a_domain
from turnstream.assistant.location import NOWHERE
from turnstream.cli.main import cli
from turnstream.dialogue.events import ActionExecuted, Event, ParseData, SlotSet, UserUttered
from turnstream.dialogue.rasa_json import event_to_rasa
from turnstream.replay.export import ExportedTurn, TimeRange, broker_body, exported_turns
from turnstream.replay.import_worker import importer
from turnstream.replay.importing import Conversation, plan, present_events, read_conversation
from turnstream.replay.rebuild import rebuild
from turnstream.replay.selection import Selection
from turnstream.replay.sources import RawConversation, RawEvent
from turnstream.replay.topic import EventTopic, TopicError
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import TurnLog
from turnstream.turnlog.kafka.clients import open_admin, open_consumer
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.settings import KafkaSettings, client_config, consumer_config

DOMAIN = a_domain()


def turn(text: str, at: float, city: str) -> list[Event]:
    return [
        UserUttered(text=text, parse_data=ParseData(text=text), timestamp=at),
        SlotSet(name="city", value=city, timestamp=at + 0.25),
        ActionExecuted(name="action_listen", timestamp=at + 0.75),
    ]


TURNS = [
    ("ada", turn("hi", 100.0, "Rome")),
    ("bob", turn("hello", 101.0, "Oslo")),
    ("ada", turn("again", 200.0, "Bonn")),
]


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return kafka_settings(kafka_broker)


@pytest.fixture
async def log(settings: KafkaSettings) -> AsyncIterator[KafkaTurnLog]:
    opened = KafkaTurnLog(settings)
    yield opened
    await opened.close()


@pytest.fixture
def topic(settings: KafkaSettings) -> Iterator[str]:
    name = f"{settings.prefix}events"
    admin = open_admin(client_config(settings))
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1)])
    yield name
    admin.close()


async def cities(log: TurnLog, selection: Selection | None = None) -> dict[str, object]:
    found = rebuild(log, lambda version: DOMAIN, selection)
    return {rebuilt.conversation_id: rebuilt.dialogue.tracker.slots["city"] async for rebuilt in found}


def as_imported(conversation_id: str, events: list[Event]) -> Conversation:
    raw = [RawEvent(NOWHERE, event_to_rasa(event)) for event in events]
    return read_conversation(RawConversation(conversation_id, raw))


async def test_trackers_are_rebuilt_as_of_any_offset_and_moment(log: KafkaTurnLog) -> None:
    await fill(log, TURNS)
    assert await cities(log) == {"ada": "Bonn", "bob": "Oslo"}
    assert await cities(log, Selection(frozenset({"bob"}))) == {"bob": "Oslo"}
    assert await cities(log, Selection(until_time=150.0)) == {"ada": "Rome", "bob": "Oslo"}
    first = min([entry.position async for entry in log.read_turns(log.partition_of("ada"))])
    early = Selection(frozenset({"ada"}), {first.partition: first.offset})
    assert await cities(log, early) == {"ada": "Rome"}


async def test_an_import_is_done_once_and_gone_on_with(log: KafkaTurnLog) -> None:
    for events in (TURNS[0][1], TURNS[0][1], TURNS[0][1] + TURNS[2][1]):
        planned = plan(as_imported("ada", events), await present_events(log, ["ada"]))
        async with importer(log) as carrier:
            await carrier.carry_out(planned)
    assert [entry.record.turn_number async for entry in log.read_turns()] == [1, 2]  # type: ignore[union-attr]
    assert await cities(log) == {"ada": "Bonn"}
    assert await check_log(log) == []


async def test_events_go_to_a_topic_keyed_by_sender(log: KafkaTurnLog, settings: KafkaSettings, topic: str) -> None:
    await fill(log, TURNS)
    events = EventTopic(settings, topic)
    sent: dict[str, list[str]] = {}
    async for exported in exported_turns(log, Selection(), TimeRange(), {}):
        assert isinstance(exported, ExportedTurn)
        events.send(exported.sender_id, exported.bodies)
        sent.setdefault(exported.sender_id, []).extend(exported.bodies)
    events.flush()
    events.close()
    received: dict[str, list[str]] = {}
    consumer = open_consumer(consumer_config(settings))
    consumer.subscribe([topic])
    while sum(map(len, received.values())) < sum(map(len, sent.values())):
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                received.setdefault(record.key.decode(), []).append(record.value.decode())
    consumer.close()
    assert received == sent
    assert [json.loads(body)["timestamp"] for body in received["bob"]] == [101, 101.25, 101.75]


def test_a_topic_that_is_not_there_and_brokers_that_are_away(settings: KafkaSettings) -> None:
    with pytest.raises(TopicError, match=r"topic 'nothing' at .* is not there"):
        EventTopic(settings, "nothing")
    with pytest.raises(TopicError, match="cannot be reached"):
        EventTopic(replace(settings, bootstrap_servers="127.0.0.1:9"), "nothing")


def test_the_commands_on_kafka(settings: KafkaSettings, topic: str, tmp_path: Path) -> None:
    environment = {
        "TURNSTREAM_KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "TURNSTREAM_KAFKA_PREFIX": settings.prefix,
        "TURNSTREAM_KAFKA_PARTITIONS": str(settings.partitions),
        "TURNSTREAM_KAFKA_REPLICATION": "1",
    }

    def run(*arguments: str) -> Result:
        return CliRunner(env=environment).invoke(cli, [*arguments, "--log", "kafka"], catch_exceptions=False)

    lines = [broker_body(name, event_to_rasa(event)) for name, events in TURNS for event in events]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    imported = run("import", str(tmp_path / "events.jsonl"))
    assert imported.stdout == "2 conversations with 9 events imported; 0 were there already.\n"
    assert sorted(run("export").stdout.splitlines()) == sorted(lines)
    place = str(tmp_path / "place")
    first = run("export", "--to-topic", topic, "--position-file", place)
    again = run("export", "--to-topic", topic, "--position-file", place)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert (first.stderr[:19], again.stderr[:19]) == ("9 events of 2 turns", "0 events of 0 turns")
    missing = run("export", "--to-topic", "nothing")
    assert (missing.exit_code, "topic 'nothing'" in missing.stderr) == (1, True)
