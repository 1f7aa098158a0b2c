"""Training and testing over REST, as the gateway sees it: one job at a time, and its answer."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.gateway import Behind, running_gateway
from support.servers import recording_server
from support.shared import REPOSITORY
from turnstream.gateway.workshop import Workshop

TRAIN, INTENTS, STORIES = "/model/train", "/model/test/intents", "/model/test/stories"


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    tests = {"PYTHONPATH": str(REPOSITORY / "tests")}
    workshop = Workshop("support.scripted_job", tmp_path / "models", environment=tests)
    async with running_gateway(workshop=workshop) as behind:
        yield behind


@pytest.fixture
async def http(behind: Behind) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(behind.url) as session:
        yield session


async def ask(http: aiohttp.ClientSession, path: str, body: str, **options: Any) -> tuple[int, Any]:
    async with http.post(path, data=body, **options) as response:
        return response.status, json.loads(await response.text())


async def test_the_bundle_is_the_answer_and_its_name_a_header(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with http.post(TRAIN, data="pack all of it") as response:
        assert (response.status, await response.read()) == (200, b"all of it")
        assert response.headers["filename"] == "made.tar.gz"
        assert response.headers["Content-Disposition"] == 'attachment; filename="made.tar.gz"'
    async with http.get("/version") as response:
        assert response.status == 200
    assert not caplog.messages


async def test_query_and_bundle_that_serves_reach_the_job(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    _, order = await ask(http, f"{STORIES}?e2e=true", "order")
    assert order == {"kind": "stories", "e2e": True, "model": "/models/7"}
    _, order = await ask(http, f"{INTENTS}?model=other", "order", headers={"Content-Type": "application/yaml"})
    assert order == {"kind": "intents", "folds": 0, "is_json": False, "model": "other"}
    _, order = await ask(http, f"{INTENTS}?cross_validation_folds=3", "order")
    assert (order["folds"], order["model"]) == (3, "")


@pytest.mark.parametrize(
    ("result", "status"), [("refused", 400), ("missing", 501), ("conflict", 409), ("failed", 500), ("none", 500)]
)
async def test_what_goes_wrong_in_a_job_has_a_status_of_its_own(
    http: aiohttp.ClientSession, result: str, status: int
) -> None:
    body = "nothing" if result == "none" else f'result {{"{result}": "domain.yml:3: because"}}'
    code, answer = await ask(http, STORIES, body)
    assert (code, answer["status"]) == (status, "failure")
    assert ("domain.yml:3: because" in answer["message"]) == (result != "none")


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        (TRAIN, "", "training data"),
        (f"{TRAIN}?augmentation=-1", "x", "whole number"),
        (f"{TRAIN}?callback_url=file:///etc/passwd", "x", "http://"),
        (f"{INTENTS}?cross_validation_folds=1", "x", "whole number"),
    ],
)
async def test_a_request_that_cannot_be_done_begins_no_job(
    http: aiohttp.ClientSession, path: str, body: str, why: str
) -> None:
    status, answer = await ask(http, path, body)
    assert status == 400
    assert why in answer["message"]


async def test_cross_validation_of_json_is_refused(http: aiohttp.ClientSession) -> None:
    json_body = {"Content-Type": "application/json"}
    status, answer = await ask(http, f"{INTENTS}?cross_validation_folds=2", "{}", headers=json_body)
    assert status == 400
    assert "YAML" in answer["message"]


async def test_one_job_at_a_time_while_the_gateway_goes_on(
    behind: Behind, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    training = asyncio.create_task(http.post(TRAIN, data=f"wait {begun}"))
    assert await asyncio.to_thread(begun.read_text) == "begun"
    async with http.get("/status") as response:
        assert (await response.json())["num_active_training_jobs"] == 1
    status, answer = await ask(http, STORIES, "order")
    assert (status, answer["reason"]) == (503, "TryLater")
    assert "train" in answer["message"]
    said = await ask(http, "/webhooks/rest/webhook", '{"sender": "ada", "message": "hi"}')
    assert said == (200, [{"recipient_id": "ada", "text": "rest: hi"}])
    # The gateway ends, and with it the job.
    await behind.rest.stop(grace_s=0.01)
    with pytest.raises(aiohttp.ClientError):
        await training


@pytest.mark.parametrize(("path", "body", "sent"), [(TRAIN, "pack it", b"it"), (STORIES, "result {", None)])
async def test_a_callback_gets_the_result_or_the_failure(
    http: aiohttp.ClientSession, path: str, body: str, sent: bytes | None
) -> None:
    async with recording_server() as server:
        async with http.post(f"{path}?callback_url={server.url}/done", data=body) as response:
            assert (response.status, await response.read()) == (204, b"")
        request = await server.next()
    if sent is None:
        assert json.loads(request.body)["status"] == "failure"
    else:
        assert (request.path, request.body, request.headers["filename"]) == ("/done", sent, "made.tar.gz")


async def test_a_callback_that_is_busy_is_called_again(http: aiohttp.ClientSession) -> None:
    async with recording_server(statuses=[503]) as server:
        async with http.post(f"{STORIES}?callback_url={server.url}", data="order") as response:
            assert response.status == 204
        first, second = await server.next(), await server.next()
    assert first.body == second.body
    assert json.loads(first.body)["kind"] == "stories"


async def test_predictions_after_given_events_belong_to_no_conversation(
    behind: Behind, http: aiohttp.ClientSession
) -> None:
    events = [{"event": "action", "name": "action_listen"}, {"event": "user", "text": "hi"}]
    async with http.post("/model/predict?include_events=ALL&all_sessions=true", json=events) as response:
        assert response.status == 200
        answer = await response.json()
    assert answer["scores"][0] == {"action": "action_listen", "score": 1.0}
    assert [event["event"] for event in answer["tracker"]["events"]] == ["action", "user"]
    assert not behind.log.accepted


@pytest.mark.parametrize("body", [{"event": "user"}, [{"event": "nonsense"}], [{"event": "slot"}]])
async def test_events_that_are_none_are_refused(http: aiohttp.ClientSession, body: Any) -> None:
    async with http.post("/model/predict", json=body) as response:
        assert response.status == 400
