"""What is known of a call that is being answered: its time, its trace, and how it ends."""

import asyncio
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from turnstream.runtime.deadlines import enter_deadline
from turnstream.runtime.metrics import SERVER_CALLS
from turnstream.runtime.tracing import TRACEPARENT, enter_trace, start_span, valid

UNOBSERVED = ("/grpc.health.v1.", "/grpc.reflection.")
"""Beginnings of methods that no caller of ours waits for."""


class Answering:
    """`with Answering(method, context):` around a servicer. The task must be the call's own, as gRPC's are."""

    __slots__ = ("_context", "_method", "_span", "_started")

    def __init__(self, method: str, context: Any) -> None:
        self._method = method
        self._context = context

    def __enter__(self) -> None:
        self._started = SERVER_CALLS.begin(self._method)
        enter_deadline(self._context.time_remaining())
        parent = _parent(self._context)
        self._span = start_span(self._method[1:], "server", parent)
        enter_trace(self._span.traceparent if self._span else parent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = self._code(error)
        SERVER_CALLS.end(self._method, code, self._started)
        if self._span is not None:
            self._span.end("" if code == "OK" else code)

    def _code(self, error: BaseException | None) -> str:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            late = self._context.time_remaining() == 0
            return "DEADLINE_EXCEEDED" if late else "CANCELLED"
        code: grpc.StatusCode | None = self._context.code()
        if code is not None:
            return code.name
        return "OK" if error is None else "UNKNOWN"


def _parent(context: Any) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == TRACEPARENT:
            return valid(value) if isinstance(value, str) else ""
    return ""
