"""The channel of the chat page: messages in, turns out as server-sent events."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.gateway import Behind, running_gateway
from support.inspected import events_of, turns_from
from turnstream.api.v1.conversations_pb2 import Reply, TurnError
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.credentials import load_credentials
from turnstream.assistant.problems import ProjectError
from turnstream.dialogue.events import BotUttered, UserUttered
from turnstream.dialogue.proto import event_to_proto
from turnstream.gateway.channels.chat import ChatChannel
from turnstream.gateway.channels.opening import open_channels
from turnstream.gateway.rest import event_stream
from turnstream.turnlog.errors import InboxFull

MESSAGES, TURNS = "/webhooks/chat/messages", "/webhooks/chat/turns"


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    async with running_gateway(channels=[ChatChannel()]) as behind:
        yield behind


@pytest.fixture
async def http(behind: Behind) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(behind.url) as session:
        yield session


async def post(http: aiohttp.ClientSession, body: Any) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(MESSAGES, data=data) as response:
        return response.status, json.loads(await response.text())


async def say(http: aiohttp.ClientSession, text: str, message_id: str, sender: str = "ada") -> None:
    body = {"sender": sender, "message": text, "message_id": message_id}
    assert await post(http, body) == (202, {"message_id": message_id})


def user_turn(text: str, **more: Any) -> TurnRecord:
    said = event_to_proto(UserUttered(text=text, metadata=more.pop("metadata", {})))
    return TurnRecord(channel="chat", replies=[Reply(text="yes")], events=[said], bundle_version="7", **more)


async def test_a_message_is_taken_and_its_turn_is_read(behind: Behind, http: aiohttp.ClientSession) -> None:
    behind.log.answer = lambda message: user_turn(message.user_message.text)
    async with http.get(TURNS, params={"sender": "ada"}) as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        await say(http, "Grüße", "m1")
        ((number, turn),) = await turns_from(stream, 1)
    assert number == 1
    assert turn == {
        "number": 1,
        "message_id": "m1",
        "text": "Grüße",
        "replies": [{"text": "yes"}],
        "committed_at": "1970-01-01T00:00:00Z",
        "bundle_version": "7",
    }
    assert behind.log.accepted[0].channel == "chat"


async def test_a_message_without_an_id_gets_one(http: aiohttp.ClientSession) -> None:
    status, first = await post(http, {"sender": "ada", "message": "hi", "metadata": {"page": 1}})
    _, second = await post(http, {"sender": "ada", "message": "hi"})
    assert status == 202
    assert first["message_id"] != second["message_id"]


async def test_the_same_message_again_has_the_same_answer_and_no_second_turn(
    behind: Behind, http: aiohttp.ClientSession
) -> None:
    await say(http, "hi", "m1")
    await say(http, "hi", "m1")
    assert len(behind.log.accepted) == 1


async def test_what_was_missed_is_read_first_then_what_comes(http: aiohttp.ClientSession) -> None:
    for number in range(1, 5):
        await say(http, f"text {number}", f"m{number}")
    async with http.get(TURNS, params={"sender": "ada", "from": "3"}) as stream:
        assert [number for number, _ in await turns_from(stream, 2)] == [3, 4]
        await say(http, "text 5", "m5")
        assert [number for number, _ in await turns_from(stream, 1)] == [5]
    again = {"Last-Event-ID": "4"}
    async with http.get(TURNS, params={"sender": "ada", "from": "1"}, headers=again) as stream:
        assert [number for number, _ in await turns_from(stream, 1)] == [5]


async def test_two_readers_of_a_conversation_read_the_same(http: aiohttp.ClientSession) -> None:
    one, other = ({"sender": "ada"}, {"sender": "ada"})
    async with http.get(TURNS, params=one) as first, http.get(TURNS, params=other) as second:
        await say(http, "hi", "m1")
        assert await turns_from(first, 1) == await turns_from(second, 1)


async def test_a_message_that_is_not_answered_yet_is_told(behind: Behind, http: aiohttp.ClientSession) -> None:
    async with http.get(TURNS, params={"sender": "ada"}) as stream:
        await say(http, "silence", "m1")
        ((kind, number, told),) = await events_of(stream, 1)
        assert (kind, number, told) == ("typing", None, {"message_id": "m1"})
        await behind.log.commit("ada", "m1", user_turn("silence"))
        ((kind, _, turn),) = await events_of(stream, 1)
        assert (kind, turn["message_id"]) == ("turn", "m1")
        # A retry of what was answered is no message under way.
        await say(http, "silence", "m1")
        await say(http, "hi", "m2")
        ((_, _, told),) = await events_of(stream, 1)
    assert told["message_id"] == "m2"


async def test_turns_of_other_channels_are_not_read_by_guessing_an_id(
    behind: Behind, http: aiohttp.ClientSession
) -> None:
    await behind.log.commit("+49 30 1", "m1", TurnRecord(channel="sms", replies=[Reply(text="secret")]))
    await behind.log.commit("+49 30 1", "m2", user_turn("hi"))
    async with http.get(TURNS, params={"sender": "+49 30 1"}) as stream:
        ((_, number, turn),) = await events_of(stream, 1)
    assert (number, turn["text"]) == (2, "hi")
    assert "errors" not in turn


async def test_an_author_sees_all_channels_errors_and_appended_history() -> None:
    async with (
        running_gateway(channels=[ChatChannel(tells_all=lambda request: True)]) as behind,
        aiohttp.ClientSession(behind.url) as http,
    ):
        said = event_to_proto(BotUttered(text="long ago", data={"buttons": [{"title": "a", "payload": "/a"}]}))
        failed = [TurnError(where="action_x", message="it raised")]
        await behind.log.commit("ada", "m1", TurnRecord(channel="import", events=[said]))
        await behind.log.commit("ada", "m2", TurnRecord(channel="rest", errors=failed))
        external = user_turn("EXTERNAL: tick", metadata={"is_external": True})
        await behind.log.commit("ada", "m3", external)
        async with http.get(TURNS, params={"sender": "ada"}) as stream:
            (_, _, first), (_, _, second), (_, _, third) = await events_of(stream, 3)
    assert first["replies"] == [{"text": "long ago", "buttons": [{"title": "a", "payload": "/a"}]}]
    assert second["errors"] == [{"where": "action_x", "message": "it raised"}]
    assert (third["text"], third["replies"]) == (None, [{"text": "yes"}])


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"message": "hi"}, "sender"),
        ({"sender": 3, "message": "hi"}, "sender"),
        ({"sender": "ada"}, "message"),
        ({"sender": "ada", "message": 3}, "message"),
        ({"sender": "ada", "message": "hi", "message_id": 3}, "message_id"),
        ([], ""),
        (b"{", ""),
        (b"", ""),
    ],
)
async def test_bad_messages_are_refused(http: aiohttp.ClientSession, body: Any, parameter: str) -> None:
    status, refused = await post(http, body)
    assert (status, refused["details"]["parameter"]) == (400, parameter)


async def test_ids_and_sizes_have_limits(http: aiohttp.ClientSession) -> None:
    for body in (
        {"sender": "", "message": "hi"},
        {"sender": "a" * 513, "message": "hi"},
        {"sender": "a\nb", "message": "hi"},
        {"sender": "ada", "message": "a" * 300_000},
        {"sender": "ada", "message": "hi", "metadata": [1]},
    ):
        status, _ = await post(http, body)
        assert status == 400
    for query in ("", "?sender=", "?sender=ada&from=-1", "?sender=ada&from=x", f"?sender={'a' * 513}"):
        async with http.get(f"{TURNS}{query}") as refused:
            assert refused.status == 400
    async with http.get(f"{TURNS}?sender=ada", headers={"Last-Event-ID": "x"}) as refused:
        assert refused.status == 400


async def test_a_log_that_is_full_says_when_to_come_again(behind: Behind, http: aiohttp.ClientSession) -> None:
    behind.log.fails_with = InboxFull("too much is waiting")
    async with http.post(MESSAGES, json={"sender": "ada", "message": "hi"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


async def test_an_open_stream_is_one_of_a_clients_calls() -> None:
    async with (
        running_gateway(channels=[ChatChannel()], max_calls_per_client=1) as behind,
        aiohttp.ClientSession(behind.url) as http,
        http.get(TURNS, params={"sender": "ada"}) as stream,
        http.get("/webhooks/chat/") as refused,
    ):
        assert (stream.status, refused.status) == (200, 429)


async def test_streams_end_with_the_server_and_do_not_hold_it_up(behind: Behind, http: aiohttp.ClientSession) -> None:
    async with http.get(TURNS, params={"sender": "ada"}) as stream:
        await stream.content.readline()
        async with asyncio.timeout(15):
            await behind.rest.stop()
            rest = await stream.content.read()
    assert rest.strip() == b""


async def test_a_reader_that_takes_nothing_is_sent_nothing_more(behind: Behind) -> None:
    """Its turns wait in the log, not in memory; and the server ends without it."""
    taken = 0
    large = TurnRecord(channel="chat", replies=[Reply(text="x" * 1_000_000)])
    for number in range(40):
        await behind.log.commit("ada", f"m{number}", large)

    async def counted(conversation_id: str, from_turn: int) -> AsyncIterator[TurnRecord]:
        nonlocal taken
        async for record in turns(conversation_id, from_turn):
            taken += 1
            yield record

    turns, behind.log.turns = behind.log.turns, counted  # type: ignore[method-assign]
    with socket.create_connection(("127.0.0.1", behind.rest.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(f"GET {TURNS}?sender=ada HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with aiohttp.ClientSession(behind.url) as http:
            for _ in range(50):
                async with http.get("/webhooks/chat/") as healthy:
                    assert healthy.status == 200
        async with asyncio.timeout(15):
            await behind.rest.stop()
    assert 0 < taken < 40


async def test_a_quiet_stream_gives_signs_of_life(
    behind: Behind, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.0)
    monkeypatch.setattr(event_stream, "LOOK_S", 0.01)
    async with http.get(TURNS, params={"sender": "ada"}) as stream:
        lines = [await stream.content.readline() for _ in range(4)]
    assert lines == [b"retry: 1000\n", b"\n", b":\n", b"\n"]


async def test_pages_of_other_origins_may_chat_where_they_are_allowed() -> None:
    async with (
        running_gateway(channels=[ChatChannel()], cors="https://shop.example") as behind,
        aiohttp.ClientSession(behind.url, headers={"Origin": "https://shop.example"}) as http,
        http.get(TURNS, params={"sender": "ada"}) as stream,
        http.post(MESSAGES, json={"sender": "ada", "message": "hi"}) as posted,
    ):
        allowed = [response.headers["Access-Control-Allow-Origin"] for response in (stream, posted)]
    assert allowed == ["https://shop.example"] * 2


async def test_credentials_open_the_chat_and_not_the_inspector(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yml"
    file.write_text("chat:\n", encoding="utf-8")
    channels = open_channels(load_credentials(file).channels)
    found = {}
    async with running_gateway(channels=channels) as behind, aiohttp.ClientSession(behind.url) as http:
        for path in ("/webhooks/chat/", "/inspector/", "/inspector/api/assistant"):
            async with http.get(path) as response:
                found[path] = response.status
    assert found == {"/webhooks/chat/": 200, "/inspector/": 404, "/inspector/api/assistant": 404}


def test_its_section_has_no_keys(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yml"
    file.write_text("chat:\n  colour: red\n", encoding="utf-8")
    with pytest.raises(ProjectError, match="The channel 'chat': unknown key 'colour'"):
        open_channels(load_credentials(file).channels)
