"""Rasa's REST API over real HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import pytest
import yaml
from support.gateway import Behind, running_gateway
from turnstream.api.v1.conversations_pb2 import EventVerbosity, Reply
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.events import ActionExecuted, IntentScore, ParseData, SlotSet, UserUttered
from turnstream.dialogue.proto import event_to_proto, timestamp_to_proto
from turnstream.dialogue.values import map_from_proto, map_to_proto, value_from_proto, value_to_proto
from turnstream.runtime.server import PortTaken
from turnstream.turnlog.errors import InboxFull, LogClosed

WEBHOOK = "/webhooks/rest/webhook"


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with running_gateway() as behind:
        yield behind


@pytest.fixture
async def http(behind: Behind) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(behind.url) as session:
        yield session


async def ask(http: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with http.request(method, path, **options) as response:
        return response.status, json.loads(await response.text())


async def begin(http: aiohttp.ClientSession, conversation_id: str) -> None:
    status, _ = await ask(http, "POST", WEBHOOK, json={"sender": conversation_id, "message": "hi"})
    assert status == 200


async def test_message_is_answered_from_the_committed_turn(behind: Behind, http: aiohttp.ClientSession) -> None:
    body = {"sender": "ada", "message": "Grüße", "metadata": {"page": [1, None]}, "input_channel": "web"}
    status, answer = await ask(http, "POST", WEBHOOK, json=body)
    assert (status, answer) == (200, [{"recipient_id": "ada", "text": "web: Grüße"}])
    (accepted,) = behind.log.accepted
    assert (accepted.conversation_id, accepted.channel) == ("ada", "web")
    assert map_from_proto(accepted.user_message.metadata) == {"page": [1, None]}
    assert accepted.message_id
    assert accepted.accepted_at.seconds > 0


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


async def test_sender_is_default_where_nobody_is_named_and_a_number_is_text(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "POST", WEBHOOK, json={"message": "hi"}))[1][0]["recipient_id"] == "default"
    assert (await ask(http, "POST", WEBHOOK, json={"sender": 7, "message": "hi"}))[1][0]["recipient_id"] == "7"


async def test_empty_message_is_a_message(behind: Behind, http: aiohttp.ClientSession) -> None:
    status, _ = await ask(http, "POST", WEBHOOK, json={"sender": "ada", "message": ""})
    assert status == 200
    assert behind.log.accepted[0].WhichOneof("request") == "user_message"


async def test_every_kind_of_reply_has_rasas_shape(behind: Behind, http: aiohttp.ClientSession) -> None:
    buttons = [map_to_proto({"title": "Yes", "payload": "/affirm"})]
    behind.log.answer = lambda message: TurnRecord(
        replies=[
            Reply(text="choose", buttons=buttons),
            Reply(image="http://x/y.png"),
            Reply(text="an element : ", has_buttons=True),
            Reply(attachment=value_to_proto({"type": "video"})),
            Reply(custom=value_to_proto({"a": [1, 2.5]})),
        ]
    )
    _, answer = await ask(http, "POST", WEBHOOK, json={"sender": "ada", "message": "hi"})
    assert [list(m) for m in answer] == [
        ["recipient_id", "text", "buttons"],
        ["recipient_id", "image"],
        ["recipient_id", "text", "buttons"],
        ["recipient_id", "attachment"],
        ["recipient_id", "custom"],
    ]
    assert answer[0]["buttons"] == [{"title": "Yes", "payload": "/affirm"}]
    assert answer[2]["buttons"] == []
    assert answer[4]["custom"] == {"a": [1, 2.5]}


async def test_same_message_id_again_gets_the_same_answer_and_no_second_turn(
    behind: Behind, http: aiohttp.ClientSession
) -> None:
    body = {"sender": "ada", "message": "hi", "message_id": "m1"}
    first = await ask(http, "POST", WEBHOOK, json=body)
    assert await ask(http, "POST", WEBHOOK, json=body) == first
    assert len(behind.log.accepted) == 1
    assert behind.log.last_turn("ada") == 1


async def test_stream_is_a_line_of_json_for_each_reply(behind: Behind, http: aiohttp.ClientSession) -> None:
    behind.log.answer = lambda message: TurnRecord(replies=[Reply(text="one"), Reply(text="two")])
    async with http.post(f"{WEBHOOK}?stream=true", json={"sender": "ada", "message": "hi"}) as response:
        assert response.content_type == "text/event-stream"
        lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert lines == [{"recipient_id": "ada", "text": "one"}, {"recipient_id": "ada", "text": "two"}]


async def test_turn_that_takes_too_long_still_happens_and_a_retry_gets_it() -> None:
    body = {"sender": "ada", "message": "silence", "message_id": "m1"}
    async with running_gateway(turn_s=0.05) as behind, aiohttp.ClientSession(behind.url) as http:
        status, answer = await ask(http, "POST", WEBHOOK, json=body)
        assert (status, answer["reason"]) == (504, "Timeout")
        assert "same message_id" in answer["message"]
        async with http.post(f"{WEBHOOK}?stream=true", json=body) as response:
            assert json.loads(await response.text())["code"] == 504
        await behind.log.commit("ada", "m1", TurnRecord(replies=[Reply(text="late")]))
        status, answer = await ask(http, "POST", WEBHOOK, json=body)
        assert (status, answer) == (200, [{"recipient_id": "ada", "text": "late"}])


@pytest.mark.parametrize(("error", "status"), [(InboxFull("the inbox is full"), 503), (LogClosed("closed"), 503)])
async def test_full_or_closed_inbox_says_try_later(
    behind: Behind, http: aiohttp.ClientSession, error: Exception, status: int
) -> None:
    behind.log.fails_with = error
    async with http.post(WEBHOOK, json={"sender": "ada", "message": "hi"}) as response:
        assert response.status == status
        assert response.headers["Retry-After"] == "1"


BAD_BODIES = [
    (b"{broken", "not valid JSON"),
    (b"", "empty"),
    (b'{"sender": "a", "message": "\xff"}', "not valid UTF-8"),
    (b'["a"]', "must be a JSON object"),
    (b'{"sender": "a"}', "'message' is missing"),
    (b'{"sender": "a", "message": 5}', "'message' must be a text"),
    (b'{"sender": {}, "message": "a"}', "'sender' must be a text"),
    (b'{"sender": "", "message": "a"}', "conversation_id is missing"),
    (b'{"sender": "a\\u0000", "message": "a"}', "control characters"),
    (b'{"sender": "\\ud800", "message": "a"}', "conversation_id"),
    (b'{"sender": "a", "message": "\\ud800"}', "not valid Unicode"),
    (b'{"sender": "a", "message": "a", "metadata": [1]}', "metadata must be an object"),
    (b'{"sender": "a", "message": "a", "metadata": {"k": "\\ud800"}}', "metadata"),
    (b'{"sender": "a", "message": "a", "metadata": {"k": NaN}}', "NaN is no JSON"),
    (b'{"sender": "a", "message": "a", "metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 41, "nested more than 24 deep"),
    (b"[" * 100_000, "nested too deep"),
    (b'{"message": ' + b"1" * 5000 + b"}", "not valid JSON"),
    (b'{"sender": "' + b"a" * 600 + b'", "message": "a"}', "600 characters"),
    (b'{"sender": "a", "message": "' + b"x" * 1_000_000 + b'"}', "1000000 bytes; 262144 is the most"),
]


@pytest.mark.parametrize(("body", "message"), BAD_BODIES, ids=[m for _, m in BAD_BODIES])
async def test_bad_body_is_refused_in_rasas_shape_and_nothing_is_accepted(
    behind: Behind, http: aiohttp.ClientSession, body: bytes, message: str
) -> None:
    status, answer = await ask(http, "POST", WEBHOOK, data=body)
    assert status == 400
    assert set(answer) == {"version", "status", "message", "reason", "details", "help", "code"}
    assert (answer["status"], answer["reason"], answer["code"]) == ("failure", "BadRequest", 400)
    assert message in answer["message"]
    assert not behind.log.accepted


async def test_body_over_the_limit_is_refused_without_reading_it_all() -> None:
    async with running_gateway(max_body_bytes=10_000) as behind, aiohttp.ClientSession(behind.url) as http:
        status, answer = await ask(http, "POST", WEBHOOK, data=b"x" * 20_000)
        assert (status, answer["code"]) == (413, 413)


async def test_deepest_metadata_allowed_can_be_read_back(behind: Behind, http: aiohttp.ClientSession) -> None:
    metadata: dict[str, Any] = {"leaf": 1}
    for _ in range(22):
        metadata = {"a": metadata}
    status, _ = await ask(http, "POST", WEBHOOK, json={"sender": "a", "message": "hi", "metadata": metadata})
    assert status == 200
    assert map_from_proto(behind.log.accepted[0].user_message.metadata) == metadata


async def test_json_has_no_charset_and_a_slash_behind_a_path_does_no_harm(http: aiohttp.ClientSession) -> None:
    for path in ("/version", "/version/", "/nothing/"):
        async with http.get(path) as response:
            assert response.headers["Content-Type"] == "application/json"
            assert response.status == (404 if path == "/nothing/" else 200)
    status, _ = await ask(http, "POST", f"{WEBHOOK}/", json={"sender": "ada", "message": "hi"})
    assert status == 200


async def test_parameter_without_a_value_counts_as_missing(behind: Behind, http: aiohttp.ClientSession) -> None:
    status, _ = await ask(http, "GET", "/conversations/ada/tracker?include_events=&until=&all_sessions=")
    assert status == 200
    assert behind.trackers.asked[-1].events == EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART
    assert not behind.trackers.asked[-1].HasField("until")


async def test_health_hello_and_version(http: aiohttp.ClientSession) -> None:
    assert await ask(http, "GET", "/webhooks/rest/") == (200, {"status": "ok"})
    async with http.get("/") as response:
        assert (await response.text()).startswith("Hello from Turnstream: ")
    assert set((await ask(http, "GET", "/version"))[1]) == {"version", "minimum_compatible_version"}


async def test_unknown_path_and_wrong_method_have_rasas_shape(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "GET", "/nope")
    assert (status, answer["reason"], answer["code"]) == (404, "NotFound", 404)
    assert (await ask(http, "DELETE", "/status"))[0] == 405


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


async def test_text_is_parsed(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "POST", "/model/parse", json={"text": "hi"})
    assert status == 200
    assert (answer["text"], answer["intent"]) == ("hi", {"name": "greet", "confidence": 0.5})
    assert answer["text_tokens"] == [[0, 2]]
    assert not {"message_id", "metadata"} & set(answer)
    assert (await ask(http, "POST", "/model/parse", json={}))[0] == 400
    status, answer = await ask(http, "POST", "/model/parse", json={"text": "down"})
    assert (status, answer["message"]) == (503, "nlu: no model server")


async def test_text_is_parsed_in_the_words_of_another_service(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "POST", "/model/parse?emulation_mode=luis", json={"text": "hi"})
    assert (status, answer["prediction"]["topIntent"]) == (200, "greet")
    status, answer = await ask(http, "POST", "/model/parse?emulation_mode=siri", json={"text": "hi"})
    assert (status, answer["details"]["parameter"]) == (400, "emulation_mode")
    assert answer["message"].endswith("Should be one of 'WIT', 'LUIS', 'DIALOGFLOW'.")


async def test_domain_as_json_and_as_yaml(http: aiohttp.ClientSession) -> None:
    assert (await ask(http, "GET", "/domain"))[1]["intents"] == [{"greet": {"use_entities": []}}]
    async with http.get("/domain", headers={"Accept": "application/x-yaml"}) as response:
        assert yaml.safe_load(await response.text())["version"] == "3.1"
    status, answer = await ask(http, "GET", "/domain", headers={"Accept": "image/png"})
    assert (status, answer["reason"]) == (406, "NotAcceptable")


async def test_status_names_the_model_and_what_is_missing(behind: Behind, http: aiohttp.ClientSession) -> None:
    _, answer = await ask(http, "GET", "/status")
    assert answer == {"model_id": "m", "model_file": "/models/7", "num_active_training_jobs": 0}
    behind.bundles.remove("7")
    status, answer = await ask(http, "GET", "/status")
    assert (status, answer["message"]) == (409, "no assistant is loaded")


async def test_without_the_api_only_channels_are_served() -> None:
    async with running_gateway(enable_api=False) as behind, aiohttp.ClientSession(behind.url) as http:
        await begin(http, "ada")
        assert (await ask(http, "GET", "/version"))[0] == 200
        for path in ("/status", "/domain", "/conversations/ada/tracker"):
            assert (await ask(http, "GET", path))[0] == 404


async def test_token_is_needed_for_the_api_and_not_for_channels() -> None:
    async with running_gateway(auth_token="geheim") as behind, aiohttp.ClientSession(behind.url) as http:
        await begin(http, "ada")
        status, answer = await ask(http, "GET", "/status")
        assert (status, answer["reason"]) == (401, "NotAuthenticated")
        assert (await ask(http, "GET", "/status?token=wrong"))[0] == 401
        assert (await ask(http, "GET", "/status?token=geheim"))[0] == 200


def bearer(role: str, username: str, secret: str = "s" * 32) -> dict[str, str]:
    payload = {"user": {"username": username, "role": role}}
    return {"Authorization": f"Bearer {jwt.encode(payload, secret, algorithm='HS256')}"}


async def test_jwt_roles_are_rasas() -> None:
    async with running_gateway(jwt_secret="s" * 32) as behind, aiohttp.ClientSession(behind.url) as http:
        own, other = "/conversations/ada/tracker", "/conversations/bob/tracker"
        for headers, path, status in [
            ({}, own, 401),
            ({"Authorization": "Basic abc"}, own, 401),
            ({"Authorization": "Bearer abc"}, own, 401),
            (bearer("admin", "x", "t" * 32), own, 401),
            (bearer("user", "ada"), own, 200),
            (bearer("user", "ada"), other, 403),
            (bearer("user", "ada"), "/status", 403),
            (bearer("guest", "ada"), own, 403),
            (bearer("admin", "x"), other, 200),
            (bearer("admin", "x"), "/status", 200),
        ]:
            assert (await ask(http, "GET", path, headers=headers))[0] == status, (headers, path)


async def test_token_and_jwt_both_open_the_api() -> None:
    async with (
        running_gateway(jwt_secret="s" * 32, auth_token="geheim") as behind,
        aiohttp.ClientSession(behind.url) as http,
    ):
        assert (await ask(http, "GET", "/status?token=geheim"))[0] == 200
        assert (await ask(http, "GET", "/status", headers=bearer("admin", "x")))[0] == 200
        assert (await ask(http, "GET", "/status"))[0] == 401


async def test_cors_for_the_origins_that_are_allowed() -> None:
    origins = "https://a.example, https://b.example"
    async with running_gateway(cors=origins) as behind, aiohttp.ClientSession(behind.url) as http:
        preflight = {"Origin": "https://b.example", "Access-Control-Request-Method": "POST"}
        async with http.options(WEBHOOK, headers=preflight) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "https://b.example"
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert response.headers["Access-Control-Expose-Headers"] == "filename"
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
        for path in (WEBHOOK, f"{WEBHOOK}?stream=true"):
            for origin, allowed in (("https://a.example", "https://a.example"), ("https://evil.example", None)):
                body = {"sender": "ada", "message": "hi"}
                async with http.post(path, json=body, headers={"Origin": origin}) as response:
                    assert response.headers.get("Access-Control-Allow-Origin") == allowed


async def test_taken_port_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} on 127\.0\.0\.1 is taken.*--port"):
            async with running_gateway(port=port):
                pass


async def test_requests_under_way_finish_when_the_gateway_stops() -> None:
    async with running_gateway() as behind:
        async with aiohttp.ClientSession(behind.url) as http:
            body = {"sender": "ada", "message": "silence", "message_id": "m1"}
            asking = asyncio.create_task(ask(http, "POST", WEBHOOK, json=body))
            while not behind.log.accepted:
                await asyncio.wait([asking], timeout=0.01)
            stopping = asyncio.create_task(behind.rest.stop())
            await behind.log.commit("ada", "m1", TurnRecord(replies=[Reply(text="done")]))
            assert (await asking)[1] == [{"recipient_id": "ada", "text": "done"}]
        await stopping
