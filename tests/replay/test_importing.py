"""An import adds what the log does not have yet, once, and leaves alone what it cannot add in full."""

from pathlib import Path
from typing import Any

import pytest
from support.logs import fill, sqlite_log
from turnstream.api.v1.turnlog_pb2 import InboxMessage, UserMessage
from turnstream.assistant.location import Location
from turnstream.dialogue.events import ActionExecuted, ConversationErased, Event, ParseData, SlotSet, UserUttered
from turnstream.dialogue.proto import event_from_proto
from turnstream.dialogue.rasa_json import event_to_rasa
from turnstream.replay import importing
from turnstream.replay.import_worker import ImportFailed, importer
from turnstream.replay.importing import Conversation, Plan, plan, present_events, read_conversation
from turnstream.replay.sources import RawConversation, RawEvent
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import Entry, TurnLog

EVENTS: list[Event] = [
    UserUttered(text="hi", parse_data=ParseData(text="hi"), timestamp=1.0),
    ActionExecuted(name="action_listen", timestamp=2.0),
    UserUttered(text="again", parse_data=ParseData(text="again"), timestamp=3.0),
    SlotSet(name="city", value=None, timestamp=4.0),
]
WHERE = Location("t.json", 3)


def raw(*data: Any, conversation_id: str = "ada") -> RawConversation:
    return RawConversation(conversation_id, [RawEvent(WHERE, item) for item in data])


def conversation(events: list[Event], conversation_id: str = "ada") -> Conversation:
    return read_conversation(raw(*map(event_to_rasa, events), conversation_id=conversation_id))


async def bring_in(log: TurnLog, *conversations: Conversation) -> list[Plan]:
    present = await present_events(log, [c.conversation_id for c in conversations])
    plans = [plan(c, present) for c in conversations]
    async with importer(log) as carrier:
        for planned in plans:
            await carrier.carry_out(planned)
    return plans


async def events_of(log: TurnLog, conversation_id: str = "ada") -> list[list[Event]]:
    """Turn by turn."""
    entries = [entry async for entry in log.read_turns()]
    records = [e.record for e in entries if isinstance(e, Entry) and e.record.conversation_id == conversation_id]
    return [[event_from_proto(event) for event in record.events] for record in records]


async def test_a_conversation_becomes_one_turn(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        (planned,) = await bring_in(log, conversation(EVENTS))
        assert (planned.events, await events_of(log)) == (4, [EVENTS])
        assert await check_log(log) == []


async def test_a_second_time_nothing_happens_and_what_is_new_is_added(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await bring_in(log, conversation(EVENTS[:2]))
        (again,) = await bring_in(log, conversation(EVENTS[:2]))
        (more,) = await bring_in(log, conversation(EVENTS))
        (shorter,) = await bring_in(log, conversation(EVENTS[:1]))
        assert [p.events for p in (again, more, shorter)] == [0, 2, 0]
        assert await events_of(log) == [EVENTS[:2], EVENTS[2:]]


async def test_a_conversation_that_went_another_way_is_left_alone(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await fill(log, [("ada", [*EVENTS[:2], SlotSet(name="city", value="Rome", timestamp=3.0)])])
        (planned,) = await bring_in(log, conversation(EVENTS))
        assert planned.conflict == "the log has other events of it, from event 3 on"
        assert len(await events_of(log)) == 1


async def test_who_was_erased_does_not_come_back(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        await bring_in(log, conversation(EVENTS))
        erasure: list[Event] = [ConversationErased(timestamp=9.0)]
        await fill(log, [("ada", erasure)])
        (planned,) = await bring_in(log, conversation(EVENTS))
        assert "other events" in planned.conflict
        assert await events_of(log) == [erasure]


async def test_a_long_conversation_comes_as_several_turns_that_begin_with_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MAX_TURN_BYTES", len(b"".join(conversation(EVENTS[:3]).events)))
    async with sqlite_log(tmp_path / "turns.db") as log:
        await bring_in(log, conversation(EVENTS * 2))
        turns = await events_of(log)
        assert [event for turn in turns for event in turn] == EVENTS * 2
        assert len(turns) > 2
        assert all(isinstance(turn[0], UserUttered) for turn in turns)


async def test_an_import_that_was_cut_off_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_TURN_BYTES", 1)
    async with sqlite_log(tmp_path / "turns.db") as log:
        planned = plan(conversation(EVENTS), await present_events(log, ["ada"]))
        # The process died after the second message was accepted and the first one committed.
        async with importer(log) as carrier:
            await carrier.carry_out(Plan("ada", planned.messages[:1]))
        await log.accept(planned.messages[1])
        await bring_in(log, conversation(EVENTS))
        assert await events_of(log) == [[event] for event in EVENTS]
        assert await check_log(log) == []


async def test_a_message_that_waits_is_not_overtaken(tmp_path: Path) -> None:
    async with sqlite_log(tmp_path / "turns.db") as log:
        waiting = InboxMessage(conversation_id="ada", message_id="m", user_message=UserMessage(text="hi"))
        await log.accept(waiting)
        with pytest.raises(ImportFailed, match="waits to be answered first"):
            await bring_in(log, conversation(EVENTS))
        assert await events_of(log) == []
        await bring_in(log, conversation(EVENTS, "bob"))
        assert await events_of(log, "bob") == [EVENTS]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"event": "slott", "timestamp": 1.0}, "unknown event 'slott'. Did you mean 'slot'?"),
        ({"event": "slot", "value": 1}, "event 'slot' needs 'name' (a text)"),
        ("text", "an event must be an object, got 'text'"),
        (None, "an event must be an object, got None"),
        ({"event": "undo", "timestamp": "noon"}, "'timestamp' must be a number"),
    ],
)
def test_a_bad_event_keeps_its_conversation_out(data: Any, told: str) -> None:
    read = read_conversation(raw(event_to_rasa(EVENTS[0]), data))
    assert read.events == ()
    (problem,) = read.problems
    assert str(problem).startswith("t.json:3: conversation 'ada': ")
    assert told in str(problem)


def test_all_bad_events_are_named() -> None:
    assert len(read_conversation(raw({"event": "x"}, {"event": "undo"}, {})).problems) == 2
    assert "has no events" in str(read_conversation(raw()).problems[0])
    assert "NUL" in str(read_conversation(raw({"event": "undo"}, conversation_id="a\0b")).problems[0])


def test_events_of_types_that_are_not_known_can_be_kept() -> None:
    data = {"event": "moved", "timestamp": 1.0, "metadata": {}, "to": "Rome"}
    assert read_conversation(raw(data)).problems
    kept = read_conversation(raw(data), keep_unknown=True)
    assert (len(kept.events), kept.problems) == (1, ())


def test_an_event_without_a_time_has_that_of_the_one_before() -> None:
    timed = read_conversation(raw({"event": "undo", "timestamp": 5.0}, {"event": "undo"}))
    assert timed.events[0] == timed.events[1]
