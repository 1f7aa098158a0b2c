"""An assistant whose responses come from an NLG server, which the domain says nothing of."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
from support.servers import recording_server
from support.small_project import FILES, write_project
from turnstream.assistant.reader import ProjectPaths
from turnstream.testing.harness import served, train_quietly
from turnstream.training.train import TrainingRequest

WITHOUT_RESPONSES = FILES["domain.yml"].partition("responses:")[0].replace("[action_count, action_wait]", "{actions}")
ACTIONS = "[action_count, action_wait, utter_greet, utter_done, utter_rephrase]"


async def said(http: aiohttp.ClientSession, text: str) -> Any:
    async with http.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text}) as response:
        return await response.json()


async def test_every_response_is_worded_by_the_server_which_sees_the_session(tmp_path: Path) -> None:
    folder = write_project(tmp_path, domain_yml=WITHOUT_RESPONSES.replace("{actions}", ACTIONS))
    request = TrainingRequest(ProjectPaths.default(folder), folder / "models")
    bundle = (await asyncio.to_thread(train_quietly, request)).path
    async with (
        recording_server(answer={"text": "worded elsewhere", "custom": {"a": 1}}) as server,
        served(bundle, tmp_path / "turns.db", nlg_url=server.url) as assistant,
        aiohttp.ClientSession(assistant.url) as http,
    ):
        replies = await said(http, "hello")
        assert [list(reply) for reply in replies] == [["recipient_id", "text"], ["recipient_id", "custom"]]
        asked = json.loads((await server.next()).body)
        server.statuses.append(500)
        assert await said(http, "hello") == []
        assert len(await said(http, "hello")) == 2
    assert (asked["response"], asked["channel"]) == ("utter_greet", {"name": "collector"})
    kinds = [event["event"] for event in asked["tracker"]["events"]]
    assert kinds[:3] == ["action", "session_started", "action"]
    assert "user" in kinds
    assert asked["tracker"]["latest_message"]["text"] == "hello"
