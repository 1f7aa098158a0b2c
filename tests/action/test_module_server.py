"""Custom actions of a module in this process, on the real SDK."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.action_servers import a_request
from turnstream.action.action_server import ActionServerSettings
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.module_server import ModuleActionServer

ACTIONS = """
import threading
from rasa_sdk import Action
from rasa_sdk.events import SlotSet
from rasa_sdk.interfaces import ActionExecutionRejection

started, go = threading.Event(), threading.Event()


class Greet(Action):
    def name(self):
        return "action_greet"

    async def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(text=f"hi {tracker.sender_id} of {domain['intents']}")
        return [SlotSet("city", tracker.get_slot("city"))]


class Refuse(Action):
    def name(self):
        return "action_refuse"

    def run(self, dispatcher, tracker, domain):
        raise ActionExecutionRejection("action_refuse", "not now")


class Crash(Action):
    def name(self):
        return "action_crash"

    def run(self, dispatcher, tracker, domain):
        raise ValueError("broken on purpose")


class Wait(Action):
    def name(self):
        return "action_wait"

    def run(self, dispatcher, tracker, domain):
        started.set()
        go.wait()
        return []
"""
MODULE = "actions_in_this_process"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / f"{MODULE}.py").write_text(ACTIONS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield MODULE
    sys.modules.pop(MODULE, None)


async def test_actions_run_reject_fail_and_are_not_there(module: str) -> None:
    server = ModuleActionServer(ActionServerSettings("", module=module))
    request = a_request("action_greet", slots={"city": "Köln"}, domain={"intents": ["hi"]})
    answer = await server.call(request, "")
    assert [r["text"] for r in answer.responses] == ["hi ann of ['hi']"]
    assert [e["value"] for e in answer.events] == ["Köln"]
    with pytest.raises(ActionRejected, match="not now"):
        await server.call(a_request("action_refuse"), "")
    with pytest.raises(ActionFailed, match="action_crash: ValueError: broken on purpose"):
        await server.call(a_request("action_crash"), "")
    with pytest.raises(ActionFailed, match="has no such action"):
        await server.call(a_request("action_unknown"), "")
    await server.close()


async def test_an_action_that_blocks_is_given_up_and_holds_up_no_other(module: str) -> None:
    server = ModuleActionServer(ActionServerSettings("", module=module, timeouts_s={"action_wait": 0.05}))
    with pytest.raises(ActionFailed, match=r"action_wait: it took longer than 0\.05 s"):
        await server.call(a_request("action_wait"), "")
    assert (await server.call(a_request("action_greet", domain={"intents": []}), "")).responses
    sys.modules[module].go.set()
    await server.close()


async def test_a_module_that_cannot_be_loaded_is_named_by_each_action() -> None:
    server = ModuleActionServer(ActionServerSettings("", module="no_such_module"))
    with pytest.raises(ActionFailed, match=r"action_x: action_endpoint\.actions_module 'no_such_module'"):
        await server.call(a_request(), "")
    await server.close()
