"""The `socketio` channel, with python-socketio's own client on a real socket."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import socketio
from support.gateway import Behind, running_gateway
from turnstream.api.v1.conversations_pb2 import Reply
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.dialogue.events import BotUttered
from turnstream.dialogue.proto import event_to_proto
from turnstream.dialogue.values import map_from_proto
from turnstream.gateway.channels.socketio import SocketIoChannel, packets_of


def said(*messages: BotUttered, channel: str = "socketio") -> TurnRecord:
    return TurnRecord(channel=channel, replies=[Reply(text="as REST has it")], events=map(event_to_proto, messages))


def echo(message: InboxMessage) -> TurnRecord:
    return said(BotUttered(text=f"you said {message.user_message.text}"), channel=message.channel)


class Client:
    """A chat widget: what it heard, in order."""

    def __init__(self, url: str, namespace: str = "/", bot: str = "bot_uttered", path: str = "socket.io") -> None:
        self._url, self._namespace, self._path = url, namespace, path
        self._heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._socket = socketio.AsyncClient(reconnection=False)
        for event in (bot, "session_confirm"):
            self._socket.on(event, self._hearing(event), namespace=namespace)

    def _hearing(self, event: str) -> Any:
        async def hear(data: Any) -> None:
            await self._heard.put((event, data))

        return hear

    async def connect(self, auth: Any = None, transports: Any = ("websocket",)) -> None:
        await self._socket.connect(
            self._url, transports=list(transports), namespaces=[self._namespace], auth=auth, socketio_path=self._path
        )

    async def send(self, event: str, data: Any) -> None:
        await self._socket.emit(event, data, namespace=self._namespace)

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(30):
            return await self._heard.get()

    @property
    def sid(self) -> str:
        return str(self._socket.get_sid(self._namespace))

    async def ended(self) -> None:
        async with asyncio.timeout(30):
            await self._socket.eio.wait()

    async def close(self) -> None:
        await self._socket.disconnect()
        await self.ended()


@asynccontextmanager
async def widget(behind: Behind, auth: Any = None, **where: str) -> AsyncIterator[Client]:
    client = Client(behind.url, **where)
    await client.connect(auth)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def gateway(**credentials: Any) -> AsyncIterator[Behind]:
    async with running_gateway(channels=[SocketIoChannel.from_credentials(credentials)]) as behind:
        behind.log.answer = echo
        yield behind


async def test_without_persistence_a_connection_is_the_conversation() -> None:
    async with gateway() as behind, widget(behind) as client:
        await client.send("session_request", {"session_id": "ada"})
        assert await client.next() == ("session_confirm", "ada")
        await client.send("user_uttered", {"message": "hi", "session_id": "ada", "metadata": {"page": 1}})
        assert await client.next() == ("bot_uttered", {"text": "you said hi"})
        await client.send("user_uttered", {"message": "again"})
        assert await client.next() == ("bot_uttered", {"text": "you said again"})
        accepted, again = behind.log.accepted
        assert (accepted.conversation_id, accepted.channel) == (client.sid, "socketio")
        assert accepted.traceparent.split("-")[1] != again.traceparent.split("-")[1]
        assert map_from_proto(accepted.user_message.metadata) == {"page": 1}


async def test_what_is_said_is_in_no_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        async with gateway() as behind, widget(behind) as client:
            await client.send("user_uttered", {"message": "my secret"})
            assert await client.next() == ("bot_uttered", {"text": "you said my secret"})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("turnstream")]
    assert not [line for line in ours if "secret" in line]
    assert "secret" not in "".join(capfd.readouterr())


async def test_a_session_that_persists_is_confirmed_and_goes_on_after_a_new_connection() -> None:
    async with gateway(session_persistence=True) as behind:
        async with widget(behind) as client:
            await client.send("session_request", None)
            event, session_id = await client.next()
            assert event == "session_confirm"
            assert len(session_id) == 32
            await client.send("user_uttered", {"message": "hi", "session_id": session_id})
            assert await client.next() == ("bot_uttered", {"text": "you said hi"})
        async with widget(behind) as again:
            await again.send("session_request", {"session_id": session_id})
            assert await again.next() == ("session_confirm", session_id)
            await behind.log.commit(session_id, "r1", said(BotUttered(text="remember")))
            assert await again.next() == ("bot_uttered", {"text": "remember"})


async def test_a_reminder_reaches_everybody_who_listens_to_the_session() -> None:
    async with gateway(session_persistence=True) as behind, widget(behind) as one, widget(behind) as two:
        for client in (one, two):
            await client.send("session_request", {"session_id": "ada"})
            assert await client.next() == ("session_confirm", "ada")
        await behind.log.commit("ada", "r1", said(BotUttered(text="remember")))
        assert [await one.next(), await two.next()] == [("bot_uttered", {"text": "remember"})] * 2


async def test_names_of_events_namespace_path_and_metadata_are_the_authors() -> None:
    names = {"user_message_evt": "asks", "bot_message_evt": "answers", "namespace": "/chat"}
    async with (
        gateway(**names, socketio_path="/io", metadata_key="customData") as behind,
        widget(behind, namespace="/chat", bot="answers", path="io") as client,
    ):
        await client.send("asks", {"message": "hi", "customData": '{"page": 2}'})
        assert await client.next() == ("answers", {"text": "you said hi"})
        assert map_from_proto(behind.log.accepted[0].user_message.metadata) == {"page": 2}


async def test_a_connection_needs_a_valid_token_where_there_is_a_key() -> None:
    key = "k" * 32
    async with gateway(jwt_key=key) as behind:
        stranger = Client(behind.url)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await stranger.connect({"token": jwt.encode({}, "other" * 8)})
        await stranger.close()
        async with widget(behind, {"token": jwt.encode({"user": "ada"}, key)}) as client:
            await client.send("user_uttered", {"message": "hi"})
            assert await client.next() == ("bot_uttered", {"text": "you said hi"})


async def test_what_is_no_message_is_ignored_and_the_connection_goes_on() -> None:
    async with gateway(session_persistence=True) as behind, widget(behind) as client:
        for nonsense in ("hi", None, {"message": 5}, {"message": "hi"}, {"message": "hi", "session_id": ""}):
            await client.send("user_uttered", nonsense)
        await client.send("session_request", {"session_id": "x" * 600})
        assert (await client.next())[0] == "session_confirm"
        await client.send("user_uttered", {"message": "hi", "session_id": "x" * 600})
        await client.send("session_request", {"session_id": "ada"})
        assert await client.next() == ("session_confirm", "ada")
        assert not behind.log.accepted
        await client.send("user_uttered", {"message": "hi", "session_id": "ada", "metadata": "no JSON"})
        assert await client.next() == ("bot_uttered", {"text": "you said hi"})


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_clients_are_answered_by_either_transport_and_hear_when_the_gateway_ends(transport: str) -> None:
    async with gateway() as behind:
        client = Client(behind.url)
        await client.connect(transports=[transport])
        await client.send("user_uttered", {"message": "hi"})
        assert await client.next() == ("bot_uttered", {"text": "you said hi"})
        await behind.rest.stop()
        await client.ended()
        assert behind.rest.connections == 0


def test_every_part_of_a_message_has_the_shape_that_widgets_know() -> None:
    buttons = [{"title": "Yes", "payload": "/affirm"}]
    message = {
        "text": "one\n\ntwo",
        "buttons": buttons,
        "custom": {"data": {"any": 1}},
        "image": "http://x/y.png",
        "attachment": {"type": "video"},
        "elements": [{"title": "e"}],
    }
    assert list(packets_of(message)) == [
        {"text": "one", "quick_replies": []},
        {"text": "two", "quick_replies": [{"content_type": "text", "title": "Yes", "payload": "/affirm"}]},
        {"any": 1},
        {"attachment": {"type": "image", "payload": {"src": "http://x/y.png"}}},
        {"attachment": {"type": "video"}},
        {"attachment": {"type": "template", "payload": {"template_type": "generic", "elements": {"title": "e"}}}},
    ]
    assert list(packets_of({"text": "a\n\nb"})) == [{"text": "a"}, {"text": "b"}]
    (packet,) = packets_of({"quick_replies": [{"title": "T"}]})
    assert packet["quick_replies"][0]["payload"] == "T"
    assert list(packets_of({"custom": {"any": 1}})) == [{"any": 1}]
