"""Each default action is the author's own where the domain lists it, run by the real `rasa_sdk` server."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.action_servers import ActionServers
from turnstream.assistant.domain import DEFAULT_ACTIONS
from turnstream.assistant.reader import ProjectPaths
from turnstream.testing.harness import served, train_quietly
from turnstream.training.train import TrainingRequest

ACTIONS = f"""
from rasa_sdk import Action
from rasa_sdk.events import ActionExecuted, Restarted, SessionStarted, UserUtteranceReverted

EVENTS = {{
    "action_session_start": [SessionStarted(), ActionExecuted("action_listen")],
    "action_default_fallback": [UserUtteranceReverted()],
    "action_restart": [Restarted()],
    "action_back": [UserUtteranceReverted(), UserUtteranceReverted()],
}}


def own(action):
    class Own(Action):
        def name(self):
            return action

        def run(self, dispatcher, tracker, domain):
            dispatcher.utter_message(text="own " + action)
            return EVENTS.get(action, [])

    return Own


KEPT = [own(action) for action in {DEFAULT_ACTIONS!r}]
"""

CONFIG = """
language: en
pipeline:
- name: WhitespaceTokenizer
- name: KeywordIntentClassifier
policies:
- name: RulePolicy
"""

DOMAIN = f"""
version: "3.1"
intents: [greet]
responses:
  utter_greet:
  - text: Hello.
actions: [{", ".join(DEFAULT_ACTIONS)}]
"""

NLU = """
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello
"""

RULES = """
version: "3.1"
rules:
- rule: Greet
  steps:
  - intent: greet
  - action: utter_greet
"""


def write(folder: Path) -> Path:
    files = {"config.yml": CONFIG, "domain.yml": DOMAIN, "data/nlu.yml": NLU, "data/rules.yml": RULES}
    for name, content in (files | {"actions.py": ACTIONS}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


async def post(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> Any:
    async with http.post(url, json=body) as answer:
        return await answer.json()


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in messages]


@pytest.mark.asyncio(loop_scope="module")
async def test_every_default_action_can_be_the_authors_own(tmp_path: Path, servers: ActionServers) -> None:
    source = write(tmp_path / "project")
    request = TrainingRequest(ProjectPaths.default(source), tmp_path / "models")
    bundle = (await asyncio.to_thread(train_quietly, request)).path
    async with (
        served(bundle, tmp_path / "turns.db", await servers.url(source)) as assistant,
        aiohttp.ClientSession() as http,
    ):

        async def say(text: str) -> list[str]:
            answer = await post(http, f"{assistant.url}/webhooks/rest/webhook", {"sender": "ada", "message": text})
            return texts(answer)

        extract, listen = "own action_extract_slots", "own action_listen"
        assert await say("hello") == ["own action_session_start", extract, "Hello.", listen]
        assert await say("what?") == [extract, "own action_default_fallback", listen]
        assert await say("/restart") == [extract, "own action_restart", "own action_session_start"]
        assert await say("/back") == [extract, "own action_back", listen]
        # A session may begin before it, where the one before restarted or took back what there was.
        last = {}
        for action in DEFAULT_ACTIONS:
            answer = await post(http, f"{assistant.url}/conversations/ada/execute", {"name": action})
            last[action] = texts(answer["messages"])[-1]
    assert last == {action: f"own {action}" for action in DEFAULT_ACTIONS}
