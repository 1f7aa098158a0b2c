"""One call within a process, from its beginning to its status: what `grpc.aio` does on a server, without a socket.

The sides share no objects: messages cross as bytes, the servicer runs in a task with an empty `contextvars` context.
"""

import asyncio
import contextvars
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
import grpc.aio

MetadataPairs = Sequence[tuple[str, str | bytes]]
if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    # Generic in the type stubs only.
    Handler = grpc.RpcMethodHandler
Resolve = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]

STREAM_BUFFER = 16
"""Messages that a stream's servicer may be ahead of its reader."""


def _pairs(metadata: Iterable[tuple[str, str | bytes]] | None) -> MetadataPairs:
    return tuple((str(k), v) for k, v in metadata) if metadata else ()


@dataclass(slots=True)
class CallDetails:
    """What interceptors see of a call (`grpc.HandlerCallDetails`)."""

    method: str
    invocation_metadata: Any


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Of single messages, serialized."""

    request_bytes: int
    response_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    code: grpc.StatusCode
    details: str = ""
    trailing: MetadataPairs = ()


class Exchange:
    """The state that both sides of a call work on; `status` is set once, whoever is first."""

    __slots__ = (
        "_callbacks",
        "_timer",
        "buffer",
        "changed",
        "context",
        "deadline",
        "details",
        "given_up",
        "initial",
        "limits",
        "loop",
        "request",
        "settled",
        "task",
    )

    def __init__(
        self,
        details: CallDetails,
        request: bytes,
        timeout: float | None,
        limits: SizeLimits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.details = details
        self.request = request
        self.limits = limits
        self.loop = loop
        self.settled: asyncio.Future[Status] = loop.create_future()
        self.buffer: deque[bytes] = deque()
        self.changed: asyncio.Future[None] | None = None
        self.initial: MetadataPairs = ()
        self.given_up = False
        self.deadline = None if timeout is None else loop.time() + timeout
        self._timer = None if timeout is None else loop.call_later(max(timeout, 0), self._expire)
        self._callbacks: list[Callable[[], None]] = []
        self.context = LocalContext(self)
        self.task: asyncio.Task[None] | None = None
        if timeout is not None and timeout <= 0:
            self._expire()

    def start(self, resolve: Resolve, *, streams: bool, tasks: set[asyncio.Task[None]]) -> None:
        if self.settled.done():
            return
        coroutine = _serve(self, resolve, streams)
        self.task = asyncio.Task(coroutine, loop=self.loop, context=contextvars.Context())
        tasks.add(self.task)
        self.task.add_done_callback(tasks.discard)

    def settle(self, status: Status) -> bool:
        if self.settled.done():
            return False
        self.settled.set_result(status)
        if self._timer is not None:
            self._timer.cancel()
        self.wake()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self.loop.call_soon(callback)
        return True

    def when_done(self, callback: Callable[[], None]) -> None:
        if self.settled.done():
            self.loop.call_soon(callback)
        else:
            self._callbacks.append(callback)

    def give_up(self, details: str) -> bool:
        """The client cancels."""
        if not self.settle(Status(grpc.StatusCode.CANCELLED, details)):
            return False
        self.given_up = True
        self._stop_serving()
        return True

    def _expire(self) -> None:
        if self.settle(Status(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")):
            self._stop_serving()

    def _stop_serving(self) -> None:
        self.buffer.clear()
        if self.task is not None:
            self.task.cancel()

    def wake(self) -> None:
        if self.changed is not None and not self.changed.done():
            self.changed.set_result(None)

    async def wait_for_change(self) -> None:
        if self.changed is None or self.changed.done():
            self.changed = self.loop.create_future()
        await asyncio.shield(self.changed)

    def time_remaining(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - self.loop.time())

    def too_large(self, message: bytes, limit: int) -> Status | None:
        if len(message) <= limit:
            return None
        text = f"Received message larger than max ({len(message)} vs. {limit})"
        return Status(grpc.StatusCode.RESOURCE_EXHAUSTED, text)

    async def put(self, message: bytes) -> None:
        while len(self.buffer) >= STREAM_BUFFER and not self.settled.done():
            await self.wait_for_change()
        if too_large := self.too_large(message, self.limits.response_bytes):
            self.settle(too_large)
        if self.settled.done():
            raise asyncio.CancelledError
        self.buffer.append(message)
        self.wake()


class LocalContext(grpc.aio.ServicerContext[Any, Any]):
    """The servicer's view of a call."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing: MetadataPairs = ()
        self.serialize: Callable[[Any], bytes] = bytes

    def status(self) -> Status:
        return Status(self._code, self._details, self._trailing)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, str | bytes]] = ()
    ) -> NoReturn:
        if code is grpc.StatusCode.OK:
            raise grpc.aio.UsageError("abort() needs a status other than OK")
        self._code, self._details = code, details
        self._trailing = _pairs(trailing_metadata) or self._trailing
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    async def read(self) -> Any:
        raise grpc.aio.UsageError("the request of this call is one message")

    async def write(self, message: Any) -> None:
        await self._exchange.put(self.serialize(message))

    async def send_initial_metadata(self, initial_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._exchange.initial = _pairs(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._trailing = _pairs(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing

    def invocation_metadata(self) -> Any:
        return self._exchange.details.invocation_metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def set_details(self, details: str) -> None:
        self._details = details

    def details(self) -> str:
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        del compression

    def disable_next_message_compression(self) -> None:
        pass

    def peer(self) -> str:
        return "local:"

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return {}

    def time_remaining(self) -> Any:
        return self._exchange.time_remaining()

    def cancelled(self) -> bool:
        settled = self._exchange.settled
        return settled.done() and settled.result().code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._exchange.settled.done()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._exchange.when_done(lambda: callback(self))


async def _serve(exchange: Exchange, resolve: Resolve, streams: bool) -> None:
    """The server's side from beginning to end; every way out settles the call."""
    context = exchange.context
    try:
        if too_large := exchange.too_large(exchange.request, exchange.limits.request_bytes):
            exchange.settle(too_large)
            return
        handler = await resolve(exchange.details)
        if handler is None or handler.request_streaming or handler.response_streaming is not streams:
            exchange.settle(Status(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
            return
        await (_serve_stream if streams else _serve_unary)(exchange, handler)
    except grpc.aio.AbortError:
        exchange.settle(context.status())
    except asyncio.CancelledError:
        exchange.settle(Status(grpc.StatusCode.CANCELLED, "the servicer was cancelled"))
    except Exception as error:
        code = grpc.StatusCode.UNKNOWN if context.code() is grpc.StatusCode.OK else context.code()
        exchange.settle(Status(code, f"Unexpected {type(error)}: {error}", context.trailing_metadata()))


def _request(exchange: Exchange, handler: Handler) -> Any:
    """As `grpc.aio` does it: bytes where the handler deserializes for itself."""
    return exchange.request if handler.request_deserializer is None else handler.request_deserializer(exchange.request)


async def _serve_unary(exchange: Exchange, handler: Handler) -> None:
    assert handler.unary_unary is not None
    answer: Any = handler.unary_unary(_request(exchange, handler), exchange.context)  # type: ignore[arg-type]
    response = await answer if inspect.isawaitable(answer) else answer
    status = exchange.context.status()
    if status.code is grpc.StatusCode.OK:
        message = response if handler.response_serializer is None else handler.response_serializer(response)
        status = exchange.too_large(message, exchange.limits.response_bytes) or status
        if not exchange.settled.done():
            exchange.buffer.append(message)
    exchange.settle(status)


async def _serve_stream(exchange: Exchange, handler: Handler) -> None:
    assert handler.unary_stream is not None
    exchange.context.serialize = serialize = handler.response_serializer or bytes
    answers: Any = handler.unary_stream(_request(exchange, handler), exchange.context)  # type: ignore[arg-type]
    if hasattr(answers, "__aiter__"):
        try:
            async for answer in answers:
                await exchange.put(serialize(answer))
        finally:
            await answers.aclose()
    elif asyncio.iscoroutine(answers):
        await answers
    exchange.settle(exchange.context.status())
