"""Calls are spread over the replicas behind an address, and find new ones."""

import asyncio
from collections import Counter
from typing import Any

from turnstream.api.v1 import nlu_pb2 as pb
from turnstream.api.v1.nlu_pb2_grpc import NluServicer, NluStub, add_NluServicer_to_server
from turnstream.runtime.channels import open_channel
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import ChannelSettings, GrpcSettings


class Replica(NluServicer):
    def __init__(self, name: str) -> None:
        self.name = name
        self.slow = asyncio.Event()
        self.called = asyncio.Event()

    async def Parse(self, request: pb.ParseRequest, context: Any) -> pb.ParseResponse:
        if request.text == "slow":
            self.called.set()
            await self.slow.wait()
        return pb.ParseResponse(bundle_version=f"{self.name} {context.peer()}")


def serve(replica: Replica, port: int = 0, **settings: Any) -> GrpcServer:
    grpc_settings = GrpcSettings(port=port, drain_timeout_s=0, **settings)
    return GrpcServer([Service(replica, add_NluServicer_to_server)], grpc_settings)


async def ask(stub: Any, text: str = "hi") -> tuple[str, str]:
    """The replica's name, and our own address as it sees it: another one means another connection."""
    answer = await stub.Parse(pb.ParseRequest(text=text), timeout=20)
    name, _, peer = answer.bundle_version.partition(" ")
    return name, peer


async def test_each_address_takes_its_turn() -> None:
    async with (
        serve(Replica("a")) as a,
        serve(Replica("b")) as b,
        open_channel(f"ipv4:{a.address},{b.address}") as channel,
    ):
        stub = NluStub(channel)
        async with asyncio.timeout(20):
            while {(await ask(stub))[0] for _ in range(2)} != {"a", "b"}:
                pass
        assert Counter([(await ask(stub))[0] for _ in range(20)]) == {"a": 10, "b": 10}


async def test_a_replica_that_is_gone_is_left_out() -> None:
    async with serve(Replica("b")) as b:
        a = serve(Replica("a"))
        await a.start()
        async with open_channel(f"ipv4:{a.address},{b.address}", ChannelSettings(max_attempts=5)) as channel:
            stub = NluStub(channel)
            async with asyncio.timeout(20):
                while {(await ask(stub))[0] for _ in range(2)} != {"a", "b"}:
                    pass
            await a.drain(0)
            assert {(await ask(stub))[0] for _ in range(20)} == {"b"}


async def test_old_connections_end_in_peace_so_that_new_replicas_are_found() -> None:
    replica = Replica("a")
    async with serve(replica, max_connection_age_s=0.3) as server, open_channel(server.address) as channel:
        stub = NluStub(channel)
        _, first = await ask(stub)
        waiting = asyncio.create_task(ask(stub, "slow"))
        await replica.called.wait()
        async with asyncio.timeout(20):
            while (await ask(stub))[1] == first:  # noqa: ASYNC110 (the server ends it in its own time)
                await asyncio.sleep(0.01)
        replica.slow.set()
        assert await waiting == ("a", first)
