"""Channels that authors write, and what `credentials.yml` may say."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from aiohttp import web
from support.gateway import running_gateway
from turnstream.api.v1.conversations_pb2 import Reply
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.credentials import load_credentials
from turnstream.assistant.problems import ProjectError
from turnstream.dialogue.events import BotUttered
from turnstream.dialogue.proto import event_to_proto
from turnstream.gateway.channel import BotSaid, Channel, ChannelRoute, Conversations, UserSaid
from turnstream.gateway.channels.opening import open_channels
from turnstream.gateway.deliveries import Deliveries


class Pager(Channel):
    """Keeps what it is to deliver."""

    name = "pager"

    def __init__(self, number: str) -> None:
        self.number = number
        self.delivered: list[BotSaid] = []
        self.fails = False

    @classmethod
    def from_credentials(cls, credentials: Mapping[str, Any]) -> Self:
        if "number" not in credentials:
            raise ValueError("'number' is missing: who is called")
        return cls(credentials["number"])

    def routes(self, conversations: Conversations) -> Iterable[ChannelRoute]:
        async def receive(request: web.Request) -> web.Response:
            await conversations.take(UserSaid("ada", await request.text(), {"number": self.number}))
            return web.Response(text=str(len(self.delivered)))

        async def listen(request: web.Request) -> web.Response:
            await conversations.follow("ada")
            return web.Response()

        yield "POST", "/webhooks/pager/webhook", receive
        yield "POST", "/webhooks/pager/listen", listen

    async def deliver(self, said: BotSaid) -> None:
        if self.fails:
            self.fails = False
            raise RuntimeError("nobody picks up")
        self.delivered.append(said)


class InputChannel:
    """Stands for Rasa's: a class of that name among the bases."""


class MyIO(InputChannel):
    pass


def opened(folder: Path, text: str) -> tuple[Channel, ...]:
    file = folder / "credentials.yml"
    file.write_text(text, encoding="utf-8")
    return open_channels(load_credentials(file).channels)


def refusals(folder: Path, text: str) -> list[str]:
    with pytest.raises(ProjectError) as refused:
        opened(folder, text)
    return [str(problem) for problem in refused.value.problems]


async def test_messages_come_in_and_what_the_bot_says_goes_out_as_the_author_wrote_it() -> None:
    pager = Pager("112")
    async with running_gateway(channels=[pager]) as behind, aiohttp.ClientSession(behind.url) as http:
        data = {"buttons": [{"title": "Yes", "payload": "/affirm"}], "image": "i.png", "attachment": "i.png"}
        said = event_to_proto(BotUttered(text="a\n\nb", data=data))
        replies = [Reply(text="a"), Reply(text="b")]
        behind.log.answer = lambda message: TurnRecord(channel=message.channel, replies=replies, events=[said])
        async with http.post("/webhooks/pager/webhook", data="hi") as response:
            assert (response.status, await response.text()) == (200, "1")
        (heard,) = pager.delivered
        assert (heard.conversation_id, heard.turn) == ("ada", 1)
        assert heard.messages == ({"text": "a\n\nb", "buttons": data["buttons"], "image": "i.png"},)
        assert [reply["text"] for reply in heard.replies] == ["a", "b"]
        assert behind.log.accepted[0].channel == "pager"


async def test_a_delivery_that_fails_is_told_and_the_next_one_comes() -> None:
    pager = Pager("112")
    pager.fails = True
    async with running_gateway(channels=[pager]) as behind, aiohttp.ClientSession(behind.url) as http:
        counts = []
        for _ in range(2):
            async with http.post("/webhooks/pager/webhook", data="hi") as response:
                counts.append(await response.text())
    assert counts == ["0", "1"]


async def test_a_conversation_can_be_followed_without_a_message_of_its_user() -> None:
    pager = Pager("112")
    async with running_gateway(channels=[pager]) as behind, aiohttp.ClientSession(behind.url) as http:
        await behind.log.commit("ada", "before", TurnRecord(channel="pager", replies=[Reply(text="before")]))
        async with http.post("/webhooks/pager/listen") as response:
            assert response.status == 200
        await behind.log.commit("ada", "r1", TurnRecord(channel="pager", replies=[Reply(text="remember")]))
        async with http.post("/webhooks/pager/webhook", data="hi") as response:
            assert await response.text() == "2"
    assert [said.replies[0]["text"] for said in pager.delivered] == ["remember", "pager: hi"]


async def test_of_too_many_conversations_the_one_that_was_heard_of_longest_ago_is_let_go() -> None:
    pager = Pager("112")
    async with running_gateway() as behind:
        deliveries = Deliveries(pager, behind.door, followed=1)
        await deliveries.take(UserSaid("ada", "hi"))
        await deliveries.take(UserSaid("bob", "hi"))
        for name in ("ada", "bob"):
            await behind.log.commit(name, "r1", TurnRecord(channel="pager", replies=[Reply(text="remember")]))
        await deliveries.take(UserSaid("bob", "again"))
        await deliveries.close()
    said = [(said.conversation_id, said.replies[0]["text"]) for said in pager.delivered]
    assert said == [("ada", "pager: hi"), ("bob", "pager: hi"), ("bob", "remember"), ("bob", "pager: again")]


async def test_a_channels_routes_are_in_the_document() -> None:
    channels = [Pager("112")]
    async with (
        running_gateway(channels=channels) as behind,
        aiohttp.ClientSession(behind.url) as http,
        http.get("/openapi.json") as response,
    ):
        document = await response.json()
    assert document["paths"]["/webhooks/pager/webhook"]["post"]["security"] == []


def test_channels_are_made_from_their_credentials(tmp_path: Path) -> None:
    text = f"rest:\ncmdline:\nrasa:\n  url: x\ncallback:\n  url: http://x\nsocketio:\n{__name__}.Pager:\n  number: 5\n"
    channels = opened(tmp_path, text)
    assert [channel.name for channel in channels] == ["callback", "socketio", "pager"]
    assert isinstance(channels[2], Pager)
    assert channels[2].number == 5


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("rest:\ncalback:\n  url: http://x\n", 2, "There is no channel 'calback'. Did you mean 'callback'?"),
        ("callback:\n", 1, "'url' is missing"),
        ("callback:\n  url: http://x\n  ulr: http://x\n", 3, "unknown key 'ulr'. Did you mean 'url'?"),
        ("callback: http://x\n", 1, "must be a mapping"),
        ("socketio:\n  session_persistence: 1\n", 1, "'session_persistence' must be true or false, not 1"),
        ("socketio:\n  user_message_event: x\n", 2, "Did you mean 'user_message_evt'?"),
        ("socketio:\n  socketio_path: socket.io\n", 1, "begin with a slash"),
        ("no.such.Module:\n", 1, "no module 'no' can be imported"),
        ("os.path.Nothing:\n", 1, "has no 'Nothing'"),
        ("collections.OrderedDict:\n", 1, "no subclass of turnstream.gateway.channel.Channel"),
        (f"{__name__}.Pager:\n", 1, "'number' is missing: who is called."),
        (f"{__name__}.MyIO:\n", 1, "Rasa's InputChannel; derive it from turnstream.gateway.channel.Channel"),
        (f"{__name__}.Pager:\n  number: 1\n\nsame.Pager:\n  number: 1\n", 4, "another channel"),
    ],
)
def test_credentials_that_cannot_be_used_are_refused_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int, why: str
) -> None:
    monkeypatch.setitem(sys.modules, "same", sys.modules[__name__])
    (told,) = refusals(tmp_path, text)
    assert told.startswith(f"credentials.yml:{line}: ")
    assert why in told


def test_a_module_that_needs_rasa_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_rasa_itself.py").write_text("from rasa.core.channels.channel import InputChannel\n")
    monkeypatch.syspath_prepend(tmp_path)
    (told,) = refusals(tmp_path, "needs_rasa_itself.MyIO:\n")
    assert "is written for Rasa's InputChannel" in told


def test_keys_that_rasas_channels_pass_over_are_told_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "socketio:\n  session_persistence: true\n  cors: [http://a]\ncallback:\n  url: http://x\n  retries: 3\n"

    channels = opened(tmp_path, text)

    assert [channel.name for channel in channels] == ["socketio", "callback"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "credentials.yml:3: The channel 'socketio': the key 'cors' has no effect.",
        "credentials.yml:6: The channel 'callback': the key 'retries' has no effect.",
    ]


def test_channels_of_rasa_that_are_not_here_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yml"
    file.write_text("rest:\nslack:\n  slack_token: x\ntelegram:\n", encoding="utf-8")
    credentials = load_credentials(file)
    assert [config.name for config in credentials.channels] == ["rest"]
    assert [warning.location.line for warning in credentials.warnings] == [2, 4]
    assert all("docs/channels.md" in str(warning) for warning in credentials.warnings)
