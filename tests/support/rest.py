"""What tests of the REST API share: how it is asked."""

import json
from typing import Any

import aiohttp

WEBHOOK = "/webhooks/rest/webhook"


async def ask(http: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with http.request(method, path, **options) as response:
        return response.status, json.loads(await response.text())


async def begin(http: aiohttp.ClientSession, conversation_id: str) -> None:
    status, _ = await ask(http, "POST", WEBHOOK, json={"sender": conversation_id, "message": "hi"})
    assert status == 200
