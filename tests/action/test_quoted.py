"""What others answer or raise may quote a user: the author is told of it, and the logs are not."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from turnstream.action.action_server import ActionServerSettings
from turnstream.action.loaded import LoadedActions
from turnstream.action.service import ActionService
from turnstream.api.v1 import action_pb2 as pb
from turnstream.assistant.domain import Domain, ResponseVariation, Slot
from turnstream.dialogue.events import SlotSet
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import tracker_to_proto
from turnstream.runtime.bundles import Bundles

SAID = "my number is 12345"
ANSWERS: dict[str, tuple[int, Any]] = {
    "an error": (500, {"error": f"ValueError: {SAID}"}),
    "a page": (502, f"<html>{SAID}</html>"),
    "no object": (200, SAID),
    "an unknown action": (404, {"error": SAID}),
    "a message of a wrong type": (200, {"responses": [{"text": [SAID]}]}),
    "a message that is none": (200, {"responses": [SAID]}),
    "an event of a wrong name": (200, {"events": [{"event": SAID}]}),
    "an unbalanced brace": (200, {"responses": [{"response": "utter_city", "text": None}]}),
}
MODULE = """
from rasa_sdk import Action


class Crash(Action):
    def name(self):
        return "action_custom"

    def run(self, dispatcher, tracker, domain):
        raise ValueError("said: " + tracker.get_slot("city"))
"""
DOMAIN = Domain(
    slots={"city": Slot("city", "text")},
    responses={"utter_city": (ResponseVariation(text=f"open {{ {SAID}"),)},
    actions=("action_custom",),
)


@asynccontextmanager
async def action_server(status: int, answer: Any) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(answer), status=status, content_type="application/json")

    app = web.Application()
    app.router.add_post("/webhook", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    finally:
        await runner.cleanup()


async def failure(settings: ActionServerSettings) -> pb.ActionFailure:
    """What the author is told of `action_custom`."""
    service = ActionService(Bundles({"1": LoadedActions.of_domain(DOMAIN)}), settings)
    events = (SlotSet(name="city", value=SAID),)
    tracker = tracker_to_proto(Dialogue("c", DOMAIN, events).tracker, events)
    try:
        response = await service.RunAction(pb.RunActionRequest(action="action_custom", tracker=tracker), None)
    finally:
        await service.close()
    return response.failure


@pytest.mark.parametrize("answer", ANSWERS)
async def test_what_an_action_server_answers_is_in_no_log(answer: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "turnstream")
    async with action_server(*ANSWERS[answer]) as url:
        told = await failure(ActionServerSettings(url))
    assert SAID in told.message
    assert f"Action '{told.action}' failed: " in caplog.text
    assert SAID not in caplog.text


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "actions_that_quote"
    (tmp_path / f"{name}.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


async def test_what_an_action_raises_is_in_no_log_but_where_it_was_raised_is(
    module: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = await failure(ActionServerSettings("", module=module))
    assert told.message == f"ValueError: said: {SAID}"
    assert f"{module}.py" in caplog.text
    assert "Action 'action_custom' failed: ValueError" in caplog.text
    assert SAID not in caplog.text
