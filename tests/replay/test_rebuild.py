"""Trackers rebuilt from a log are those that were served, as of any moment."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from support.logs import fill, sqlite_log
from support.records import RecordedConversation, conversations, load_record, record_files, record_name
from support.turns import a_domain
from turnstream.assistant.domain import Domain
from turnstream.dialogue.events import (
    ActionExecuted,
    BotUttered,
    ConversationErased,
    Event,
    IntentScore,
    ParseData,
    SlotSet,
    UserUttered,
)
from turnstream.dialogue.rasa_json import event_from_rasa, tracker_to_rasa
from turnstream.replay.rebuild import Rebuilt, rebuild
from turnstream.replay.selection import Reading, Selection, no_progress
from turnstream.turnlog.interface import LogReader

DOMAIN = a_domain()


def turn(text: str, at: float, city: str) -> list[Event]:
    return [
        UserUttered(text=text, parse_data=ParseData(text=text, intent=IntentScore("greet", 1.0)), timestamp=at),
        SlotSet(name="city", value=city, timestamp=at + 0.25),
        ActionExecuted(name="utter_greet", timestamp=at + 0.5),
        BotUttered(text="Hello", timestamp=at + 0.5),
        ActionExecuted(name="action_listen", timestamp=at + 0.75),
    ]


TURNS = [
    ("ada", turn("hi", 100, "Rome")),
    ("bob", turn("hello", 101, "Oslo")),
    ("ada", turn("again", 200, "Bonn")),
    ("cy", turn("late", 300, "Kyiv")),
]


async def rebuilt(log: LogReader, selection: Selection | None = None, domain: Domain = DOMAIN) -> dict[str, Rebuilt]:
    return {found.conversation_id: found async for found in rebuild(log, lambda version: domain, selection)}


def cities(found: dict[str, Rebuilt]) -> dict[str, object]:
    return {name: one.dialogue.tracker.slots["city"] for name, one in found.items()}


async def test_every_conversation_comes_back_whole(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, TURNS)
        readings: list[Reading] = []
        found = {r.conversation_id: r async for r in rebuild(log, lambda version: DOMAIN, progress=readings.append)}
    assert {name: list(one.dialogue.events) for name, one in found.items()} == {
        "ada": [*TURNS[0][1], *TURNS[2][1]],
        "bob": list(TURNS[1][1]),
        "cy": list(TURNS[3][1]),
    }
    assert (found["ada"].turns, found["ada"].last_turn) == (2, 2)
    assert readings[-1] == Reading(4, 4, turns=4, events=20, conversations=3)


async def test_as_of_a_moment_even_within_a_turn(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, TURNS)
        assert cities(await rebuilt(log, Selection(until_time=250.0))) == {"ada": "Bonn", "bob": "Oslo"}
        within = await rebuilt(log, Selection(frozenset({"ada"}), until_time=200.0))
        assert cities(within) == {"ada": "Rome"}
        message = within["ada"].dialogue.tracker.latest_message
        assert message is not None
        assert (message.text, within["ada"].turns) == ("again", 2)
        assert await rebuilt(log, Selection(until_time=99.0)) == {}


async def test_as_of_an_offset_with_it(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db", partitions=1) as log:
        await fill(log, TURNS)
        offsets = [entry.position.offset async for entry in log.read_turns()]
        assert cities(await rebuilt(log, Selection(until_offsets={0: offsets[1]}))) == {"ada": "Rome", "bob": "Oslo"}
        assert cities(await rebuilt(log, Selection(until_offsets={0: offsets[2]})))["ada"] == "Bonn"
        assert await rebuilt(log, Selection(until_offsets={0: -1})) == {}


async def test_what_was_erased_is_gone_from_every_moment(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, [*TURNS, ("ada", [ConversationErased(timestamp=400.0)])])
        found = await rebuilt(log, Selection(frozenset({"ada"})))
        assert list(found["ada"].dialogue.events) == [ConversationErased(timestamp=400.0)]
        assert await rebuilt(log, Selection(frozenset({"ada"}), until_time=250.0)) == {}


async def test_a_damaged_record_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "turns.db"
    async with sqlite_log(path) as log:
        await fill(log, TURNS)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE turns SET record = x'ffff' WHERE conversation_id = 'ada' AND turn_number = 1")
    connection.close()
    async with sqlite_log(path) as log:
        found = await rebuilt(log)
    assert cities(found) == {"ada": "Bonn", "bob": "Oslo", "cy": "Kyiv"}
    assert [(d.conversation_id, d.log) for d in found["ada"].damaged] == [("ada", "turns")]


GOLDEN = [p for p in record_files() if load_record(p).get("conversations") and "micro" not in str(p)]


@pytest.mark.parametrize("path", GOLDEN, ids=record_name)
async def test_recorded_conversations_of_rasa_have_rasas_trackers(path: Path, tmp_path: Path) -> None:
    recorded = {c.final_tracker["sender_id"]: c for c in conversations(path)}
    turns = [(sender, _events(c)) for sender, c in recorded.items()]
    domain = next(iter(recorded.values())).domain
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, turns)
        found = await rebuilt(log, domain=domain)
    for sender, conversation in recorded.items():
        tracker = tracker_to_rasa(found[sender].dialogue.tracker)
        assert {k: v for k, v in tracker.items() if k != "events"} == conversation.final_tracker


def _events(conversation: RecordedConversation) -> list[Event]:
    return [event_from_rasa(event) for turn in conversation.turns for event in turn.events]


async def test_reading_can_be_left_off(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, TURNS)
        async with asyncio.timeout(10):
            generator = rebuild(log, lambda version: DOMAIN, progress=no_progress)
            first = await anext(generator)
            await generator.aclose()  # type: ignore[attr-defined]
        assert first.turns >= 1
