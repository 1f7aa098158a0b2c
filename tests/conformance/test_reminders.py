"""Reminders from end to end: an author's project, its actions on the real `rasa_sdk` server, and a restart between."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.action_servers import ActionServers
from turnstream.api.v1.conversations_pb2 import SubscribeRequest, Turn
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.assistant.reader import ProjectPaths
from turnstream.conversation.metrics import REMINDERS
from turnstream.testing.harness import Served, served, train_quietly
from turnstream.training.train import TrainingRequest

PATIENCE_S = 60.0

FILES = {
    "config.yml": """
language: en
pipeline:
- name: WhitespaceTokenizer
- name: KeywordIntentClassifier
policies:
- name: RulePolicy
""",
    "domain.yml": """
version: "3.1"
intents: [remind, remind_tomorrow, forget, EXTERNAL_pill]
entities: [pill]
actions: [action_remind, action_remind_tomorrow, action_tell_to_take, action_forget]
""",
    "data/nlu.yml": """
version: "3.1"
nlu:
- intent: remind
  examples: |
    - remind me
- intent: remind_tomorrow
  examples: |
    - tomorrow
- intent: forget
  examples: |
    - forget
""",
    "data/rules.yml": """
version: "3.1"
rules:
- rule: Set a reminder
  steps:
  - intent: remind
  - action: action_remind
- rule: Set a reminder for tomorrow
  steps:
  - intent: remind_tomorrow
  - action: action_remind_tomorrow
- rule: Forget it
  steps:
  - intent: forget
  - action: action_forget
- rule: React to the reminder
  steps:
  - intent: EXTERNAL_pill
  - action: action_tell_to_take
""",
    "actions.py": """
from datetime import datetime, timedelta

from rasa_sdk import Action
from rasa_sdk.events import ReminderCancelled, ReminderScheduled


def pill(**after):
    return ReminderScheduled(
        "EXTERNAL_pill",
        trigger_date_time=datetime.now() + timedelta(**after),
        entities=[{"entity": "pill", "value": "aspirin", "role": "morning"}],
        name="pill",
        kill_on_user_message=False,
    )


class Remind(Action):
    def name(self):
        return "action_remind"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(text="I will remind you.")
        return [pill(seconds=0.5)]


class RemindTomorrow(Action):
    def name(self):
        return "action_remind_tomorrow"

    def run(self, dispatcher, tracker, domain):
        return [pill(days=1)]


class Forget(Action):
    def name(self):
        return "action_forget"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(text="Forgotten.")
        return [ReminderCancelled()]


class TellToTake(Action):
    def name(self):
        return "action_tell_to_take"

    def run(self, dispatcher, tracker, domain):
        (found,) = tracker.latest_message["entities"]
        dispatcher.utter_message(text=f"Take your {found['value']} ({found['role']}).")
        return []
""",
}


def write(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


async def say(assistant: Served, text: str) -> list[str]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{assistant.url}/webhooks/rest/webhook", json={"sender": "ada", "message": text}) as answer,
    ):
        return [message["text"] for message in await answer.json()]


async def tracker(assistant: Served) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{assistant.url}/conversations/ada/tracker") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def turn(assistant: Served, number: int) -> Turn:
    """As a subscriber hears of it."""
    call = ConversationsStub(assistant.assembly.channel("gateway")).Subscribe(
        SubscribeRequest(conversation_id="ada", from_turn=number)
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for response in call:
                return response.turn
    finally:
        call.cancel()
    raise AssertionError("the stream ended")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_reminder_of_an_action_server_fires_after_a_restart_and_one_that_is_forgotten_does_not(
    tmp_path: Path, servers: ActionServers
) -> None:
    source = write(tmp_path / "project")
    request = TrainingRequest(ProjectPaths.default(source), tmp_path / "models")
    bundle = (await asyncio.to_thread(train_quietly, request)).path
    url, log = await servers.url(source), tmp_path / "turns.db"
    async with served(bundle, log, url) as assistant:
        assert await say(assistant, "remind me") == ["I will remind you."]
    async with served(bundle, log, url) as assistant:
        assert [reply.text for reply in (await turn(assistant, 2)).replies] == ["Take your aspirin (morning)."]
        (event,) = [e for e in (await tracker(assistant))["events"] if e.get("text", "") == "EXTERNAL: EXTERNAL_pill"]
        assert event["input_channel"] == "rest"
        assert event["parse_data"]["entities"] == [{"entity": "pill", "value": "aspirin", "role": "morning"}]
        cancelled = REMINDERS.labels("cancelled")._value.get()
        assert await say(assistant, "tomorrow") == []
        assert await say(assistant, "forget") == ["Forgotten."]
        assert REMINDERS.labels("cancelled")._value.get() == cancelled + 1
