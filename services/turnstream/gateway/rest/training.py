"""`/model/train` and `/model/test/...`: what takes minutes, done beside the gateway."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from turnstream.gateway.access import Access
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.posting import post
from turnstream.gateway.rest.bodies import answer, query_flag, query_integer, read_bytes
from turnstream.gateway.rest.errors import BadField, failure_of
from turnstream.gateway.rest.webhook import Route
from turnstream.gateway.workshop import Done, Order, Workshop
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest

logger = logging.getLogger(__name__)

DEFAULT_AUGMENTATION = 50
MAX_AUGMENTATION = 1000
MAX_FOLDS = 100
JSON = "application/json"
ARCHIVE = "application/gzip"
CHUNK_BYTES = 256 * 1024
Body = tuple[bytes, dict[str, str]]
"""What an answer holds, and its headers."""


class TrainingRoutes:
    """Where the answer goes to a `callback_url`, the request itself is answered at once."""

    def __init__(self, workshop: Workshop, bundles: Bundles[LoadedGateway]) -> None:
        self._workshop = workshop
        self._bundles = bundles
        self._calls: set[asyncio.Task[None]] = set()

    def routes(self) -> Iterable[Route]:
        return (
            ("POST", "/model/train", self.train, Access.ADMIN),
            ("POST", "/model/test/stories", self.test_stories, Access.ADMIN),
            ("POST", "/model/test/intents", self.test_intents, Access.ADMIN),
        )

    async def close(self, app: web.Application) -> None:
        """Whoever waits for a call gets none: the gateway ends."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._workshop.close()

    async def train(self, request: web.Request) -> web.StreamResponse:
        """The bundle as `.tar.gz`. `save_to_default_model_directory` (true) keeps it on the server too."""
        options = {
            "keep": query_flag(request, "save_to_default_model_directory", missing=True),
            "models": str(self._workshop.models.resolve()),
            "force": query_flag(request, "force_training"),
            "augmentation": query_integer(request, "augmentation", 0, MAX_AUGMENTATION, DEFAULT_AUGMENTATION),
        }
        order = Order("train", await _body(request, "train your model"), options)
        if url := _callback(request):
            return self._call_back(url, lambda: self._packed(order))
        async with self._done(order) as done:
            return await _sent(request, done.folder / done.value["archive"])

    async def test_stories(self, request: web.Request) -> web.StreamResponse:
        """Test stories against the assistant that serves; with `e2e` its NLU is tested too."""
        options = {"e2e": query_flag(request, "e2e"), "model": self._bundles.get().model_file}
        return await self._tested(request, Order("stories", await _body(request, "test your model"), options))

    async def test_intents(self, request: web.Request) -> web.StreamResponse:
        """NLU data against the assistant that serves, or `model`; or cross-validation of the data by its config."""
        folds = query_integer(request, "cross_validation_folds", 2, MAX_FOLDS, 0)
        is_json = request.content_type == JSON
        if folds and is_json:
            raise BadField("Cross-validation needs a body in YAML, with a pipeline.", "cross_validation_folds", "query")
        # Only what is to be tested must be there: cross-validation trains its own.
        model = "" if folds else request.query.get("model") or self._bundles.get().model_file
        options = {"folds": folds, "is_json": is_json, "model": model}
        return await self._tested(request, Order("intents", await _body(request, "test your model"), options))

    async def _tested(self, request: web.Request, order: Order) -> web.StreamResponse:
        if url := _callback(request):
            return self._call_back(url, lambda: self._value(order))
        async with self._done(order) as done:
            return answer(done.value)

    @asynccontextmanager
    async def _done(self, order: Order) -> AsyncIterator[Done]:
        try:
            async with self._workshop.job(order) as done:
                yield done
        except InvalidRequest as error:
            raise BadField(error.message, "") from error

    async def _packed(self, order: Order) -> Body:
        async with self._done(order) as done:
            archive = done.folder / done.value["archive"]
            return await asyncio.to_thread(archive.read_bytes), _archive_headers(archive.name)

    async def _value(self, order: Order) -> Body:
        async with self._done(order) as done:
            return _text(answer(done.value))

    def _call_back(self, url: str, work: Callable[[], Awaitable[Body]]) -> web.Response:
        call = asyncio.create_task(_called_back(url, work))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return web.Response(status=204)


async def _called_back(url: str, work: Callable[[], Awaitable[Body]]) -> None:
    """Failures go to the client as well, in the shape of error bodies."""
    try:
        body, headers = await work()
    except Exception as error:
        body, headers = _text(failure_of(error))
    try:
        async with aiohttp.ClientSession() as session:
            await post(session, url, body, headers)
    except (aiohttp.ClientError, TimeoutError) as error:
        logger.error("the result cannot be brought to %s: %r", url, error)


async def _sent(request: web.Request, archive: Path) -> web.StreamResponse:
    """Sent from within the job, after which the file is gone; a bundle may be larger than memory allows."""
    response = web.StreamResponse(headers=_archive_headers(archive.name))
    response.content_length = (await asyncio.to_thread(archive.stat)).st_size
    await response.prepare(request)
    with archive.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            await response.write(chunk)
    await response.write_eof()
    return response


def _text(response: web.Response) -> Body:
    return (response.text or "").encode(), {"Content-Type": JSON}


def _archive_headers(name: str) -> dict[str, str]:
    """`filename` is the header that Rasa's clients read."""
    return {"Content-Type": ARCHIVE, "Content-Disposition": f'attachment; filename="{name}"', "filename": name}


async def _body(request: web.Request, purpose: str) -> bytes:
    body = await read_bytes(request)
    if not body.strip():
        raise BadField(f"You must provide training data in the request body in order to {purpose}.", "")
    return body


def _callback(request: web.Request) -> str:
    url = request.query.get("callback_url", "")
    if url and not url.startswith(("http://", "https://")):
        raise BadField("'callback_url' must begin with http:// or https://", "callback_url", "query")
    return url
