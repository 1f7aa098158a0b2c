"""An assistant that shares its conversations with another engine: routed by intent, handed over, and taken back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from support.action_servers import ActionServers
from turnstream.assistant.reader import ProjectPaths
from turnstream.testing.harness import served, train_quietly
from turnstream.training.train import TrainingRequest

FILES = {
    "config.yml": """
        recipe: default.v1
        language: en
        pipeline:
        - name: WhitespaceTokenizer
        - name: KeywordIntentClassifier
        - name: IntentBasedRouter
          nlu_entry: {sticky: [order], non_sticky: [chitchat]}
          calm_entry: {sticky: [travel]}
        policies: [{name: RulePolicy}, {name: MemoizationPolicy}]
        """,
    "domain.yml": """
        intents: [order, chitchat, travel, holiday, more, thanks]
        entities: [city]
        slots:
          route_session_to_calm: {type: bool, influence_conversation: false}
          city: {type: text, mappings: [{type: from_entity, entity: city}]}
          name: {type: text, influence_conversation: false, shared_for_coexistence: true, mappings: [{type: custom}]}
        responses:
          utter_ordered: [{text: "ordered for {name}"}]
          utter_chat: [{text: "nice"}]
          utter_more: [{text: "more"}]
          utter_default: [{text: "not understood"}]
        """,
    "data/nlu.yml": """
        nlu:
        - {intent: order, examples: "- pizza"}
        - {intent: chitchat, examples: "- hello"}
        - {intent: travel, examples: "- train"}
        - {intent: holiday, examples: "- beach"}
        - {intent: more, examples: "- again"}
        - {intent: thanks, examples: "- thanks"}
        """,
    "data/rules.yml": """
        rules:
        - {rule: chat, steps: [{intent: chitchat}, {action: utter_chat}]}
        - {rule: thanks, steps: [{intent: thanks}, {action: utter_chat}]}
        stories:
        - story: order
          steps:
          - intent: order
          - action: utter_ordered
          - intent: more
          - action: utter_more
          - action: action_reset_routing
        """,
    "data/flows.yml": """
        flows:
          plan_a_holiday:
            description: run elsewhere
            nlu_trigger: [{intent: {name: holiday, confidence_threshold: 0.5}}]
            persisted_slots: [name]
            steps: [{action: anything}]
        """,
}
ENGINE = """
from rasa_sdk import Action
from rasa_sdk.events import FollowupAction, SlotSet
from rasa_sdk.interfaces import ActionExecutionRejection


class Engine(Action):
    def name(self):
        return "action_route_to_calm"

    def run(self, dispatcher, tracker, domain):
        text = tracker.latest_message["text"]
        if text == "hello":
            raise ActionExecutionRejection(self.name())
        dispatcher.utter_message(text=f"elsewhere: {text}")
        if text == "bye":
            return [SlotSet("name", "Ann"), FollowupAction("action_reset_routing")]
        return [SlotSet("city", "Bonn")]
"""


class Talk:
    """One conversation over REST."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def say(self, *texts: str) -> list[str]:
        said: list[str] = []
        async with aiohttp.ClientSession() as session:
            for text in texts:
                message = {"sender": "ann", "message": text}
                async with session.post(f"{self._url}/webhooks/rest/webhook", json=message) as response:
                    said += [reply["text"] for reply in await response.json()]
        return said

    async def tracker(self) -> dict[str, Any]:
        url = f"{self._url}/conversations/ann/tracker?include_events=ALL"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            found: dict[str, Any] = await response.json()
            return found

    async def slots(self) -> dict[str, Any]:
        found = (await self.tracker())["slots"]
        return {name: found[name] for name in ("route_session_to_calm", "city", "name")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bundle(tmp_path_factory: Any) -> Path:
    folder = tmp_path_factory.mktemp("coexistence")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    request = TrainingRequest(ProjectPaths.default(folder), folder / "models")
    return (await asyncio.to_thread(train_quietly, request)).path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(servers: ActionServers, tmp_path_factory: Any) -> str:
    folder = tmp_path_factory.mktemp("engine")
    (folder / "actions.py").write_text(ENGINE, encoding="utf-8")
    return await servers.url(folder, grpc=True)


@pytest_asyncio.fixture(loop_scope="module")
async def talk(bundle: Path, engine: str, tmp_path: Path) -> AsyncIterator[Talk]:
    async with served(bundle, tmp_path / "turns.db", calm_url=engine) as assistant:
        yield Talk(assistant.url)


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_intent_begins_a_session_elsewhere_until_that_engine_hands_it_back(talk: Talk) -> None:
    assert await talk.say("train", "again") == ["elsewhere: train", "elsewhere: again"]
    assert await talk.slots() == {"route_session_to_calm": True, "city": "Bonn", "name": None}
    assert await talk.say("bye") == ["elsewhere: bye"]
    assert await talk.slots() == {"route_session_to_calm": None, "city": None, "name": "Ann"}
    # What the other engine did is hidden from the policies, so that the story begins as it was trained.
    assert await talk.say("pizza", "again") == ["ordered for Ann", "more"]


async def test_a_session_here_stays_here_until_the_routing_is_reset(talk: Talk) -> None:
    assert await talk.say("pizza") == ["ordered for None"]
    assert (await talk.slots())["route_session_to_calm"] is False
    assert await talk.say("train") == ["not understood"]
    assert await talk.say("again") == ["more"]
    assert (await talk.slots())["route_session_to_calm"] is None
    assert await talk.say("train") == ["elsewhere: train"]


async def test_an_intent_that_decides_nothing_is_answered_here_alone(talk: Talk) -> None:
    assert await talk.say("hello") == ["nice"]
    assert (await talk.slots())["route_session_to_calm"] is None


async def test_an_intent_that_starts_a_flow_goes_to_the_other_engine(talk: Talk) -> None:
    assert await talk.say("beach") == ["elsewhere: beach"]


async def test_an_intent_of_no_list_begins_a_session_here(talk: Talk) -> None:
    assert await talk.say("thanks") == ["nice"]
    assert (await talk.slots())["route_session_to_calm"] is False


async def test_a_message_that_the_fallback_takes_back_begins_no_session(talk: Talk) -> None:
    assert await talk.say("something else") == ["not understood"]
    assert (await talk.slots())["route_session_to_calm"] is None


async def test_a_message_that_the_other_engine_refuses_is_answered_here(talk: Talk) -> None:
    assert await talk.say("train", "hello", "again") == ["elsewhere: train", "nice", "elsewhere: again"]


async def test_slots_are_not_filled_from_messages_of_the_other_engines_session(talk: Talk) -> None:
    await talk.say('/travel{"city": "Rome"}')
    events = (await talk.tracker())["events"]
    assert [e["value"] for e in events if e["event"] == "slot" and e["name"] == "city"] == ["Bonn"]


async def test_the_session_is_restarted_here_wherever_it_is(talk: Talk) -> None:
    await talk.say("train", "/restart")
    assert (await talk.slots())["route_session_to_calm"] is None


async def test_without_the_other_engine_this_one_answers(bundle: Path, tmp_path: Path) -> None:
    async with served(bundle, tmp_path / "turns.db") as assistant:
        talk = Talk(assistant.url)
        assert await talk.say("train") == ["not understood"]
        assert "not understood" in [e.get("text") for e in (await talk.tracker())["events"]]
