"""Tokens and limits at the gRPC door, as at REST's, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import jwt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.gateway import Behind, running_gateway
from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.runtime.channels import open_channel
from turnstream.runtime.errors import Forbidden, TooManyRequests, Unauthenticated, typed_errors

SECRET = "s" * 32
HI = pb.SendMessageRequest(conversation_id="ada", text="hi")


@asynccontextmanager
async def door(**settings: Any) -> AsyncIterator[tuple[Behind, Any]]:
    async with running_gateway(**settings) as behind, open_channel(behind.grpc.address) as channel:
        yield behind, ConversationsStub(channel)


def bearer(role: str, username: str, secret: str = SECRET) -> tuple[tuple[str, str], ...]:
    payload = {"user": {"username": username, "role": role}}
    return (("authorization", f"Bearer {jwt.encode(payload, secret, algorithm='HS256')}"),)


async def test_without_tokens_everybody_may() -> None:
    async with door() as (_, stub):
        assert (await stub.SendMessage(HI)).turn.number == 1


async def test_a_token_is_needed_where_one_is_set() -> None:
    async with door(auth_token="geheim") as (behind, stub):
        for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", "geheim"),)):
            with pytest.raises(Unauthenticated, match="not authenticated"), typed_errors():
                await stub.SendMessage(HI, metadata=metadata)
        assert not behind.log.accepted
        assert (await stub.SendMessage(HI, metadata=(("authorization", "Bearer geheim"),))).turn.number == 1


async def test_a_user_may_do_what_concerns_their_own_conversation() -> None:
    bob = pb.GetTrackerRequest(conversation_id="bob")
    async with door(jwt_secret=SECRET) as (behind, stub):
        assert (await stub.SendMessage(HI, metadata=bearer("user", "ada"))).turn.number == 1
        with pytest.raises(Forbidden, match="insufficient permissions"), typed_errors():
            await stub.GetTracker(bob, metadata=bearer("user", "ada"))
        with pytest.raises(Forbidden), typed_errors():
            await stub.GetTracker(bob, metadata=bearer("guest", "bob"))
        with pytest.raises(Unauthenticated), typed_errors():
            await stub.GetTracker(bob, metadata=bearer("admin", "x", "t" * 32))
        assert (await stub.GetTracker(bob, metadata=bearer("admin", "x"))).tracker.conversation_id == "bob"
        assert len(behind.log.accepted) == 1


async def test_streams_are_guarded_too() -> None:
    async with door(jwt_secret=SECRET) as (behind, stub):
        for call in (
            stub.StreamMessage(pb.StreamMessageRequest(conversation_id="ada", text="hi")),
            stub.Subscribe(pb.SubscribeRequest(conversation_id="ada"), metadata=bearer("user", "bob")),
        ):
            with pytest.raises((Unauthenticated, Forbidden)), typed_errors():
                await call.read()
        assert not behind.log.accepted
        request = pb.StreamMessageRequest(conversation_id="ada", text="hi")
        parts = [part async for part in stub.StreamMessage(request, metadata=bearer("user", "ada"))]
        assert parts[-1].turn.number == 1


async def test_health_needs_no_token() -> None:
    async with running_gateway(auth_token="geheim") as behind, open_channel(behind.grpc.address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_too_many_requests_are_told_when_to_come_again() -> None:
    async with door(rate_per_second=0.5, rate_burst=2) as (behind, stub):
        await stub.SendMessage(HI)
        await stub.SendMessage(HI)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SendMessage(HI)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 0 < int(caught.value.trailing_metadata()["grpc-retry-pushback-ms"]) <= 2000
        assert len(behind.log.accepted) == 2


async def test_streams_of_one_client_are_limited_and_others_are_not_slower() -> None:
    request = pb.SubscribeRequest(conversation_id="ada")
    async with door(max_calls_per_client=20, proxies=1) as (_, stub):
        streams = [stub.Subscribe(request, metadata=(("x-forwarded-for", "10.0.0.1"),)) for _ in range(50)]
        # Which of them come first at the server is not said.
        reads = {asyncio.ensure_future(stream.read()) for stream in streams}
        refused: set[asyncio.Future[Any]] = set()
        while len(refused) < 30:
            done, _ = await asyncio.wait(reads - refused, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        for read in refused:
            with pytest.raises(TooManyRequests), typed_errors():
                read.result()
        assert (await stub.SendMessage(HI, metadata=(("x-forwarded-for", "10.0.0.2"),))).turn.number == 1
        assert {response.turn.number for response in await asyncio.gather(*(reads - refused))} == {1}
        for stream in streams:
            stream.cancel()
