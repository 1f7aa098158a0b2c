"""Replacing and unloading the model over REST, in a whole assistant."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.bundle_folder import damage, derive_bundle
from support.small_project import write_project
from turnstream.assistant.reader import ProjectPaths
from turnstream.testing.harness import served, train_quietly
from turnstream.training.train import TrainingRequest


@dataclass
class Client:
    http: aiohttp.ClientSession
    url: str

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.http.request(method, f"{self.url}{path}", json=body) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def greet(self) -> Any:
        return (await self.ask("POST", "/webhooks/rest/webhook", {"sender": "ada", "message": "hello"}))[1]

    async def put(self, model_file: Any) -> tuple[int, Any]:
        return await self.ask("PUT", "/model", {"model_file": str(model_file)})


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    project = write_project(tmp_path / "project")
    return train_quietly(TrainingRequest(ProjectPaths.default(project), tmp_path / "models", "first")).path


@pytest.fixture
async def client(bundle: Path, tmp_path: Path) -> AsyncIterator[Client]:
    async with served(bundle, tmp_path / "turns.db") as running, aiohttp.ClientSession() as http:
        yield Client(http, running.url)


async def test_model_is_replaced_by_one_that_lies_anywhere(client: Client, bundle: Path, tmp_path: Path) -> None:
    other = derive_bundle(bundle, tmp_path / "elsewhere", "second", {"I am small": "I am second"})
    assert [r["text"] for r in await client.greet()] == ["Hello, I am small."]
    assert await client.put(other) == (204, None)
    assert [r["text"] for r in await client.greet()] == ["Hello, I am second."]
    assert (await client.ask("GET", "/status"))[1]["model_file"] == str(other)
    # A folder of bundles stands for its newest.
    assert await client.put(bundle.parent) == (204, None)
    assert [r["text"] for r in await client.greet()] == ["Hello, I am small."]


async def test_nothing_is_answered_without_a_model_until_there_is_one_again(client: Client, bundle: Path) -> None:
    assert await client.ask("DELETE", "/model") == (204, None)
    for method, path, body in (
        ("GET", "/status", None),
        ("GET", "/domain", None),
        ("POST", "/model/parse", {"text": "hello"}),
        ("POST", "/webhooks/rest/webhook", {"sender": "ada", "message": "hello"}),
    ):
        status, answer = await client.ask(method, path, body)
        assert (status, answer["reason"]) == (409, "Conflict"), path
        assert "no assistant is loaded" in answer["message"]
    assert await client.ask("DELETE", "/model") == (204, None)
    assert await client.put(bundle) == (204, None)
    assert [r["text"] for r in await client.greet()] == ["Hello, I am small."]


async def test_what_is_no_model_is_refused_and_the_old_one_goes_on(
    client: Client, bundle: Path, tmp_path: Path
) -> None:
    damage(derive_bundle(bundle, tmp_path / "elsewhere", "second", {}))
    for body, fault in (
        ({}, "No path to model file"),
        ({"model_file": str(tmp_path / "nowhere")}, "no trained model here"),
        ({"model_file": str(tmp_path / "elsewhere" / "second")}, "damaged"),
        ({"model_server": {"url": "http://127.0.0.1"}}, "'model_server' is not supported"),
        ({"model_file": 7}, "must be a text"),
    ):
        status, answer = await client.ask("PUT", "/model", body)
        assert (status, answer["reason"]) == (400, "BadRequest")
        assert fault in answer["message"]
    assert [r["text"] for r in await client.greet()] == ["Hello, I am small."]
