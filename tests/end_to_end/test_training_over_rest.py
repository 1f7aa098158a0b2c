"""Training and testing by request on a running assistant: the whole way, with jobs in processes of their own."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from support.small_project import FILES, write_project
from turnstream.assistant.reader import ProjectPaths
from turnstream.cli.bundle_install import install_bundle
from turnstream.testing.harness import served, train_quietly
from turnstream.training.train import TrainingRequest

YAML = {"Content-Type": "application/yaml"}
GREETING = "stories: [{story: a, steps: [{user: hello, intent: greet}, {action: utter_greet}]}]"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Door:
    http: aiohttp.ClientSession
    models: Path

    async def post(self, path: str, body: str, headers: dict[str, str] = YAML) -> tuple[int, Any]:
        async with self.http.post(path, data=body, headers=headers) as response:
            return response.status, json.loads(await response.read())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    folder = write_project(tmp_path_factory.mktemp("served"))
    request = TrainingRequest(ProjectPaths.default(folder), folder / "models", "first")
    bundle = (await asyncio.to_thread(train_quietly, request)).path
    async with served(bundle, folder / "turns.db") as assistant, aiohttp.ClientSession(assistant.url) as http:
        yield Door(http, folder / "models")


async def test_a_project_in_one_body_becomes_a_bundle_that_serves(door: Door, tmp_path: Path) -> None:
    project: dict[str, Any] = {}
    for name in ("config.yml", "domain.yml", "data/nlu.yml", "data/rules.yml"):
        project |= yaml.safe_load(FILES[name])
    project["responses"]["utter_greet"] = [{"text": "Hello from the body."}]
    async with door.http.post("/model/train", data=yaml.safe_dump(project), headers=YAML) as response:
        assert (response.status, response.content_type) == (200, "application/gzip")
        packed = tmp_path / response.headers["filename"]
        packed.write_bytes(await response.read())
    installed = install_bundle(str(packed), tmp_path / "bundles")
    kept = door.models / packed.name.removesuffix(".tar.gz")
    assert (installed.is_new, installed.version) == (True, kept.name)
    async with door.http.put("/model", json={"model_file": str(kept)}) as response:
        assert response.status == 204
    status, said = await door.post("/webhooks/rest/webhook", json.dumps({"sender": "new", "message": "hello"}))
    assert (status, said) == (200, [{"recipient_id": "new", "text": "Hello from the body."}])


async def test_stories_are_tested_with_the_bundle_that_serves(door: Door) -> None:
    status, answer = await door.post("/model/test/stories?e2e=true", GREETING)
    assert status == 200, answer
    assert answer["report"]["conversation_accuracy"] == {"accuracy": 1.0, "correct": 1, "total": 1}


async def test_the_policies_predict_after_given_events(door: Door) -> None:
    greeted = {"event": "user", "text": "hello", "parse_data": {"intent": {"name": "greet", "confidence": 1.0}}}
    events = [
        {"event": "action", "name": "action_session_start"},
        {"event": "action", "name": "action_listen"},
        greeted,
    ]
    status, answer = await door.post("/model/predict", json.dumps(events))
    assert (status, answer["policy"], answer["confidence"]) == (200, "RulePolicy", 1.0)
    best = max(answer["scores"], key=lambda score: score["score"])
    assert best == {"action": "utter_greet", "score": 1.0}
    assert answer["tracker"]["latest_message"]["intent"]["name"] == "greet"
