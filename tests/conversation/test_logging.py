"""What the logs say of a turn: whose it is and which, and not a word of what was said."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.deployment import deployed
from turnstream.runtime.logs import setup_logging
from turnstream.turnlog.sqlite import SqliteTurnLog

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    setup_logging("info")
    root.handlers[:] = handlers
    root.setLevel(level)


async def logged(folder: Path, *, message_texts: bool) -> tuple[str, list[dict[str, Any]]]:
    """All that is logged, down to the last detail, of a turn in which a service is away for a moment."""
    out = io.StringIO()
    setup_logging("debug", as_json=True, message_texts=message_texts, stream=out)
    async with deployed(SqliteTurnLog(folder / "turns.db"), folder) as deployment:
        deployment.nlu.intents["my number is 12345"] = "greet"
        body = {"sender": "ada", "message": "my number is 12345", "message_id": "m1"}
        headers = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
        url = f"{deployment.rest.url}/webhooks/rest/webhook"
        async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as response:
            assert [reply["text"] for reply in await response.json()] == ["utter_greet"]
    return out.getvalue(), [json.loads(line) for line in out.getvalue().splitlines()]


async def test_a_turns_line_names_conversation_message_and_trace_and_no_text(tmp_path: Path) -> None:
    text, lines = await logged(tmp_path, message_texts=False)
    (turn,) = (line for line in lines if line["message"].startswith("turn 1"))
    assert (turn["conversation_id"], turn["turn"], turn["trace_id"]) == ("ada", "m1", TRACE_ID)
    assert "12345" not in text
    assert "utter_greet" not in text


async def test_texts_are_logged_where_that_is_allowed(tmp_path: Path) -> None:
    _, lines = await logged(tmp_path, message_texts=True)
    (turn,) = (line for line in lines if line["message"].startswith("turn 1"))
    assert (turn["user"], turn["bot"]) == ("my number is 12345", ["utter_greet"])
