"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

A stream ends with its client, or with the gateway: the browser comes again by itself, and says what it has already.
What is not sent yet waits at its source: one event at a time is taken from there.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from turnstream.gateway.rest.bodies import query_integer
from turnstream.gateway.rest.errors import BadField, dumps
from turnstream.runtime.errors import TurnstreamError

logger = logging.getLogger(__name__)

CLOSING = web.AppKey("closing", asyncio.Event)
"""Set when the server ends."""
LAST_EVENT_ID = "Last-Event-ID"
HEARTBEAT_S = 15.0
LOOK_S = 1.0
"""How often it is looked whether the client is still there."""
RETRY_MS = 1000
MOST_TURNS = 999_999_999


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """`number` is what a client that comes again names as the last one that it had."""

    kind: str
    data: Any
    number: int | None = None

    def encoded(self) -> bytes:
        head = "" if self.number is None else f"id: {self.number}\n"
        return f"{head}event: {self.kind}\ndata: {dumps(self.data)}\n\n".encode()


def install(app: web.Application) -> None:
    """Streams end when the application shuts down."""
    app[CLOSING] = asyncio.Event()

    async def close(app: web.Application) -> None:
        app[CLOSING].set()

    app.on_shutdown.append(close)


def first_turn(request: web.Request) -> int:
    """The turn to begin with: after the last one that the client had, or `from`. Raises BadField."""
    last = request.headers.get(LAST_EVENT_ID)
    if last is None or not last:
        return query_integer(request, "from", 0, MOST_TURNS, 1)
    if not (last.isascii() and last.isdecimal()) or len(last) > 9:
        raise BadField(f"'{LAST_EVENT_ID}' must be the number of a turn, not {last!r}", LAST_EVENT_ID, "header")
    return int(last) + 1


async def sent(request: web.Request, events: AsyncIterator[ServerEvent]) -> web.StreamResponse:
    """Send them until they end, the client goes, or the server ends."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    sending = asyncio.create_task(_send(request, response, events))
    closing = asyncio.create_task(request.app[CLOSING].wait())
    try:
        await asyncio.wait({sending, closing}, return_when=asyncio.FIRST_COMPLETED)
        # A client that has gone is how most streams end.
        with suppress(ConnectionError):
            if sending.done():
                sending.result()
    finally:
        for task in (sending, closing):
            task.cancel()
        await asyncio.gather(sending, closing, return_exceptions=True)
    if request.transport is not None and request.transport.get_write_buffer_size():
        # The end could not be told to a client that takes nothing, and the server would wait for it.
        request.transport.abort()
    return response


async def _send(request: web.Request, response: web.StreamResponse, events: AsyncIterator[ServerEvent]) -> None:
    """Raises ConnectionError where the client has gone."""
    loop = asyncio.get_running_loop()
    await response.write(f"retry: {RETRY_MS}\n\n".encode())
    async with aclosing(events) as source:  # type: ignore[type-var]
        heard = loop.time()
        following = asyncio.ensure_future(anext(source, None))
        try:
            while True:
                await asyncio.wait({following}, timeout=LOOK_S)
                if request.transport is None or request.transport.is_closing():
                    raise ConnectionResetError("the client has gone")
                if following.done():
                    event = following.result()
                    if event is None:
                        return
                    await response.write(event.encoded())
                    following = asyncio.ensure_future(anext(source, None))
                elif loop.time() - heard < HEARTBEAT_S:
                    continue
                else:
                    await response.write(b":\n\n")
                heard = loop.time()
        except TurnstreamError as error:
            logger.info("a stream of events ends: %s", error.message)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
