"""What an action server may do over gRPC, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from support.action_servers import a_request, free_port
from turnstream.action.action_server import ActionServerSettings
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.grpc_client import WEBHOOK, WEBHOOK_STREAM, GrpcActionServer
from turnstream.action.structs import to_struct
from turnstream.api.actionserver.v1 import action_server_pb2 as pb

Context = grpc.aio.ServicerContext[Any, Any]
Unary = Callable[[pb.WebhookRequest, Context], Awaitable[pb.WebhookResponse]]
Stream = Callable[[pb.WebhookRequest, Context], AsyncIterator[pb.WebhookStreamEvent]]


class Methods(grpc.GenericRpcHandler):
    """An action server of given methods; the one that is absent is unimplemented, as on older servers."""

    def __init__(self, unary: Unary | None, stream: Stream | None) -> None:
        decode = pb.WebhookRequest.FromString
        self.methods: dict[str, grpc.RpcMethodHandler] = {}
        if unary is not None:
            encode = pb.WebhookResponse.SerializeToString
            self.methods[WEBHOOK] = grpc.unary_unary_rpc_method_handler(unary, decode, encode)  # type: ignore[arg-type]
        if stream is not None:
            write = pb.WebhookStreamEvent.SerializeToString
            self.methods[WEBHOOK_STREAM] = grpc.unary_stream_rpc_method_handler(stream, decode, write)  # type: ignore[arg-type]

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self.methods.get(str(handler_call_details.method))


@asynccontextmanager
async def serving(
    unary: Unary | None = None, stream: Stream | None = None, **settings: Any
) -> AsyncIterator[GrpcActionServer]:
    server = grpc.aio.server(handlers=[Methods(unary, stream)])
    port = server.add_insecure_port(f"127.0.0.1:{settings.pop('port', 0)}")
    await server.start()
    client = GrpcActionServer(ActionServerSettings(f"grpc://127.0.0.1:{port}", **settings))
    try:
        yield client
    finally:
        await client.close()
        await server.stop(0)


def answering(**answer: Any) -> Unary:
    async def webhook(request: pb.WebhookRequest, context: Context) -> pb.WebhookResponse:
        return pb.WebhookResponse(**{key: [to_struct(item) for item in items] for key, items in answer.items()})

    return webhook


def refusing(code: grpc.StatusCode, details: str) -> Unary:
    async def webhook(request: pb.WebhookRequest, context: Context) -> pb.WebhookResponse:
        await context.abort(code, details)
        return pb.WebhookResponse()

    return webhook


def streaming(*events: pb.WebhookStreamEvent) -> Stream:
    async def webhook(request: pb.WebhookRequest, context: Context) -> AsyncIterator[pb.WebhookStreamEvent]:
        for event in events:
            yield event

    return webhook


async def failure_of(unary: Unary, **settings: Any) -> str:
    async with serving(unary, **settings) as client:
        with pytest.raises(ActionFailed) as caught:
            await client.call(a_request(), "")
    assert caught.value.action == "action_x"
    return caught.value.message


async def test_values_come_back_as_they_would_over_http() -> None:
    event = {"event": "slot", "name": "n", "value": [3, 2.5, None, True, {"a": "b"}]}
    async with serving(answering(events=[event], responses=[{"text": "hi"}])) as client:
        answer = await client.call(a_request(), "")
    assert answer.events == (event,)
    assert isinstance(answer.events[0]["value"][0], int)
    assert answer.responses == ({"text": "hi"},)


async def test_the_request_carries_the_tracker_the_key_and_the_headers() -> None:
    seen: dict[str, Any] = {}

    async def webhook(request: pb.WebhookRequest, context: Context) -> pb.WebhookResponse:
        seen.update(request=request, metadata=dict(context.invocation_metadata() or ()))
        return pb.WebhookResponse()

    async with serving(webhook, headers=(("X-Extra", "1"),)) as client:
        await client.call(a_request(slots={"city": "Köln"}, events=[{"event": "restart"}]), "turn-7")
    request = seen["request"]
    assert request.next_action == "action_x"
    assert request.tracker.sender_id == "ann"
    assert request.tracker.slots["city"] == "Köln"
    assert [e["event"] for e in request.tracker.events] == ["restart"]
    assert seen["metadata"]["idempotency-key"] == "turn-7:action_x"
    assert seen["metadata"]["x-extra"] == "1"


async def test_the_domain_is_sent_when_the_server_asks_for_it() -> None:
    had: list[bool] = []
    domain = {"intents": ["hi", {"bye": {"use_entities": []}}], "slots": {"city": {"type": "text"}}}

    async def webhook(request: pb.WebhookRequest, context: Context) -> pb.WebhookResponse:
        had.append(request.HasField("domain"))
        if not any(had):
            said = {"action_name": "action_x", "message": "no domain", "resource_type": "DOMAIN"}
            await context.abort(grpc.StatusCode.NOT_FOUND, json.dumps(said))
        if request.HasField("domain"):
            assert request.domain.intents[0].string_value == "hi"
            assert "bye" in request.domain.intents[1].dict_value
            assert request.domain.slots["city"]["type"] == "text"
        return pb.WebhookResponse()

    async with serving(webhook) as client:
        for _ in range(2):
            await client.call(a_request(domain=domain), "")
    assert had == [False, True, False]


async def test_pieces_of_a_text_are_one_message_before_those_of_the_result() -> None:
    def piece(**fields: Any) -> pb.WebhookStreamEvent:
        return pb.WebhookStreamEvent(chunk=pb.Chunk(response_id="1", **fields))

    start, end = pb.WebhookStreamEvent(chunk_start=pb.ChunkStart()), pb.WebhookStreamEvent(chunk_end=pb.ChunkEnd())
    result = pb.WebhookResponse(responses=[to_struct({"text": "last"})], events=[to_struct({"event": "pause"})])
    stream = streaming(
        *(start, piece(text="It "), piece(text="is "), piece(text="late."), end),
        *(start, piece(text="Look"), piece(text="at this", image="a.png"), piece(text="!"), end),
        pb.WebhookStreamEvent(final_result=result),
    )
    async with serving(stream=stream) as client:
        answer = await client.call(a_request(), "")
    assert answer.events == ({"event": "pause"},)
    assert answer.responses == (
        {"text": "It is late."},
        {"text": "Look"},
        {"text": "at this", "image": "a.png"},
        {"text": "!"},
        {"text": "last"},
    )


async def test_a_rejection_is_told_from_a_failure() -> None:
    said = json.dumps({"action_name": "action_x", "message": "not now"})
    async with serving(refusing(grpc.StatusCode.INTERNAL, said)) as client:
        with pytest.raises(ActionRejected, match="not now"):
            await client.call(a_request(), "")


@pytest.mark.parametrize(
    ("code", "details", "message"),
    [
        (grpc.StatusCode.NOT_FOUND, '{"resource_type": "ACTION", "message": "no action"}', "does not know it: no act"),
        (grpc.StatusCode.INTERNAL, "it broke", "status INTERNAL: it broke"),
        (grpc.StatusCode.UNKNOWN, "[1]", "status UNKNOWN: [1]"),
        (grpc.StatusCode.UNAVAILABLE, "going away", "broke off: going away"),
        (grpc.StatusCode.NOT_FOUND, '{"resource_type": "DOMAIN"}', "asks for the domain that it was sent"),
    ],
)
async def test_errors_say_what_came_back(code: grpc.StatusCode, details: str, message: str) -> None:
    assert message in await failure_of(refusing(code, details))


async def test_a_call_that_was_sent_is_not_repeated() -> None:
    calls = 0

    async def webhook(request: pb.WebhookRequest, context: Context) -> pb.WebhookResponse:
        nonlocal calls
        calls += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
        return pb.WebhookResponse()

    await failure_of(webhook)
    assert calls == 1


async def test_an_answer_that_comes_too_late_is_given_up() -> None:
    async def webhook(request: pb.WebhookRequest, context: Context) -> pb.WebhookResponse:
        await asyncio.Event().wait()
        return pb.WebhookResponse()

    assert "took longer than 0.2 s" in await failure_of(webhook, timeouts_s={"action_x": 0.2})


async def test_a_stream_that_is_too_large_is_not_read_to_its_end() -> None:
    ended = asyncio.Event()

    async def endless(request: pb.WebhookRequest, context: Context) -> AsyncIterator[pb.WebhookStreamEvent]:
        try:
            while True:
                yield pb.WebhookStreamEvent(chunk=pb.Chunk(text="x" * 600))
        finally:
            ended.set()

    async with serving(stream=endless, max_response_bytes=1000) as client:
        with pytest.raises(ActionFailed, match="larger than 1000 bytes"):
            await client.call(a_request(), "")
        await ended.wait()


async def test_a_number_that_the_protocol_cannot_say_fails_that_action_alone() -> None:
    async with serving(answering()) as client:
        with pytest.raises(ActionFailed, match="action_x: the tracker cannot be said over gRPC"):
            await client.call(a_request(slots={"n": 10**400}), "")
        assert (await client.call(a_request(slots={"n": 10}), "")).events == ()


async def test_a_server_that_is_down_is_named() -> None:
    port = free_port()
    client = GrpcActionServer(ActionServerSettings(f"grpc://127.0.0.1:{port}", connect_attempts=1))
    with pytest.raises(ActionFailed, match=rf"no action server answers at grpc://127.0.0.1:{port}"):
        await client.call(a_request(), "")
    await client.close()


async def test_a_server_that_comes_up_meanwhile_is_found() -> None:
    port = free_port()
    client = GrpcActionServer(ActionServerSettings(f"grpc://127.0.0.1:{port}", connect_attempts=1000))
    call = asyncio.create_task(client.call(a_request(), ""))
    await asyncio.sleep(0)
    async with serving(answering(), port=port):
        assert (await call).events == ()
    await client.close()
