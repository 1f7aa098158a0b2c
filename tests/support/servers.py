"""A small HTTP server that keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(frozen=True)
class Received:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class RecordingServer:
    """`statuses` are those of its first answers; all others are 200 with `answer` as JSON."""

    statuses: list[int]
    answer: Any
    url: str = ""
    received: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)

    async def next(self) -> Received:
        """The next request, once it is there."""
        async with asyncio.timeout(30):
            return await self.received.get()

    async def handle(self, request: web.Request) -> web.Response:
        await self.received.put(
            Received(request.path, dict(request.query), dict(request.headers), await request.read())
        )
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        return web.json_response(self.answer)


@asynccontextmanager
async def recording_server(statuses: Iterable[int] = (), answer: Any = None) -> AsyncIterator[RecordingServer]:
    server = RecordingServer(list(statuses), answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
