"""Rasa's REST API for one conversation: its tracker, its events, and what is asked of it from outside."""

from typing import Any

import aiohttp
import pytest
import yaml
from support.gateway import Behind
from support.rest import ask, begin
from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.dialogue.events import ActionExecuted, IntentScore, ParseData, SlotSet, UserUttered
from turnstream.dialogue.proto import event_to_proto, timestamp_to_proto
from turnstream.dialogue.values import map_from_proto, value_from_proto


async def test_conversation_is_erased_by_delete(behind: Behind, http: aiohttp.ClientSession) -> None:
    await begin(http, "ada")
    async with http.delete("/conversations/ada?reason=asked+for") as response:
        assert response.status == 204
    assert behind.log.accepted[-1].erasure.reason == "asked for"


async def test_conversation_is_told_as_a_test_story(behind: Behind, http: aiohttp.ClientSession) -> None:
    await begin(http, "ada")
    said = UserUttered(text="hi", parse_data=ParseData(text="hi", intent=IntentScore("greet", 1.0)))
    behind.trackers.events = [event_to_proto(e) for e in (said, ActionExecuted(name="utter_greet"))]
    async with http.get("/conversations/ada/story") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        (story,) = yaml.safe_load(await response.text())["stories"]
    assert story == {"story": "ada", "steps": [{"intent": "greet", "user": "hi"}, {"action": "utter_greet"}]}
    # Rasa tells what happened since a restart, messages to a form too, which are no longer applied.
    assert behind.trackers.asked[-1].events == EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART


async def test_story_of_nobody_is_not_found(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "GET", "/conversations/nobody/story")
    assert (status, answer["reason"]) == (404, "Not found")


async def test_unknown_conversation_cannot_be_erased(behind: Behind, http: aiohttp.ClientSession) -> None:
    async with http.delete("/conversations/nobody") as response:
        assert response.status == 404
    assert not behind.log.accepted


async def test_parameter_without_a_value_counts_as_missing(behind: Behind, http: aiohttp.ClientSession) -> None:
    status, _ = await ask(http, "GET", "/conversations/ada/tracker?include_events=&until=&all_sessions=")
    assert status == 200
    assert behind.trackers.asked[-1].events == EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART
    assert not behind.trackers.asked[-1].HasField("until")


async def test_tracker_with_and_without_events(behind: Behind, http: aiohttp.ClientSession) -> None:
    behind.trackers.events = [event_to_proto(SlotSet(name="city", value="Berlin", timestamp=1.5))]
    status, tracker = await ask(http, "GET", "/conversations/ada%2Fone/tracker?include_events=ALL&until=12.5")
    assert (status, tracker["sender_id"]) == (200, "ada/one")
    assert tracker["events"] == [{"event": "slot", "timestamp": 1.5, "metadata": {}, "name": "city", "value": "Berlin"}]
    assert behind.trackers.asked[-1].events == EventVerbosity.EVENT_VERBOSITY_LATEST_SESSION
    assert behind.trackers.asked[-1].until == timestamp_to_proto(12.5)
    await ask(http, "GET", "/conversations/ada/tracker?include_events=ALL&all_sessions=true")
    assert behind.trackers.asked[-1].events == EventVerbosity.EVENT_VERBOSITY_ALL
    _, tracker = await ask(http, "GET", "/conversations/ada/tracker?include_events=NONE")
    assert tracker["events"] is None
    await ask(http, "GET", "/conversations/ada/tracker")
    assert behind.trackers.asked[-1].events == EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART


@pytest.mark.parametrize("query", ["include_events=SOME", "until=soon", "until=-1", "until=nan"])
async def test_bad_query_is_named(http: aiohttp.ClientSession, query: str) -> None:
    status, answer = await ask(http, "GET", f"/conversations/ada/tracker?{query}")
    assert (status, answer["details"]) == (400, {"parameter": query.split("=")[0], "in": "query"})


async def test_events_are_appended_one_or_many(behind: Behind, http: aiohttp.ClientSession) -> None:
    event = {"event": "slot", "name": "city", "value": "Berlin"}
    for body, count in (([event, event], 2), (event, 1)):
        status, tracker = await ask(http, "POST", "/conversations/ada/tracker/events", json=body)
        assert (status, tracker["sender_id"]) == (200, "ada")
        assert len(behind.log.accepted[-1].events_to_append.events) == count
    appended = behind.log.accepted[-1].events_to_append.events[0]
    assert (appended.slot_set.name, appended.timestamp.seconds > 0) == ("city", True)


async def test_appended_events_are_history_unless_their_effects_are_wanted(
    behind: Behind, http: aiohttp.ClientSession
) -> None:
    event, path = {"event": "resume"}, "/conversations/ada/tracker/events"
    await begin(http, "ada")
    for query in ("", "?execute_side_effects=true"):
        assert (await ask(http, "POST", path + query, json=event))[0] == 200
    assert (await ask(http, "PUT", path, json=[event]))[0] == 200
    told = [message.events_to_append.has_effects for message in behind.log.accepted[-3:]]
    assert told == [False, True, False]


async def test_replaced_events_begin_with_a_restart(behind: Behind, http: aiohttp.ClientSession) -> None:
    body = [{"event": "slot", "name": "city", "value": "Berlin", "timestamp": 5.0}]
    status, _ = await ask(http, "PUT", "/conversations/ada/tracker/events", json=body)
    assert status == 200
    kinds = [e.WhichOneof("body") for e in behind.log.accepted[0].events_to_append.events]
    assert kinds == ["restarted", "slot_set"]


async def test_replaced_events_may_be_none(behind: Behind, http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "PUT", "/conversations/ada/tracker/events", json=[]))[0] == 200
    assert [e.WhichOneof("body") for e in behind.log.accepted[0].events_to_append.events] == ["restarted"]


@pytest.mark.parametrize("body", [[], {"event": "slto", "name": "a"}, [{"event": "slot"}], "text", [5]])
async def test_bad_events_are_refused(behind: Behind, http: aiohttp.ClientSession, body: Any) -> None:
    status, answer = await ask(http, "POST", "/conversations/ada/tracker/events", json=body)
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert not behind.log.accepted


async def test_intent_is_triggered_on_the_latest_channel(behind: Behind, http: aiohttp.ClientSession) -> None:
    await begin(http, "ada")
    behind.trackers.latest_input_channel = "web"
    body = {"name": "greet", "entities": {"city": "Berlin"}}
    status, answer = await ask(http, "POST", "/conversations/ada/trigger_intent?output_channel=latest", json=body)
    assert status == 200
    assert answer["tracker"]["sender_id"] == "ada"
    assert answer["messages"] == [{"recipient_id": "ada", "text": "web: intent_trigger"}]
    trigger = behind.log.accepted[-1].intent_trigger
    assert (trigger.intent, map_from_proto(trigger.entities)) == ("greet", {"city": "Berlin"})


async def test_entities_may_be_a_list(behind: Behind, http: aiohttp.ClientSession) -> None:
    await begin(http, "ada")
    found = [{"entity": "city", "value": "Berlin", "role": "from"}, {"entity": "city", "value": "Rome", "role": "to"}]
    body = {"name": "faq", "entities": found}
    assert (await ask(http, "POST", "/conversations/ada/trigger_intent", json=body))[0] == 200
    trigger = behind.log.accepted[-1].intent_trigger
    assert [(e.entity, value_from_proto(e.value), e.role) for e in trigger.full_entities] == [
        ("city", "Berlin", "from"),
        ("city", "Rome", "to"),
    ]


@pytest.mark.parametrize("entities", [[5], [{"value": 1}], "city"])
async def test_entities_of_another_form_are_refused(behind: Behind, http: aiohttp.ClientSession, entities: Any) -> None:
    await begin(http, "ada")
    body = {"name": "greet", "entities": entities}
    status, answer = await ask(http, "POST", "/conversations/ada/trigger_intent", json=body)
    assert (status, "'entities' must be an object of values by name" in answer["message"]) == (400, True)


async def test_action_is_executed(behind: Behind, http: aiohttp.ClientSession) -> None:
    await begin(http, "ada")
    body = {"name": "utter_greet", "policy": "p", "confidence": 0.5}
    status, answer = await ask(http, "POST", "/conversations/ada/execute?output_channel=x", json=body)
    assert (status, answer["messages"]) == (200, [{"recipient_id": "ada", "text": "x: action_to_execute"}])
    executed = behind.log.accepted[-1].action_to_execute
    assert (executed.action, executed.policy, executed.confidence) == ("utter_greet", "p", 0.5)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("trigger_intent", {}, 400, "Name of the intent not provided"),
        ("trigger_intent", {"name": "gret"}, 404, "The intent gret does not exist in the domain. Did you mean greet?"),
        ("trigger_intent", {"name": "greet", "entities": 5}, 400, "'entities' must be an object"),
        ("execute", {}, 400, "Name of the action not provided"),
        ("execute", {"name": "utter_gret"}, 404, "Did you mean utter_greet?"),
        ("execute", {"name": "utter_greet", "confidence": 2}, 400, "between 0 and 1"),
        ("execute", {"name": "utter_greet", "confidence": "high"}, 400, "must be a number"),
        ("messages", {"sender": "user"}, 400, "'text' is missing"),
        ("messages", {"sender": "bot", "text": "a"}, 400, "Messages of sender 'bot' cannot be handled."),
        ("trigger_intent", {"name": "faq/ask_name"}, 404, "The intent faq/ask_name does not exist in the domain."),
        ("messages", {"text": "a", "parse_data": []}, 400, "parse_data"),
    ],
)
async def test_bad_request_for_a_conversation_is_named(
    http: aiohttp.ClientSession, path: str, body: Any, status: int, message: str
) -> None:
    await begin(http, "ada")
    found, answer = await ask(http, "POST", f"/conversations/ada/{path}", json=body)
    assert found == status
    assert message in answer["message"]


@pytest.mark.parametrize("path", ["execute", "predict"])
async def test_unknown_conversation_is_not_found(http: aiohttp.ClientSession, path: str) -> None:
    status, answer = await ask(http, "POST", f"/conversations/nobody/{path}", json={"name": "utter_greet"})
    assert (status, answer["reason"]) == (404, "Not found")
    assert answer["message"] == "Conversation ID not found."


async def test_conversation_may_begin_with_an_intent_from_outside(behind: Behind, http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "POST", "/conversations/nobody/trigger_intent", json={"name": "greet"})
    assert (status, answer["tracker"]["sender_id"]) == (200, "nobody")
    assert behind.log.accepted[-1].intent_trigger.intent == "greet"


async def test_next_action_is_predicted(http: aiohttp.ClientSession) -> None:
    await begin(http, "ada")
    _, answer = await ask(http, "POST", "/conversations/ada/predict")
    assert answer["scores"] == [{"action": "action_listen", "score": 1.0}, {"action": "utter_greet", "score": 0.0}]
    assert (answer["policy"], answer["confidence"]) == ("RulePolicy", 1.0)
    assert (answer["tracker"]["sender_id"], answer["tracker"]["events"]) == ("ada", [])
    _, answer = await ask(http, "POST", "/conversations/ada/predict?include_events=NONE")
    assert answer["tracker"]["events"] is None


async def test_message_is_added_with_its_own_parse(behind: Behind, http: aiohttp.ClientSession) -> None:
    parse = {"text": "a", "intent": {"name": "greet", "confidence": 1.0}, "entities": []}
    body = {"text": "a", "sender": "user", "parse_data": parse}
    assert (await ask(http, "POST", "/conversations/ada/messages", json=body))[0] == 200
    accepted = behind.log.accepted[-1]
    assert accepted.message_to_add.parse_data.intent.name == "greet"
    assert accepted.message_to_add.parse_data.message_id == accepted.message_id
    assert not accepted.channel
