import asyncio
import os
import signal
import socket
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from turnstream.api.v1 import nlu_pb2
from turnstream.api.v1.nlu_pb2_grpc import NluServicer, NluStub, add_NluServicer_to_server
from turnstream.runtime.channels import IDEMPOTENT, open_channel, service_config
from turnstream.runtime.errors import Unavailable, typed_errors
from turnstream.runtime.server import GrpcServer, PortTaken, serve_until_stopped, stop_on_signals
from turnstream.runtime.services import Service
from turnstream.runtime.settings import ChannelSettings, GrpcSettings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class SlowNlu(NluServicer):
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    async def Parse(self, request: nlu_pb2.ParseRequest, context: Any) -> nlu_pb2.ParseResponse:
        self.started.set()
        await self.go_on.wait()
        return nlu_pb2.ParseResponse(bundle_version="1")


def serve(nlu: NluServicer, settings: GrpcSettings | None = None) -> GrpcServer:
    return GrpcServer([Service(nlu, add_NluServicer_to_server)], settings)


async def health_of(channel: grpc.aio.Channel, name: str) -> Any:
    return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))).status


async def test_health_names_the_server_and_each_service() -> None:
    async with serve(SlowNlu()) as server, open_channel(server.address) as channel:
        assert await health_of(channel, "") == SERVING
        assert await health_of(channel, "turnstream.api.v1.Nlu") == SERVING
        await server.set_ready(False)
        assert await health_of(channel, "turnstream.api.v1.Nlu") == NOT_SERVING


async def test_reflection_lists_services() -> None:
    async with serve(SlowNlu()) as server, open_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        await call.done_writing()
        names = {s.name for s in answer.list_services_response.service}
        assert {"turnstream.api.v1.Nlu", "grpc.health.v1.Health"} <= names


async def test_taken_port_is_named_with_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} on 127\.0\.0\.1 is taken.*choose another"):
            await serve(SlowNlu(), GrpcSettings(port=port)).start()


async def test_two_servers_never_share_a_port() -> None:
    async with serve(SlowNlu()) as first:
        with pytest.raises(PortTaken):
            await serve(SlowNlu(), GrpcSettings(port=first.port)).start()


async def test_drain_lets_calls_finish_and_takes_no_new_ones() -> None:
    nlu = SlowNlu()
    server = serve(nlu)
    await server.start()
    async with open_channel(server.address, ChannelSettings(max_attempts=1)) as channel:
        call = NluStub(channel).Parse(nlu_pb2.ParseRequest(text="hello"))
        await nlu.started.wait()
        draining = asyncio.create_task(server.drain(grace_s=10))
        await server.stopping.wait()
        nlu.go_on.set()
        assert (await call).bundle_version == "1"
        await draining
        with pytest.raises(Unavailable), typed_errors("nlu"):
            await NluStub(channel).Parse(nlu_pb2.ParseRequest(text="hello"))


async def test_sigterm_ends_serving() -> None:
    class SignalledOnceStarted(GrpcServer):
        async def start(self, *, ready: bool = True) -> None:
            await super().start(ready=ready)
            os.kill(os.getpid(), signal.SIGTERM)

    server = SignalledOnceStarted([])
    await asyncio.wait_for(serve_until_stopped(server), 10)
    assert server.stopping.is_set()


async def test_signals_are_given_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals(asyncio.Event()):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


async def test_call_waits_for_a_server_that_comes_later() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    nlu = SlowNlu()
    nlu.go_on.set()
    async with open_channel(f"127.0.0.1:{port}") as channel:
        call = NluStub(channel).Parse(nlu_pb2.ParseRequest(text="hello"), wait_for_ready=True, timeout=20)
        async with serve(nlu, GrpcSettings(port=port)):
            assert (await call).bundle_version == "1"


def test_only_calls_that_change_nothing_are_retried() -> None:
    config = service_config(ChannelSettings(), IDEMPOTENT)
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]
    (policy,) = config["methodConfig"]
    assert policy["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert {"service": "turnstream.api.v1.Conversations"} not in policy["name"]
    assert not any("ActionDispatch" in n["service"] for n in policy["name"])
