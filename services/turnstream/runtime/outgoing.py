"""A channel whose calls carry the trace and the caller's deadline with them, and are counted."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from turnstream.runtime.deadlines import bounded
from turnstream.runtime.metrics import CLIENT_CALLS
from turnstream.runtime.tracing import TRACEPARENT, OpenSpan, current_traceparent, start_span

Pairs = Iterable[tuple[str, str | bytes]]
Opener = Callable[..., Any]


class _Method:
    """One method of a channel: called as `grpc.aio`'s own multi-callables are."""

    __slots__ = ("_call", "_method")

    def __init__(self, method: str, call: Opener) -> None:
        self._method = method
        self._call = call

    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Pairs | None = None, **options: Any
    ) -> Any:
        method = self._method
        span = start_span(method[1:], "client")
        traceparent = span.traceparent if span else current_traceparent()
        if traceparent:
            metadata = (*(metadata or ()), (TRACEPARENT, traceparent))
        started = CLIENT_CALLS.begin(method)
        call = self._call(request, timeout=bounded(timeout), metadata=metadata, **options)
        call.add_done_callback(lambda done: _end(done, method, span, started))
        return call


def _end(call: Any, method: str, span: OpenSpan | None, started: float) -> None:
    code = _code_of_ended(call).name
    CLIENT_CALLS.end(method, code, started)
    if span is not None:
        span.end("" if code == "OK" else code)


def _code_of_ended(call: Any) -> grpc.StatusCode:
    """`call.code()` is a coroutine; of a call that has ended it answers without waiting."""
    asked = call.code()
    try:
        asked.send(None)
    except StopIteration as answered:
        code: grpc.StatusCode = answered.value
        return code
    asked.close()
    return grpc.StatusCode.UNKNOWN


class ObservedChannel(grpc.aio.Channel):
    """`inner` may be a socket, a pipe, or the same process."""

    def __init__(self, inner: grpc.aio.Channel) -> None:
        self._inner = inner

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _Method(method, self._inner.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return _Method(method, self._inner.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._inner.stream_unary(method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._inner.stream_stream(method, *args, **kwargs)

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()

    async def __aenter__(self) -> "ObservedChannel":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
