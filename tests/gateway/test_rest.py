"""Rasa's REST API over real HTTP: messages, and what is the same on every path."""

import asyncio
import json
import socket
from typing import Any

import aiohttp
import pytest
from support.gateway import Behind, running_gateway
from support.rest import WEBHOOK, ask
from turnstream.api.v1.conversations_pb2 import Reply
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.values import map_from_proto, map_to_proto, value_to_proto
from turnstream.runtime.server import PortTaken
from turnstream.turnlog.errors import InboxFull, LogClosed


async def test_message_is_answered_from_the_committed_turn(behind: Behind, http: aiohttp.ClientSession) -> None:
    body = {"sender": "ada", "message": "Grüße", "metadata": {"page": [1, None]}, "input_channel": "web"}
    status, answer = await ask(http, "POST", WEBHOOK, json=body)
    assert (status, answer) == (200, [{"recipient_id": "ada", "text": "web: Grüße"}])
    (accepted,) = behind.log.accepted
    assert (accepted.conversation_id, accepted.channel) == ("ada", "web")
    assert map_from_proto(accepted.user_message.metadata) == {"page": [1, None]}
    assert accepted.message_id
    assert accepted.accepted_at.seconds > 0


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


async def test_health_hello_and_version(http: aiohttp.ClientSession) -> None:
    assert await ask(http, "GET", "/webhooks/rest/") == (200, {"status": "ok"})
    async with http.get("/") as response:
        assert (await response.text()).startswith("Hello from Turnstream: ")
    assert set((await ask(http, "GET", "/version"))[1]) == {"version", "minimum_compatible_version"}


async def test_unknown_path_and_wrong_method_have_rasas_shape(http: aiohttp.ClientSession) -> None:
    status, answer = await ask(http, "GET", "/nope")
    assert (status, answer["reason"], answer["code"]) == (404, "NotFound", 404)
    assert (await ask(http, "DELETE", "/status"))[0] == 405


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
