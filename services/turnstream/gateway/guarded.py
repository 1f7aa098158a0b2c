"""What stands before the public gRPC door: limits, then tokens. Its place is behind `ErrorInterceptor`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio

from turnstream.gateway.access import Access, Guard
from turnstream.gateway.limits import Limits, client_of
from turnstream.runtime.incoming import UNOBSERVED

CONVERSATIONS = "/turnstream.api.v1.Conversations/"
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]


class DoorInterceptor(grpc.aio.ServerInterceptor):
    """Conversations are for admins and for their owner; another service that shares the port, for admins alone."""

    def __init__(self, guard: Guard, limits: Limits, proxies: int = 0) -> None:
        self._guard = guard
        self._limits = limits
        self._proxies = proxies

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_streaming or method.startswith(UNOBSERVED):
            return handler
        access = Access.CONVERSATION if method.startswith(CONVERSATIONS) else Access.ADMIN
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler.unary_stream, access), handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler.unary_unary, access), handler.request_deserializer, handler.response_serializer
        )

    def _unary(self, behaviour: Any, access: Access) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            with self._limits.admitted(self._client(context)):
                self._check(request, context, access)
                return await behaviour(request, context)

        return guarded

    def _stream(self, behaviour: Any, access: Access) -> Any:
        async def guarded(request: Any, context: Any) -> AsyncIterator[Any]:
            with self._limits.admitted(self._client(context)):
                self._check(request, context, access)
                async with aclosing(behaviour(request, context)) as answers:
                    async for answer in answers:
                        yield answer

        return guarded

    def _check(self, request: Any, context: Any, access: Access) -> None:
        conversation_id = getattr(request, "conversation_id", None)
        self._guard.check(access, authorization=_first(context, "authorization"), conversation_id=conversation_id)

    def _client(self, context: Any) -> str:
        # `ipv4:1.2.3.4:50`: a client is its host, whatever port it calls from.
        address = context.peer().partition(":")[2].rpartition(":")[0]
        forwarded_for = _first(context, "x-forwarded-for") if self._proxies else None
        return client_of(address, forwarded_for or "", self._proxies)


def _first(context: Any, key: str) -> str | None:
    for name, value in context.invocation_metadata() or ():
        if name == key:
            return value if isinstance(value, str) else None
    return None
