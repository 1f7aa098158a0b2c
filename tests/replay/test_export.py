"""Events go out as Rasa's event brokers publish them, and an export goes on where one ended."""

import json
from pathlib import Path
from typing import Any

from support.logs import fill, sqlite_log
from turnstream.dialogue.events import ActionExecuted, BotUttered, Event, IntentScore, ParseData, SlotSet, UserUttered
from turnstream.replay.export import ExportedTurn, TimeRange, exported_turns
from turnstream.replay.places import later
from turnstream.replay.selection import Selection
from turnstream.turnlog.interface import LogReader

EVERYTHING = TimeRange()


def turn(at: float) -> list[Event]:
    parse = ParseData(text="hi", intent=IntentScore("greet", 0.5))
    return [
        UserUttered(text="hi", parse_data=parse, input_channel="rest", timestamp=at, metadata={"model_id": "m"}),
        SlotSet(name="city", value="Köln", timestamp=at + 1),
        ActionExecuted(name="utter_greet", policy="RulePolicy", confidence=1.0, timestamp=at + 2),
        BotUttered(text="Hello", data={"image": None}, timestamp=at + 3),
    ]


async def bodies(
    log: LogReader,
    selection: Selection | None = None,
    times: TimeRange = EVERYTHING,
    after: dict[int, int] | None = None,
) -> list[dict[str, Any]]:
    """The events, and the place of each turn noted in `after`."""
    places = {} if after is None else after
    found: list[dict[str, Any]] = []
    async for turn in exported_turns(log, selection or Selection(), times, dict(places)):
        assert isinstance(turn, ExportedTurn)
        later(places, turn.position)
        found += map(json.loads, turn.bodies)
    return found


async def test_the_shape_is_that_of_rasas_brokers(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, [("ada", turn(100.0))])
        user, slot, action, bot = await bodies(log)
    assert list(user)[:3] == ["sender_id", "event", "timestamp"]
    assert user == {
        "sender_id": "ada",
        "event": "user",
        "timestamp": 100.0,
        "metadata": {"model_id": "m"},
        "text": "hi",
        "parse_data": {
            "intent": {"name": "greet", "confidence": 0.5},
            "entities": [],
            "text": "hi",
            "message_id": None,
            "metadata": {},
        },
        "input_channel": "rest",
        "message_id": None,
    }
    assert slot == {
        "sender_id": "ada", "event": "slot", "timestamp": 101.0, "metadata": {}, "name": "city", "value": "Köln",
    }  # fmt: skip
    assert (action["event"], action["name"], action["policy"], action["confidence"]) == (
        "action", "utter_greet", "RulePolicy", 1.0,
    )  # fmt: skip
    assert (bot["event"], bot["text"], bot["data"]) == ("bot", "Hello", {"image": None})


async def test_filters_are_those_of_rasa_export(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, [("ada", turn(100.0)), ("bob", turn(200.0))])
        one = await bodies(log, Selection(frozenset({"bob"})))
        # The minimum counts, the maximum does not.
        between = await bodies(log, times=TimeRange(101.0, 103.0))
        assert {body["sender_id"] for body in one} == {"bob"}
        assert [(body["sender_id"], body["timestamp"]) for body in between] == [("ada", 101.0), ("ada", 102.0)]


async def test_an_export_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    after: dict[int, int] = {}
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, [("ada", turn(100.0)), ("bob", turn(200.0))])
        first = await bodies(log, after=after)
        assert await bodies(log, after=after) == []
        await fill(log, [("ada", turn(300.0)), ("cy", turn(400.0))], first=2)
        second = await bodies(log, after=after)
        whole = await bodies(log)
    assert {body["timestamp"] for body in second} == {300.0, 301.0, 302.0, 303.0, 400.0, 401.0, 402.0, 403.0}
    assert sorted(map(json.dumps, first + second)) == sorted(map(json.dumps, whole))
