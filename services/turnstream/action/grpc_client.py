"""Custom actions on an unchanged `rasa_sdk` action server over its gRPC protocol (`python -m rasa_sdk --grpc`).

Protocol: https://rasa.com/docs/reference/integrations/action-server/action-server-grpc-api.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
import grpc.aio

from turnstream.action.action_server import (
    PROTOCOL_VERSION,
    ActionAnswer,
    ActionRequest,
    ActionServerSettings,
    DomainWanted,
    WireDomain,
    answer_from,
    too_late,
    unreachable,
)
from turnstream.action.chunks import Chunks
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.structs import encoded_json, from_structs, to_struct
from turnstream.api.actionserver.v1 import action_server_pb2 as pb
from turnstream.dialogue.encoding import encoded_field, encoded_fields
from turnstream.runtime.channels import open_channel
from turnstream.runtime.security import ChannelSecurity
from turnstream.runtime.settings import ChannelSettings
from turnstream.runtime.tracing import span

WEBHOOK: Final = "/action_server_webhook.ActionService/Webhook"
WEBHOOK_STREAM: Final = "/action_server_webhook.ActionService/WebhookStream"
RECONNECT_S: Final = 0.25

Metadata = tuple[tuple[str, str], ...]


class GrpcActionServer:
    """One channel for all calls; `close` when done. Raises BadCertificate.

    The domain is sent when the server asks for it: servers that speak gRPC know domains by their digest.
    """

    def __init__(self, settings: ActionServerSettings) -> None:
        self._settings = settings
        tls = settings.tls
        self._channel = open_channel(
            settings.url.removeprefix("grpc://").rstrip("/"),
            ChannelSettings(max_message_bytes=settings.max_response_bytes, max_reconnect_s=RECONNECT_S),
            security=ChannelSecurity(tls.ca, tls.certificate, tls.key) if tls else None,
        )
        self._webhook: Any = self._channel.unary_unary(
            WEBHOOK, request_serializer=None, response_deserializer=pb.WebhookResponse.FromString
        )
        self._stream: Any = self._channel.unary_stream(
            WEBHOOK_STREAM, request_serializer=None, response_deserializer=pb.WebhookStreamEvent.FromString
        )
        self._server_streams = True
        self._domains: dict[str, bytes] = {}

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        action = request.action
        metadata = tuple((name.lower(), value) for name, value in self._settings.headers)
        if idempotency_key:
            metadata = (*metadata, ("idempotency-key", f"{idempotency_key}:{action}"))
        limit_s = self._settings.limit_s(action, asyncio.get_running_loop().time(), deadline)
        try:
            with span(f"action server {action}", "client"):
                async with asyncio.timeout(limit_s):
                    await self._connect(action)
                    return await self._ask(request, metadata)
        except TimeoutError as error:
            raise too_late(self._settings.url, action, limit_s) from error

    async def close(self) -> None:
        await self._channel.close()

    async def _connect(self, action: str) -> None:
        """Wait for a connection, as long as it is worth it: a call that was sent is never repeated."""
        patience_s = self._settings.connect_attempts * RECONNECT_S
        state = self._channel.get_state(try_to_connect=True)
        try:
            async with asyncio.timeout(patience_s):
                while state is not grpc.ChannelConnectivity.READY:
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state(try_to_connect=True)
        except TimeoutError as error:
            raise unreachable(self._settings.url, action) from error

    async def _ask(self, request: ActionRequest, metadata: Metadata) -> ActionAnswer:
        try:
            message = encoded_request(request)
        except (OverflowError, ValueError, TypeError) as error:
            raise ActionFailed(request.action, f"the tracker cannot be said over gRPC: {error}; use HTTP") from error
        try:
            return await self._run(request.action, message, metadata)
        except DomainWanted:
            message += encoded_field(pb.WebhookRequest.DOMAIN_FIELD_NUMBER, self._domain(request.domain))
        try:
            return await self._run(request.action, message, metadata)
        except DomainWanted as error:
            raise ActionFailed(request.action, "the action server asks for the domain that it was sent") from error

    async def _run(self, action: str, message: bytes, metadata: Metadata) -> ActionAnswer:
        try:
            if self._server_streams:
                try:
                    return await self._streamed(action, self._stream(message, metadata=metadata))
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                        raise
                    # An older server, which has no such method: nothing was run.
                    self._server_streams = False
            return _answer(action, await self._webhook(message, metadata=metadata))
        except grpc.aio.AioRpcError as error:
            raise _refusal(self._settings.url, action, error) from error

    async def _streamed(self, action: str, call: Any) -> ActionAnswer:
        """The answer with what was streamed as its first messages. Raises grpc.aio.AioRpcError, ActionFailed."""
        try:
            return await self._collect(action, call)
        finally:
            # One that was left before its end would go on.
            call.cancel()

    async def _collect(self, action: str, events: AsyncIterator[pb.WebhookStreamEvent]) -> ActionAnswer:
        chunks = Chunks()
        answer = ActionAnswer()
        failure = ""
        size = 0
        async for event in events:
            size += event.ByteSize()
            if size > self._settings.max_response_bytes:
                limit = self._settings.max_response_bytes
                raise ActionFailed(action, f"the action server's answer is larger than {limit} bytes")
            match event.WhichOneof("event"):
                case "chunk":
                    chunks.add(event.chunk)
                case "chunk_start" | "chunk_end":
                    chunks.end()
                case "final_result":
                    answer = _answer(action, event.final_result)
                case "error":
                    # The status, which ends the stream, says more.
                    failure = event.error.message
        if failure:
            raise ActionFailed(action, "the action server answered with an error", failure)
        return ActionAnswer(answer.events, (*chunks.messages(), *answer.responses))

    def _domain(self, domain: WireDomain) -> bytes:
        """Encoded once for each version of the assistant."""
        if domain.digest not in self._domains:
            self._domains[domain.digest] = domain_message(domain.content).SerializeToString()
        return self._domains[domain.digest]


def encoded_request(request: ActionRequest) -> bytes:
    """The request without the domain. The events are appended as they are kept: what is appended is merged into it."""
    events = encoded_fields(pb.Tracker.EVENTS_FIELD_NUMBER, [encoded_json(event) for event in request.events])
    message = _without_events(request).SerializeToString()
    return message + encoded_field(pb.WebhookRequest.TRACKER_FIELD_NUMBER, events)


def _without_events(request: ActionRequest) -> pb.WebhookRequest:
    tracker = request.tracker
    loop = tracker.get("active_loop") or {}
    active = {"name": loop["name"]} | ({"is_interrupted": "true"} if loop.get("is_interrupted") else {}) if loop else {}
    return pb.WebhookRequest(
        next_action=request.action,
        sender_id=tracker["sender_id"],
        version=PROTOCOL_VERSION,
        domain_digest=request.domain.digest,
        tracker=pb.Tracker(
            sender_id=tracker["sender_id"],
            slots=to_struct(tracker["slots"]),
            latest_message=to_struct(tracker["latest_message"]),
            paused=tracker["paused"],
            followup_action=tracker["followup_action"],
            active_loop=active,
            latest_action_name=tracker["latest_action_name"],
        ),
    )


def domain_message(content: Mapping[str, Any]) -> pb.Domain:
    """Texts of end-to-end stories are left out: the protocol has no place for them."""
    return pb.Domain(
        config=to_struct(content.get("config") or {}),
        session_config=to_struct(content.get("session_config") or {}),
        intents=[_item(i) for i in content.get("intents") or ()],
        entities=[_item(e) for e in content.get("entities") or ()],
        slots=to_struct(content.get("slots") or {}),
        responses=to_struct(content.get("responses") or {}),
        actions=[_item(a) for a in content.get("actions") or ()],
        forms=to_struct(content.get("forms") or {}),
    )


def _item(item: Any) -> pb.Item:
    if isinstance(item, Mapping):
        return pb.Item(dict_value=to_struct(item))
    return pb.Item(string_value=str(item))


def _answer(action: str, response: pb.WebhookResponse) -> ActionAnswer:
    return answer_from(action, {"events": from_structs(response.events), "responses": from_structs(response.responses)})


def _refusal(url: str, action: str, error: grpc.aio.AioRpcError) -> Exception:
    code, details = error.code(), error.details() or ""
    said = _json_object(details)
    if code is grpc.StatusCode.NOT_FOUND and said.get("resource_type") == "DOMAIN":
        return DomainWanted()
    if code is grpc.StatusCode.NOT_FOUND:
        return ActionFailed(action, "the action server does not know it", str(said.get("message") or details))
    if code is grpc.StatusCode.INTERNAL and "action_name" in said:
        return ActionRejected(str(said["action_name"]), str(said.get("message", "")))
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimeoutError()
    if code is grpc.StatusCode.UNAVAILABLE:
        return ActionFailed(action, f"the action server at {url} broke off: {details}")
    return ActionFailed(action, f"the action server answered with status {code.name}", details)


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
