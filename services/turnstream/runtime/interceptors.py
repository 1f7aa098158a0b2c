"""What stands before every servicer: exceptions become a gRPC status here, and calls are observed."""

import asyncio
import contextlib
import inspect
import logging
import math
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from turnstream.runtime.errors import ERROR_ID_KEY, ERROR_KEY, InvalidRequest, TooManyRequests, TurnstreamError
from turnstream.runtime.incoming import UNOBSERVED, Answering

_LOG = logging.getLogger(__name__)
PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""Milliseconds until a retry (https://github.com/grpc/proposal/blob/master/A6-client-retries.md)."""

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]
Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[..., Any]
Deserializer = Callable[[bytes], Any]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps `TurnstreamError` to its status; anything unexpected to INTERNAL with an id, logged here with its trace.

    What was aborted by the servicer itself, and cancellation, pass through as they are. Each call is counted and timed,
    and what it calls in turn knows its deadline and its trace (`runtime.incoming`).
    """

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_streaming or method.startswith(UNOBSERVED):
            return handler
        # Deserialized here and not by gRPC, so that bytes which are no such message are the client's error.
        read: Deserializer = handler.request_deserializer or bytes
        if handler.response_streaming:
            stream = _guard_stream(handler.unary_stream, read, method)
            return grpc.unary_stream_rpc_method_handler(stream, response_serializer=handler.response_serializer)
        unary = _guard_unary(handler.unary_unary, read, method)
        return grpc.unary_unary_rpc_method_handler(unary, response_serializer=handler.response_serializer)


def _parsed(read: Deserializer, request: bytes) -> Any:
    try:
        return read(request)
    except DecodeError as error:
        raise InvalidRequest(f"the request cannot be read: {error}") from error


def _guard_unary(behaviour: Behaviour | None, read: Deserializer, method: str) -> Behaviour:
    assert behaviour is not None

    async def guarded(request: bytes, context: Context) -> Any:
        with Answering(method, context):
            try:
                answer = behaviour(_parsed(read, request), context)
                return await answer if inspect.isawaitable(answer) else answer
            except (asyncio.CancelledError, grpc.aio.AbortError):
                raise
            except Exception as error:
                await abort_with(error, context, method)

    return guarded


def _guard_stream(behaviour: Behaviour | None, read: Deserializer, method: str) -> Behaviour:
    assert behaviour is not None
    if not inspect.isasyncgenfunction(behaviour):
        # A coroutine that writes to the context, or a generated default that raises.
        return _guard_unary(behaviour, read, method)

    async def guarded(request: bytes, context: Context) -> AsyncIterator[Any]:
        with Answering(method, context):
            try:
                async with contextlib.aclosing(behaviour(_parsed(read, request), context)) as answers:
                    async for answer in answers:
                        yield answer
            except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
                raise
            except Exception as error:
                await abort_with(error, context, method)

    return guarded


async def abort_with(error: Exception, context: Context, method: str) -> NoReturn:
    """End the call with the status of `error`; always raises."""
    if isinstance(error, TurnstreamError):
        metadata = [(ERROR_KEY, type(error).__name__), (ERROR_ID_KEY, getattr(error, "error_id", ""))]
        if isinstance(error, TooManyRequests):
            metadata.append((PUSHBACK_KEY, str(math.ceil(error.retry_after_s * 1000))))
        await context.abort(error.status, error.message, tuple(metadata))
    if isinstance(error, NotImplementedError):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not implemented here")
    error_id = uuid.uuid4().hex[:12]
    _LOG.error("unexpected error %s in %s", error_id, method, exc_info=error)
    details = f"internal error {error_id}: the server's log says more"
    await context.abort(grpc.StatusCode.INTERNAL, details, ((ERROR_KEY, "InternalError"), (ERROR_ID_KEY, error_id)))
