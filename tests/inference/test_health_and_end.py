"""The model server's health port, and how it ends; no model is needed for either."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from turnstream.inference.client import ModelClient
from turnstream.inference.repository import Model
from turnstream.inference.server import ModelServer, ModelSources
from turnstream.runtime.errors import UnknownModel
from turnstream.runtime.server import LIVE, NOT_SERVING, READY, SERVING
from turnstream.runtime.settings import GrpcSettings, ModelServerSettings, Settings

LONGER_THAN_A_TEST_S = 600.0


def load_nothing(folder: Path) -> Model:
    raise AssertionError(f"nobody asked for {folder}")


@contextlib.asynccontextmanager
async def serving(**grpc_settings: float) -> AsyncIterator[ModelServer]:
    """Without TensorFlow: there is nothing to load."""
    settings = Settings(grpc=GrpcSettings(health_port=0, **grpc_settings))  # type: ignore[arg-type]
    server = ModelServer(ModelSources(), ModelServerSettings(port=0), load=load_nothing, process=settings)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


async def health(server: ModelServer, service: str) -> int:
    """As a kubelet asks: in plaintext, at the port with health alone."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc.health_port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    status: int = answer.status
    return status


async def test_the_health_port_of_the_settings_tells_how_it_is() -> None:
    async with serving(drain_timeout_s=0) as server:
        assert server.grpc.health_port not in (-1, server.grpc.port)
        assert [await health(server, name) for name in (LIVE, READY)] == [SERVING, SERVING]


async def test_before_it_ends_it_takes_calls_for_as_long_as_it_is_told() -> None:
    async with serving(drain_delay_s=LONGER_THAN_A_TEST_S, drain_timeout_s=LONGER_THAN_A_TEST_S) as server:
        retiring = asyncio.create_task(server.retire())
        while await health(server, READY) == SERVING:
            pass
        assert [await health(server, name) for name in (LIVE, READY)] == [SERVING, NOT_SERVING]
        async with ModelClient.open(f"127.0.0.1:{server.grpc.port}") as client:
            with pytest.raises(UnknownModel):
                await client.predict("none", {}, timeout_s=60)
        assert not retiring.done()
        retiring.cancel()
        await asyncio.gather(retiring, return_exceptions=True)


async def test_without_a_delay_it_ends_at_once() -> None:
    async with serving(drain_delay_s=0, drain_timeout_s=0) as server:
        await server.retire()
        assert await health(server, READY) == NOT_SERVING
