"""Events and trackers have the JSON of Rasa's HTTP API, and mistakes in posted ones are named."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.records import load_record, record_files, record_name
from turnstream.assistant.domain import Domain, Slot
from turnstream.dialogue import events as ev
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, event_to_proto
from turnstream.dialogue.rasa_json import (
    EventError,
    event_from_rasa,
    event_to_rasa,
    events_from_rasa,
    parse_from_rasa,
    parse_result_to_rasa,
    parse_to_rasa,
    tracker_to_rasa,
)


def recorded_events(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        if {"event", "timestamp", "metadata"} <= node.keys():
            return [node]
        return [event for value in node.values() for event in recorded_events(value)]
    if isinstance(node, list):
        return [event for value in node for event in recorded_events(value)]
    return []


@pytest.mark.parametrize("path", record_files(), ids=record_name)
def test_every_recorded_event_comes_back_as_it_was(path: Path) -> None:
    for data in recorded_events(load_record(path)):
        event = event_from_rasa(data)
        assert json.dumps(event_to_rasa(event), sort_keys=True) == json.dumps(data, sort_keys=True)
        assert event_from_proto(event_to_proto(event)) == event


DOCUMENTED: list[dict[str, Any]] = [
    {"event": "user", "text": "hi", "parse_data": {}, "input_channel": "rest", "message_id": "m"},
    {"event": "bot", "text": "hi", "data": {"image": "a.png"}},
    {"event": "agent", "text": "hi", "data": {"image": "a.png"}},
    {"event": "action", "name": "utter_greet", "policy": "p", "confidence": 0.5, "action_text": None},
    {"event": "slot", "name": "city", "value": ["Rome"]},
    {"event": "entities", "entities": [{"entity": "city", "value": "Rome"}]},
    {"event": "user_featurization", "use_text_for_featurization": True},
    {"event": "active_loop", "name": "trip_form"},
    {"event": "loop_interrupted", "is_interrupted": True},
    {"event": "action_execution_rejected", "name": "trip_form", "policy": "p", "confidence": 1.0},
    {"event": "followup", "name": "utter_greet"},
    {
        "event": "reminder",
        "intent": "EXTERNAL_call",
        "date_time": "2018-09-03T11:41:10.128172",
        "entities": [{"entity": "city", "value": "Rome"}],
        "name": "r",
        "kill_on_user_msg": False,
    },
    {"event": "cancel_reminder", "name": "r", "intent": "EXTERNAL_call", "entities": {"city": "Rome"}},
    *(
        {"event": n}
        for n in ("rewind", "undo", "reset_slots", "restart", "session_started", "pause", "resume", "export")
    ),
]


def test_every_documented_event_is_tried_here() -> None:
    of_our_own = {"routing_session_ended", "conversation_erased"}
    assert {data["event"] for data in DOCUMENTED} == ev.EVENT_TYPES.keys() - of_our_own


@pytest.mark.parametrize("data", DOCUMENTED, ids=lambda data: str(data["event"]))
def test_a_documented_event_keeps_its_fields_and_its_metadata_in_the_log(data: dict[str, Any]) -> None:
    posted = data | {"timestamp": 12.5, "metadata": {"author": [1, {"a": None}]}}
    event = event_from_rasa(posted)
    assert type(event) is ev.EVENT_TYPES[data["event"]]
    kept = event_to_rasa(event_from_proto(event_to_proto(event)))
    assert posted.items() <= (kept | {"parse_data": {}}).items()


@pytest.mark.parametrize("path", [p for p in record_files() if "parses" in load_record(p)], ids=record_name)
def test_every_recorded_parse_comes_back_as_it_was(path: Path) -> None:
    for data in load_record(path)["parses"].values():
        assert parse_result_to_rasa(parse_from_rasa(data)) == data


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ("slot", "event", "an event must be an object, got 'slot'"),
        ({"name": "city"}, "event", "it needs 'event' (a text)"),
        ({"event": "slott"}, "event", "unknown event 'slott'. Did you mean 'slot'?"),
        ({"event": "slot", "value": 1}, "name", "event 'slot' needs 'name' (a text)"),
        ({"event": "slot", "name": "city"}, "value", "event 'slot' needs 'value' (any value)"),
        ({"event": "slot", "name": 3, "value": 1}, "name", "'name' must be a text, got 3"),
        ({"event": "action"}, "name", "event 'action' needs 'name' (a text)"),
        ({"event": "followup"}, "name", "event 'followup' needs 'name' (a text)"),
        ({"event": "active_loop"}, "name", "event 'active_loop' needs 'name' (a text, or null to end the loop)"),
        ({"event": "undo", "timestamp": "now"}, "timestamp", "'timestamp' must be a number or null, got 'now'"),
        ({"event": "undo", "timestamp": 1e20}, "timestamp", "'timestamp' must be seconds since the epoch, got 1e+20"),
        ({"event": "undo", "metadata": []}, "metadata", "'metadata' must be an object, got []"),
        ({"event": "user", "text": 5}, "text", "'text' must be a text or null, got 5"),
        (
            {"event": "user", "text": "x", "parse_data": {"intent": "hi"}},
            "intent",
            "'parse_data.intent' must be an object, got 'hi'",
        ),
        (
            {"event": "user", "text": "x", "parse_data": {"entities": [{"value": 1}]}},
            "entity",
            "it needs 'parse_data.entities[0].entity' (a text)",
        ),
        ({"event": "bot", "text": "\ud800"}, "text", "'text' of event 'bot' cannot be kept: it is no text that UTF-8"),
        ({"event": "slot", "name": "s", "value": b"x"}, "value", "'value' of event 'slot' cannot be kept"),
        ({"event": "reminder", "intent": "hi"}, "date_time", "event 'reminder' needs 'date_time' (a text)"),
        (
            {"event": "loop_interrupted", "is_interrupted": 1},
            "is_interrupted",
            "'is_interrupted' must be true or false",
        ),
    ],
)
def test_a_mistake_is_named(data: Any, field: str, message: str) -> None:
    with pytest.raises(EventError) as caught:
        event_from_rasa(data)
    assert caught.value.field == field
    assert message in str(caught.value)


def test_of_a_list_the_good_events_are_kept_and_each_bad_one_is_named() -> None:
    good, errors = events_from_rasa([{"event": "pause"}, {"event": "bogus"}, 3, {"event": "resume"}], now=9.0)
    assert good == (ev.ConversationPaused(timestamp=9.0), ev.ConversationResumed(timestamp=9.0))
    assert [e.index for e in errors] == [1, 2]


def test_no_list_at_all_is_a_mistake() -> None:
    assert [e.field for e in events_from_rasa({"event": "pause"})[1]] == ["events"]


def test_an_unknown_event_may_be_kept() -> None:
    data = {"event": "brand_new", "timestamp": 1.0, "metadata": {}, "colour": "red"}
    event = event_from_rasa(data, keep_unknown=True)
    assert event_to_rasa(event) == data


def test_a_missing_timestamp_is_now_and_further_keys_do_not_matter() -> None:
    event = event_from_rasa({"event": "slot", "name": "city", "value": 1, "timestamp": None, "colour": "red"}, now=7.0)
    assert event == ev.SlotSet(name="city", value=1, timestamp=7.0)


def test_the_names_of_rasa_1_are_read() -> None:
    assert event_from_rasa({"event": "form", "name": "f"}) == ev.ActiveLoopChanged(name="f")
    assert event_from_rasa({"event": "form_validation", "validate": False}) == ev.LoopInterrupted(is_interrupted=True)


def test_a_posted_message_may_lack_its_parse() -> None:
    event = event_from_rasa({"event": "user", "text": "hello"})
    assert event_to_rasa(event)["parse_data"] == {
        "intent": {},
        "entities": [],
        "text": "hello",
        "message_id": None,
        "metadata": {},
    }


def test_odd_keys_of_an_entity_are_kept_as_they_are() -> None:
    entity = {
        "entity": "city",
        "value": None,
        "start": None,
        "role": None,
        "confidence": None,
        "additional_info": {"a": 1},
    }
    data = {"intent": {"name": "i"}, "entities": [entity], "text": "", "message_id": None, "metadata": {}}
    assert parse_to_rasa(parse_from_rasa(data)) == data


def test_the_tracker_of_a_new_conversation() -> None:
    domain = Domain(slots={"city": Slot("city", "text")})
    assert tracker_to_rasa(Dialogue("c", domain).tracker) == {
        "sender_id": "c",
        "slots": {"city": None},
        "latest_message": {"intent": {}, "entities": [], "text": None, "message_id": None, "metadata": {}},
        "latest_event_time": None,
        "followup_action": "action_listen",
        "paused": False,
        "events": None,
        "latest_input_channel": None,
        "active_loop": {},
        "latest_action": {},
        "latest_action_name": None,
    }


def test_the_events_asked_for_are_in_the_tracker() -> None:
    event = ev.ActionExecuted(action_text="Well", timestamp=2.0)
    tracker = tracker_to_rasa(Dialogue("c", Domain(), [event]).tracker, [event])
    assert tracker["events"] == [event_to_rasa(event)]
    assert tracker["latest_action"] == {"action_text": "Well"}
    assert tracker["latest_action_name"] is None
