"""What the inspector tells of a conversation, over real sockets, of a real assistant."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
from support.inspected import Inspected, events_of, inspected, turns_from


async def ordered(scene: Inspected, sender: str = "ada") -> None:
    await scene.say("hello", sender)
    await scene.say("order", sender)
    await scene.say('/inform{"city": "Berlin"}', sender)


async def test_a_turn_has_its_events_calls_and_changes(scene: Inspected) -> None:
    await ordered(scene)
    found = await scene.get("conversations/ada/turns")
    assert found["next"] is None
    first, second, third = found["turns"]
    assert [event["event"] for event in first["events"]][:4] == ["action", "session_started", "action", "user"]
    assert first["replies"] == [{"text": "Hello.", "buttons": [{"title": "Order", "payload": "/order"}]}]
    assert first["channel"] == "rest"
    assert first["changes"] == {"slots": {}, "active_loop": None}
    assert second["changes"]["active_loop"] == [None, "order_form"]
    assert second["changes"]["slots"] == {"requested_slot": [None, "city"]}
    assert third["changes"]["active_loop"] == ["order_form", None]
    assert third["changes"]["slots"] == {"city": [None, "Berlin"], "requested_slot": ["city", None]}
    calls = [(call["service"], call["what"]) for call in second["calls"]]
    assert calls[:3] == [("nlu", "Parse"), ("action", "action_extract_slots"), ("policy", "PredictNextAction")]
    assert ("action", "order_form") in calls
    assert sum(call["ms"] for call in second["calls"]) <= second["ms"]
    assert all(call["start_ms"] + call["ms"] <= second["ms"] for call in second["calls"])
    user = next(event for event in second["events"] if event["event"] == "user")
    assert user["parse_data"]["text_tokens"] == [[0, 5]]


async def test_pages_of_turns_join_without_a_gap(scene: Inspected) -> None:
    await ordered(scene)
    whole = await scene.get("conversations/ada/turns")
    page = await scene.get("conversations/ada/turns?limit=2")
    rest = await scene.get(f"conversations/ada/turns?from={page['next']}&limit=2")
    assert page["turns"] + rest["turns"] == whole["turns"]
    assert rest["next"] is None
    again = await scene.get("conversations/ada/turns?from=2&limit=1")
    assert again == {"turns": [whole["turns"][1]], "next": 3}


async def test_the_tracker_as_of_a_turn_is_what_it_was_then(scene: Inspected) -> None:
    await scene.say("hello")
    await scene.say("order")
    async with scene.http.get("/conversations/ada/tracker") as response:
        then = json.loads(await response.text())
    await scene.say('/inform{"city": "Berlin"}')
    assert await scene.get("conversations/ada/tracker?turn=2") == then
    async with scene.http.get("/conversations/ada/tracker") as response:
        now = json.loads(await response.text())
    assert await scene.get("conversations/ada/tracker") == now
    assert await scene.get("conversations/ada/tracker?events=false") == {**now, "events": None}
    assert (then["active_loop"]["name"], now["slots"]["city"]) == ("order_form", "Berlin")


async def test_each_prediction_of_a_turn_is_explained(scene: Inspected) -> None:
    await ordered(scene)
    (turn,) = (await scene.get("conversations/ada/turns?from=3"))["turns"]
    found = await scene.get("conversations/ada/turns/3/explanation")
    actions = [(a["action"], a["policy"], a["source"]) for a in found["actions"]]
    assert actions == [
        ("order_form", "RulePolicy", "the loop order_form"),
        ("utter_ordered", "RulePolicy", "end an order"),
        ("action_listen", "RulePolicy", "end an order"),
    ]
    for action in found["actions"]:
        event = turn["events"][action["event"]]
        assert (event["name"], event["policy"], event["confidence"]) == (
            action["action"],
            action["policy"],
            action["confidence"],
        )
        assert [prediction["policy"] for prediction in action["predictions"]] == ["MemoizationPolicy", "RulePolicy"]
        assert action["predictions"][1]["scores"][0] == {"action": action["action"], "confidence": 1.0}


async def test_tokens_of_a_message_are_its_words(scene: Inspected) -> None:
    await scene.say("order soon")
    found = await scene.get("conversations/ada/turns/1/explanation")
    assert found["tokens"] == [
        {"text": "order", "start": 0, "end": 5},
        {"text": "soon", "start": 6, "end": 10},
    ]
    # The session began by itself: no policy was asked.
    assert (found["actions"][0]["action"], found["actions"][0]["predictions"]) == ("action_session_start", [])


async def test_turns_are_streamed_past_ones_first(scene: Inspected) -> None:
    await scene.say("hello")
    async with scene.http.get("/inspector/api/conversations/ada/stream?from=1") as response:
        assert response.content_type == "text/event-stream"
        ((kind, number, turn),) = await events_of(response, 1)
        await scene.say("order")
        ((_, later, second),) = await events_of(response, 1)
    assert (kind, number, later) == ("turn", 1, 2)
    assert [turn, second] == (await scene.get("conversations/ada/turns"))["turns"]


async def test_a_stream_goes_on_after_the_last_event_that_was_read(scene: Inspected) -> None:
    await ordered(scene)
    headers = {"Last-Event-ID": "2"}
    async with scene.http.get("/inspector/api/conversations/ada/stream?from=1", headers=headers) as response:
        ((_, number, turn),) = await events_of(response, 1)
    assert number == 3
    assert turn["changes"]["slots"]["city"] == [None, "Berlin"]


async def test_an_erased_conversation_begins_anew(scene: Inspected) -> None:
    await ordered(scene)
    assert len((await scene.get("conversations/ada/turns"))["turns"]) == 3
    async with scene.http.delete("/conversations/ada") as response:
        assert response.status == 204
    (erasure,) = (await scene.get("conversations/ada/turns"))["turns"]
    assert erasure["number"] == 4
    assert (await scene.get("conversations/ada/tracker"))["slots"]["city"] is None
    assert (await scene.get("conversations"))["conversations"] == []


async def test_what_is_not_there_is_told_so(scene: Inspected) -> None:
    assert await scene.get("conversations/nobody/turns") == {"turns": [], "next": None}
    missing = await scene.get("conversations/nobody/turns/1/explanation", 404)
    assert missing["message"] == "There is no conversation 'nobody'."
    await scene.say("hello")
    beyond = await scene.get("conversations/ada/tracker?turn=7", 404)
    assert beyond["message"] == "Conversation 'ada' has no turn 7; its last one is 1."


async def test_bad_questions_are_refused_with_the_parameter(scene: Inspected) -> None:
    for path, parameter in (
        ("conversations/ada/turns?from=x", "from"),
        ("conversations/ada/turns?limit=0", "limit"),
        ("conversations/ada/tracker?turn=0", "turn"),
        ("conversations/ada/turns/0/explanation", "turn"),
        ("conversations?flag=odd", "flag"),
        ("conversations?cursor=odd", "cursor"),
        ("conversations?q=" + "a" * 201, "q"),
    ):
        refused = await scene.get(path, 400)
        assert refused["details"]["parameter"] == parameter, path


async def test_the_assistant_names_its_domain(scene: Inspected) -> None:
    found = await scene.get("assistant")
    assert {"greet", "order", "inform"} <= set(found["intents"])
    assert (found["entities"], found["forms"], found["project"]) == (["city"], ["order_form"], True)
    assert found["slots"]["city"] == {"type": "text", "influence_conversation": True}
    assert found["bundles"] == [found["bundle"]]


async def test_nobody_looks_without_the_token(orders: Path, tmp_path: Path) -> None:
    async with inspected(orders, tmp_path, gateway__auth_token="secret") as guarded:
        for path in ("assistant", "conversations", "conversations/a/turns", "conversations/a/stream"):
            await guarded.get(path, 401)
        await guarded.post("examples", {"text": "hey", "intent": "greet"}, 401)
        async with guarded.http.get("/inspector/") as page:
            assert page.status == 200
        assert (await guarded.get("assistant?token=secret"))["project"]


async def test_the_chat_shows_other_channels_to_who_has_the_token(orders: Path, tmp_path: Path) -> None:
    async with inspected(orders, tmp_path, gateway__auth_token="secret") as guarded:
        await guarded.say("hello")
        said = {"sender": "ada", "message": "order", "message_id": "m1"}
        async with guarded.http.post("/webhooks/chat/messages", json=said) as accepted:
            assert accepted.status == 202
        for token, shown in (("", [2]), ("&token=wrong", [2]), ("&token=secret", [1, 2])):
            async with guarded.http.get(f"/webhooks/chat/turns?sender=ada{token}") as stream:
                turns = await turns_from(stream, len(shown))
            assert [number for number, _ in turns] == shown
            assert all(("errors" in turn) == (token == "&token=secret") for _, turn in turns)


async def test_a_client_that_goes_leaves_nothing_behind(scene: Inspected) -> None:
    def sending() -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == "_send"]

    path = "/inspector/api/conversations/a/stream"
    async with aiohttp.ClientSession(scene.served.url) as http, http.get(path) as response:
        await response.content.readline()
        (task,) = sending()
    async with asyncio.timeout(60):
        await asyncio.wait({task})
    assert not sending()
