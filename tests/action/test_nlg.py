"""Responses worded by an NLG server, a real HTTP server that says what a test wants."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.action_servers import free_port
from support.servers import recording_server
from turnstream.action.action_server import ActionAnswer, ActionRequest
from turnstream.action.custom import CustomActions
from turnstream.action.failures import ActionFailed
from turnstream.action.nlg import NlgResponses, NlgServer, NlgSettings, checked, nlg_settings
from turnstream.action.responding import Speaker
from turnstream.action.scene import Scene
from turnstream.assistant.config import Endpoint
from turnstream.assistant.domain import Domain, ResponseCondition, ResponseVariation
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import load_endpoints
from turnstream.dialogue.events import BotUttered, ParseData, UserUttered
from turnstream.dialogue.tracker import Tracker

RESPONSES = {
    "utter_greet": (
        ResponseVariation(text="no", conditions=(ResponseCondition("name", "Bob"),), id="bob"),
        ResponseVariation(text="no", id="first"),
    )
}
DOMAIN = Domain(responses=RESPONSES)


def scene(**more: Any) -> Scene:
    said = UserUttered(text="hi", parse_data=ParseData(text="hi"))
    tracker = Tracker("ada", slots={"name": "Ada"}, latest_message=said)
    return Scene(DOMAIN, tracker, events=(said,), channel="web", **more)


@asynccontextmanager
async def asking(url: str, timeout_s: float = 20.0) -> AsyncIterator[NlgResponses]:
    server = NlgServer(NlgSettings(url, (("X-Mine", "1"),), (("token", "t"),), timeout_s))
    try:
        yield server.responses(DOMAIN)
    finally:
        await server.close()


async def worded(url: str, name: str = "utter_greet", timeout_s: float = 20.0, **arguments: Any) -> Any:
    async with asking(url, timeout_s) as responses:
        return await responses.generate(name, scene(), arguments)


class Custom:
    """An action server whose action says a response."""

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        return ActionAnswer(responses=({"response": "utter_greet", "place": "here"},))


async def test_the_request_is_as_documented() -> None:
    async with recording_server(answer={"text": "Hello Ada", "buttons": None}) as server:
        message = await worded(f"{server.url}/nlg", place="here")
        request = await server.next()
    assert message == {"text": "Hello Ada", "utter_action": "utter_greet"}
    assert (request.path, request.query, request.headers["X-Mine"]) == ("/nlg", {"token": "t"}, "1")
    body = json.loads(request.body)
    assert list(body) == ["response", "id", "arguments", "tracker", "channel"]
    assert (body["response"], body["id"], body["arguments"]) == ("utter_greet", "first", {"place": "here"})
    assert body["channel"] == {"name": "web"}
    assert (body["tracker"]["sender_id"], body["tracker"]["slots"]) == ("ada", {"name": "Ada"})
    assert [event["event"] for event in body["tracker"]["events"]] == ["user"]


async def test_a_response_that_the_domain_lacks_is_asked_for_too() -> None:
    async with recording_server(answer={"text": "Hello"}) as server:
        assert (await worded(server.url, "utter_elsewhere"))["text"] == "Hello"
        assert json.loads((await server.next()).body)["id"] is None


@pytest.mark.parametrize("answer", [None, ""])
async def test_an_empty_answer_says_nothing(answer: Any) -> None:
    async with recording_server(answer=answer) as server:
        assert await worded(server.url) is None


async def test_every_part_of_a_message_is_taken_and_braces_are_left_alone() -> None:
    parts = {
        "text": "{name}",
        "buttons": [{"title": "Yes"}],
        "elements": [{}],
        "image": "i",
        "attachment": {"type": "x"},
        "custom": [1],
        "quick_replies": [{}],
    }
    async with recording_server(answer=parts) as server, asking(server.url) as responses:
        (event,) = await Speaker(responses).say("utter_greet", scene())
    assert isinstance(event, BotUttered)
    assert event.text == "{name}"
    assert {key: value for key, value in event.data.items() if value} == {k: parts[k] for k in parts if k != "text"}


@pytest.mark.parametrize("answer", ["text", 5, [], {"text": 5}, {"buttons": {}}, {"attachment": "x"}])
def test_an_answer_that_is_no_message_is_refused(answer: Any) -> None:
    with pytest.raises(ActionFailed, match=r"^utter_greet: the NLG server's answer"):
        checked("utter_greet", answer)


def test_what_utf8_and_json_cannot_say_is_replaced() -> None:
    answer = {"text": "a\ud800", "custom": {"n": [float("nan"), float("inf"), 1.5]}}
    assert checked("utter_greet", answer) == {"text": "a\ufffd", "custom": {"n": [None, None, 1.5]}}


def test_an_answer_that_is_nested_too_deeply_is_refused() -> None:
    answer: Any = "a"
    for _ in range(40):
        answer = [answer]
    with pytest.raises(ActionFailed, match="the NLG server's answer cannot be used: it is nested more than"):
        checked("utter_greet", {"custom": answer})


async def test_a_server_that_refuses_or_is_away_fails_the_response_with_the_address() -> None:
    async with recording_server(statuses=[500]) as server:
        with pytest.raises(ActionFailed, match=f"utter_greet: the NLG server at {server.url} answered with status 500"):
            await worded(server.url)
    with pytest.raises(ActionFailed, match=r"no NLG server answers .* is it running"):
        await worded(f"http://127.0.0.1:{free_port()}")


async def test_a_server_that_is_too_late_fails_the_response() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ActionFailed, match=r"took longer than 0\.05 s"):
            await worded(f"http://127.0.0.1:{port}", timeout_s=0.05)


async def test_a_custom_action_that_names_a_response_gets_the_servers_words() -> None:
    answer = {"text": "Hello Ada"}
    async with recording_server(answer=answer) as server, asking(server.url) as responses:
        events = await CustomActions(Speaker(responses), {}).run("action_x", scene(server=Custom()))
        arguments = json.loads((await server.next()).body)["arguments"]
    assert [event.text for event in events if isinstance(event, BotUttered)] == ["Hello Ada"]
    assert arguments["place"] == "here"


def test_settings_are_those_of_the_endpoint() -> None:
    options = {"headers": {"A": 1}, "basic_auth": {"username": "u", "password": "p"}, "token": "t", "timeout_s": 3}
    settings = nlg_settings(Endpoint("nlg", "http://x", None, options), 60.0)
    assert settings is not None
    assert (settings.url, settings.timeout_s) == ("http://x", 3.0)
    assert settings.headers == (("A", "1"), ("Authorization", "Basic dTpw"))
    assert settings.params == (("token", "t"),)
    assert nlg_settings(Endpoint("nlg", "http://x", "response"), 60.0) is None
    assert nlg_settings(None, 60.0) is None


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("nlg:\n  type: callback\n", 2, "'url' must begin with http://"),
        ("nlg:\n  url: localhost:5056\n", 2, "'url' must begin with http://"),
        ("nlg:\n  type: my_nlg.Generator\n", 2, "Run it as a server of its own"),
        ("nlg:\n  type: respons\n", 2, "Did you mean 'response'?"),
        ("nlg:\n  url: http://x\n  timeout_s: -1\n", 3, "positive number of seconds"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, why: str
) -> None:
    file = tmp_path / "endpoints.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ProjectError) as refused:
        load_endpoints(file)
    (problem,) = refused.value.problems
    assert str(problem).startswith(f"endpoints.yml:{line}: 'nlg': ")
    assert why in str(problem)
