"""The `callback` channel: what the bot says is posted to a URL, whoever or whatever made it speak."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from support.gateway import Behind, running_gateway
from support.servers import RecordingServer, recording_server
from turnstream.api.v1.conversations_pb2 import Reply
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.events import UserUttered
from turnstream.dialogue.proto import event_to_proto
from turnstream.gateway.channels.callback import CallbackChannel

WEBHOOK = "/webhooks/callback/webhook"


@dataclass(frozen=True)
class Scene:
    behind: Behind
    http: aiohttp.ClientSession
    theirs: RecordingServer

    async def say(self, text: str, sender: str = "ada", **more: Any) -> tuple[int, str]:
        async with self.http.post(WEBHOOK, json={"sender": sender, "message": text, **more}) as response:
            return response.status, await response.text()

    async def heard(self) -> Any:
        return json.loads((await self.theirs.next()).body)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with (
        recording_server() as theirs,
        running_gateway(channels=[CallbackChannel.from_credentials({"url": f"{theirs.url}/bot"})]) as behind,
        aiohttp.ClientSession(behind.url) as http,
    ):
        yield Scene(behind, http, theirs)


def reminder(text: str, channel: str = "callback") -> TurnRecord:
    """A turn that no client asked for."""
    said = event_to_proto(UserUttered(text="EXTERNAL: late", message_id=None))
    return TurnRecord(channel=channel, replies=[Reply(text=text)], events=[said])


async def test_replies_are_posted_before_the_request_is_answered(scene: Scene) -> None:
    scene.behind.log.answer = lambda message: TurnRecord(
        channel=message.channel, replies=[Reply(text="one"), Reply(text="zwei ü")]
    )
    assert await scene.say("hi", metadata={"page": 1}) == (200, "success")
    assert scene.theirs.received.qsize() == 2
    first = await scene.theirs.next()
    assert (first.path, first.headers["Content-Type"]) == ("/bot", "application/json")
    assert json.loads(first.body) == {"recipient_id": "ada", "text": "one"}
    assert await scene.heard() == {"recipient_id": "ada", "text": "zwei ü"}
    (accepted,) = scene.behind.log.accepted
    assert (accepted.channel, accepted.user_message.text) == ("callback", "hi")


async def test_a_turn_that_nobody_waits_for_is_posted_too_in_order_and_once(scene: Scene) -> None:
    await scene.say("hi")
    await scene.theirs.next()
    await scene.behind.log.commit("ada", "r1", reminder("remember"))
    await scene.behind.log.commit("ada", "r2", reminder("on another channel", "rest"))
    assert await scene.heard() == {"recipient_id": "ada", "text": "remember"}
    await scene.say("again")
    assert (await scene.heard())["text"] == "callback: again"
    assert scene.theirs.received.empty()


async def test_a_message_sent_again_is_not_posted_again(scene: Scene) -> None:
    assert await scene.say("hi", message_id="m1") == (200, "success")
    assert await scene.say("hi", message_id="m1") == (200, "success")
    assert scene.theirs.received.qsize() == 1


async def test_what_was_committed_before_a_restart_is_posted_when_its_client_sends_it_again(scene: Scene) -> None:
    committed = TurnRecord(
        channel="callback",
        replies=[Reply(text="not posted in time")],
        events=[event_to_proto(UserUttered(text="silence", message_id="m1"))],
    )
    await scene.behind.log.commit("ada", "m1", committed)
    await scene.behind.log.commit("ada", "r1", reminder("fired meanwhile"))
    assert await scene.say("silence", message_id="m1") == (200, "success")
    assert [(await scene.heard())["text"] for _ in range(2)] == ["not posted in time", "fired meanwhile"]
    assert await scene.say("again") == (200, "success")
    assert (await scene.heard())["text"] == "callback: again"
    assert scene.theirs.received.empty()


async def test_what_another_gateway_took_is_for_that_one_to_post(scene: Scene) -> None:
    await scene.say("hi")
    await scene.theirs.next()
    elsewhere = TurnRecord(
        channel="callback",
        replies=[Reply(text="posted there")],
        events=[event_to_proto(UserUttered(text="hi", message_id="m9"))],
    )
    await scene.behind.log.commit("ada", "m9", elsewhere)
    await scene.behind.log.commit("ada", "r1", reminder("remembered there"))
    await scene.say("back here")
    assert (await scene.heard())["text"] == "callback: back here"
    assert scene.theirs.received.empty()


async def test_a_server_that_is_away_for_a_moment_gets_it_when_it_is_back(scene: Scene) -> None:
    scene.theirs.statuses[:] = [503, 500]
    assert await scene.say("hi") == (200, "success")
    bodies = [await scene.heard() for _ in range(3)]
    assert bodies == [{"recipient_id": "ada", "text": "callback: hi"}] * 3


async def test_a_server_that_refuses_does_not_stop_the_conversation(scene: Scene) -> None:
    scene.theirs.statuses[:] = [400]
    assert await scene.say("hi") == (200, "success")
    assert await scene.say("again") == (200, "success")
    assert [(await scene.heard())["text"] for _ in range(2)] == ["callback: hi", "callback: again"]


async def test_a_turn_that_takes_long_is_posted_when_it_is_there() -> None:
    async with (
        recording_server() as theirs,
        running_gateway(0.05, channels=[CallbackChannel.from_credentials({"url": theirs.url})]) as behind,
        aiohttp.ClientSession(behind.url) as http,
    ):
        async with http.post(WEBHOOK, json={"sender": "ada", "message": "silence", "message_id": "m1"}) as response:
            assert (response.status, await response.text()) == (202, "accepted")
        await behind.log.commit("ada", "m1", TurnRecord(channel="callback", replies=[Reply(text="late")]))
        assert json.loads((await theirs.next()).body) == {"recipient_id": "ada", "text": "late"}


async def test_an_intent_triggered_for_the_channel_is_posted_and_answered(scene: Scene) -> None:
    await scene.say("hi")
    await scene.theirs.next()
    path = "/conversations/ada/trigger_intent?output_channel=callback"
    async with scene.http.post(path, json={"name": "greet"}) as response:
        assert [m["text"] for m in (await response.json())["messages"]] == ["callback: intent_trigger"]
    assert (await scene.heard())["text"] == "callback: intent_trigger"


async def test_events_with_side_effects_go_to_the_channel(scene: Scene) -> None:
    await scene.say("hi")
    await scene.theirs.next()
    path = "/conversations/ada/tracker/events?output_channel=callback"
    bot = {"event": "bot", "text": "by the way"}
    async with scene.http.post(path, json=bot) as response:
        assert response.status == 200
    assert scene.behind.log.accepted[-1].channel == "rest"
    async with scene.http.post(f"{path}&execute_side_effects=true", json=bot) as response:
        assert response.status == 200
    assert (await scene.heard())["text"] == "callback: events_to_append"
    assert scene.theirs.received.empty()


@pytest.mark.parametrize("body", [{"sender": "ada"}, {"message": 5}, {"message": "hi", "metadata": [1]}, []])
async def test_what_is_no_message_is_refused(scene: Scene, body: Any) -> None:
    async with scene.http.post(WEBHOOK, json=body) as response:
        assert response.status == 400
    assert not scene.behind.log.accepted


async def test_the_channel_says_that_it_is_open(scene: Scene) -> None:
    async with scene.http.get("/webhooks/callback/") as response:
        assert await response.json() == {"status": "ok"}


async def test_credentials_of_the_endpoint_are_sent() -> None:
    async with recording_server() as theirs:
        channel = CallbackChannel.from_credentials(
            {
                "url": theirs.url,
                "headers": {"X-Mine": 1},
                "basic_auth": {"username": "u", "password": "p"},
                "token": "t",
                "token_name": "key",
            }
        )
        async with running_gateway(channels=[channel]) as behind, aiohttp.ClientSession(behind.url) as http:
            async with http.post(WEBHOOK, json={"message": "hi"}) as response:
                assert response.status == 200
            posted = await asyncio.wait_for(theirs.received.get(), 30)
    assert posted.query == {"key": "t"}
    assert posted.headers["X-Mine"] == "1"
    assert posted.headers["Authorization"] == f"Basic {base64.b64encode(b'u:p').decode()}"
