"""How a process ends: not ready at once, no new calls after a delay, answers to whoever waits, all within its time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.gateway import echo
from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub, add_ConversationsServicer_to_server
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.cli.doors import open_doors
from turnstream.gateway.conversations import ConversationsService
from turnstream.gateway.door import Door
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.gateway.rest.app import build_app
from turnstream.gateway.rest.listening import RestServer
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.channels import open_channel
from turnstream.runtime.readiness import Need
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import ChannelSettings, GatewaySettings, GrpcSettings
from turnstream.testing.scripted_turnlog import ScriptedTurnLog

WEBHOOK = "/webhooks/rest/webhook"
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Gateway:
    """A gateway behind doors that close when `end` is called."""

    log: ScriptedTurnLog
    server: GrpcServer
    rest: RestServer
    leaving: AsyncExitStack
    health: Any

    async def status(self, name: str) -> Any:
        return (await self.health.Check(health_pb2.HealthCheckRequest(service=name))).status

    def end(self) -> "asyncio.Task[None]":
        return asyncio.create_task(self.leaving.aclose())

    async def until_accepted(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.log.accepted) < number:  # noqa: ASYNC110 (it arrives by a socket)
                await asyncio.sleep(0)

    async def until_retired(self) -> None:
        async with asyncio.timeout(10):
            while await self.status("ready") != NOT_SERVING:  # noqa: ASYNC110 (it is asked over a socket)
                await asyncio.sleep(0)

    async def until_closed(self) -> None:
        """A client that comes in the very moment may be cut off; the next ones find nobody."""
        async with asyncio.timeout(10):
            while True:
                try:
                    await post(self.rest.url, "hi")
                except aiohttp.ClientConnectorError:
                    return
                except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                    continue


@asynccontextmanager
async def gateway(needs: Mapping[str, Need] | None = None, **settings: Any) -> AsyncIterator[Gateway]:
    log = ScriptedTurnLog(echo)
    door = Door(log, None)
    bundles: Bundles[LoadedGateway] = Bundles({"7": LoadedGateway("7")})
    rest_settings = GatewaySettings(port=0)
    app = build_app(door, bundles, Parser(None, None, bundles, max_bytes=1000), rest_settings)
    rest = RestServer(app, rest_settings)
    grpc_settings = GrpcSettings(health_port=0, **settings)
    server = GrpcServer([Service(ConversationsService(door), add_ConversationsServicer_to_server)], grpc_settings)
    async with AsyncExitStack() as leaving:
        doors = open_doors(
            [server], rest, needs=needs or {}, settings=grpc_settings, closing=door.close, hands_over=False
        )
        await leaving.enter_async_context(doors)
        async with open_channel(f"127.0.0.1:{server.health_port}") as channel:
            yield Gateway(log, server, rest, leaving, health_pb2_grpc.HealthStub(channel))


async def post(url: str, text: str) -> list[str]:
    body = {"sender": "ada", "message": text, "message_id": text}
    async with aiohttp.ClientSession(url) as http, http.post(WEBHOOK, json=body) as response:
        return [reply["text"] for reply in await response.json()]


async def test_ready_as_soon_as_its_needs_are_met() -> None:
    missing = "Kafka does not answer"

    async def log() -> str:
        return missing

    async with gateway({"turn log": log}) as behind:
        assert (await behind.status("ready"), await behind.status("")) == (NOT_SERVING, SERVING)
        assert await behind.status("turnstream.api.v1.Conversations") == NOT_SERVING
        missing = ""
        async with asyncio.timeout(20):
            while await behind.status("ready") != SERVING:  # noqa: ASYNC110 (it is asked over a socket)
                await asyncio.sleep(0.05)
        assert await behind.status("turnstream.api.v1.Conversations") == SERVING


async def test_who_waits_for_a_turn_at_the_end_gets_the_answer() -> None:
    async with gateway(drain_timeout_s=20) as behind, open_channel(behind.server.address) as channel:
        by_rest = asyncio.create_task(post(behind.rest.url, "silence"))
        request = pb.SendMessageRequest(conversation_id="bob", text="silence", message_id="m")
        by_grpc = ConversationsStub(channel).SendMessage(request)
        await behind.until_accepted(2)
        ending = behind.end()
        await behind.until_closed()
        assert (await behind.status("ready"), await behind.status("")) == (NOT_SERVING, SERVING)
        await behind.log.commit("ada", "silence", TurnRecord(replies=[pb.Reply(text="to ada")]))
        await behind.log.commit("bob", "m", TurnRecord(replies=[pb.Reply(text="to bob")]))
        assert await by_rest == ["to ada"]
        assert (await by_grpc).turn.replies[0].text == "to bob"
        await asyncio.wait_for(ending, 20)


async def test_calls_are_taken_while_clients_hear_of_the_end() -> None:
    async with gateway(drain_timeout_s=20, drain_delay_s=3) as behind:
        ending = behind.end()
        await behind.until_retired()
        assert await post(behind.rest.url, "hi") == ["rest: hi"]
        await asyncio.wait_for(ending, 20)
        with pytest.raises(aiohttp.ClientConnectorError):
            await post(behind.rest.url, "again")


async def test_who_waits_too_long_is_told_and_the_process_ends() -> None:
    settings = ChannelSettings(max_attempts=1)
    async with gateway(drain_timeout_s=0.2) as behind, open_channel(behind.server.address, settings) as channel:
        request = pb.SendMessageRequest(conversation_id="bob", text="silence", message_id="m")
        call = ConversationsStub(channel).SendMessage(request)
        await behind.until_accepted(1)
        await asyncio.wait_for(behind.end(), 20)
        assert await call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def test_a_subscription_does_not_hold_up_the_end() -> None:
    async with gateway(drain_timeout_s=600) as behind, open_channel(behind.server.address) as channel:
        stream = ConversationsStub(channel).Subscribe(pb.SubscribeRequest(conversation_id="ada"))
        await post(behind.rest.url, "hi")
        assert (await stream.read()).turn.number == 1
        await asyncio.wait_for(behind.end(), 20)
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE
