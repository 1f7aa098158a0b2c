"""`turnstream health`, as images and probes call it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from turnstream.cli.health import health
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.settings import GrpcSettings


@pytest.fixture
async def server() -> AsyncIterator[GrpcServer]:
    async with GrpcServer([], GrpcSettings(health_port=0, drain_timeout_s=0)) as server:
        yield server


async def run(*arguments: str, **environment: Any) -> Result:
    unset = dict.fromkeys(("TURNSTREAM_GRPC_HEALTH_PORT", "TURNSTREAM_GRPC_PORT", "TURNSTREAM_MODEL_SERVER_PORT"))
    runner = CliRunner(env=unset | {key: str(value) for key, value in environment.items()})
    return await asyncio.to_thread(runner.invoke, health, arguments)


async def test_alive_and_ready_are_asked_by_name(server: GrpcServer) -> None:
    address = f"127.0.0.1:{server.health_port}"
    assert (await run("--address", address)).exit_code == 0
    assert (await run("--address", address, "--service", "ready")).exit_code == 0
    await server.set_ready(False)
    assert (await run("--address", address)).exit_code == 0
    not_ready = await run("--address", address, "--service", "ready")
    assert (not_ready.exit_code, not_ready.output) == (1, f"{address}: ready is not serving.\n")


async def test_the_address_is_that_of_the_settings(server: GrpcServer) -> None:
    assert (await run(TURNSTREAM_GRPC_HEALTH_PORT=server.health_port)).output == "serving\n"
    assert (await run(TURNSTREAM_GRPC_HEALTH_PORT=-1, TURNSTREAM_GRPC_PORT=server.port)).output == "serving\n"
    unknown = await run()
    assert (unknown.exit_code, "Say --address" in unknown.output) == (1, True)


async def test_nobody_there_and_an_unknown_name_are_failures(server: GrpcServer) -> None:
    nobody = await run("--address", "127.0.0.1:1", "--timeout", "5")
    assert nobody.exit_code == 1
    assert "UNAVAILABLE" in nobody.output
    long_name = "bundle/" + "x" * 200
    unknown = await run("--address", server.address, "--service", long_name)
    assert (unknown.exit_code, "NOT_FOUND" in unknown.output) == (1, True)
    await server.set_health(long_name, True)
    assert (await run("--address", server.address, "--service", long_name)).exit_code == 0
