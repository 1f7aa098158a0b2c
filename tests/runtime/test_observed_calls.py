"""What calls carry with them and leave behind: deadlines, traces and metrics, over each kind of channel."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import REGISTRY
from turnstream.api.v1 import nlu_pb2 as pb
from turnstream.api.v1.nlu_pb2_grpc import NluServicer, NluStub, add_NluServicer_to_server
from turnstream.runtime.channels import open_channel
from turnstream.runtime.deadlines import bounded, deadline_in
from turnstream.runtime.errors import InvalidRequest
from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.local import LocalChannel, LocalServer
from turnstream.runtime.outgoing import ObservedChannel
from turnstream.runtime.pipe import PipeServer
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service, register
from turnstream.runtime.settings import GrpcSettings
from turnstream.runtime.tracing import current_traceparent, in_trace

# gRPC sends a deadline as time left, with three digits and rounded up: 4.991 s become 5.00 s.
ROUNDING_S = 0.25
METHOD = "/turnstream.api.v1.Nlu/Parse"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Nlu(NluServicer):
    """Passes a message on to itself once, as a service calls the next one, and remembers what it knew of each call."""

    def __init__(self) -> None:
        self.remaining: list[float | None] = []
        self.traces: list[str] = []
        self.called = asyncio.Event()
        self.next: Any = None

    async def Parse(self, request: pb.ParseRequest, context: Any) -> pb.ParseResponse:
        self.remaining.append(context.time_remaining())
        self.traces.append(current_traceparent())
        match request.text:
            case "pass on":
                await self.next.Parse(pb.ParseRequest(text="hello"), timeout=60)
            case "invalid":
                raise InvalidRequest("text")
            case "crash":
                raise RuntimeError
            case "forever":
                self.called.set()
                await asyncio.Event().wait()
        return pb.ParseResponse()


@pytest.fixture
def nlu() -> Nlu:
    return Nlu()


@pytest.fixture(params=["local", "pipe", "socket"])
async def stub(request: pytest.FixtureRequest, nlu: Nlu, tmp_path: Path) -> AsyncIterator[Any]:
    services = [Service(nlu, add_NluServicer_to_server)]
    channel: grpc.aio.Channel
    match request.param:
        case "local":
            local = LocalServer([ErrorInterceptor()])
            register(services, local)
            channel, stop = ObservedChannel(LocalChannel(local)), local.stop
        case "pipe":
            pipe = PipeServer(services, tmp_path / "pipe")
            await pipe.start()
            channel, stop = open_channel(pipe.target), lambda: pipe.stop(0)
        case _:
            server = GrpcServer(services, GrpcSettings(drain_timeout_s=0))
            await server.start()
            channel, stop = open_channel(server.address), server.drain
    nlu.next = NluStub(channel)
    yield nlu.next
    await channel.close()
    await stop()


def count(side: str, code: str) -> float:
    labels = {"method": METHOD, "code": code}
    return REGISTRY.get_sample_value(f"turnstream_grpc_{side}_seconds_count", labels) or 0.0


def in_flight(side: str) -> float | None:
    return REGISTRY.get_sample_value(f"turnstream_grpc_{side}_in_flight", {"method": METHOD})


async def until_counted(code: str, before: tuple[float, float]) -> None:
    """Each side counts a call when it hears of its end."""
    async with asyncio.timeout(20):
        while count("server", code) == before[0] or count("client", code) == before[1]:  # noqa: ASYNC110 (see above)
            await asyncio.sleep(0.001)


async def test_what_is_called_has_no_more_time_than_its_caller(stub: Any, nlu: Nlu) -> None:
    await stub.Parse(pb.ParseRequest(text="pass on"), timeout=5)
    first, second = nlu.remaining
    assert first is not None
    assert second is not None
    assert 0 < first <= 5 + ROUNDING_S
    assert 0 < second <= first + ROUNDING_S


async def test_a_call_without_a_deadline_bounds_nothing(stub: Any, nlu: Nlu) -> None:
    await stub.Parse(pb.ParseRequest(text="pass on"))
    assert nlu.remaining[0] is None
    assert nlu.remaining[1] is not None
    assert nlu.remaining[1] > 5


async def test_a_turns_deadline_bounds_its_calls(stub: Any, nlu: Nlu) -> None:
    with deadline_in(3):
        await stub.Parse(pb.ParseRequest(text="hello"), timeout=60)
        await stub.Parse(pb.ParseRequest(text="hello"))
    assert all(remaining is not None and remaining <= 3 + ROUNDING_S for remaining in nlu.remaining)


async def test_a_call_after_the_deadline_fails_at_once(stub: Any) -> None:
    with deadline_in(0), pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Parse(pb.ParseRequest(text="forever"), timeout=60)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_deadlines_inside_each_other_only_get_shorter() -> None:
    with deadline_in(2), deadline_in(60):
        left = bounded(None)
        assert left is not None
        assert left <= 2
        assert bounded(1.0) == 1.0
    assert bounded(None) is None


async def test_the_trace_goes_along(stub: Any, nlu: Nlu) -> None:
    with in_trace(TRACEPARENT):
        await stub.Parse(pb.ParseRequest(text="pass on"))
    await stub.Parse(pb.ParseRequest(text="hello"))
    assert nlu.traces == [TRACEPARENT, TRACEPARENT, ""]


@pytest.mark.parametrize(("text", "code"), [("hello", "OK"), ("invalid", "INVALID_ARGUMENT"), ("crash", "INTERNAL")])
async def test_both_sides_count_by_status(stub: Any, text: str, code: str) -> None:
    before = count("server", code), count("client", code)
    call = stub.Parse(pb.ParseRequest(text=text))
    assert (await call.code()).name == code
    await until_counted(code, before)
    assert (count("server", code), count("client", code)) == (before[0] + 1, before[1] + 1)


async def test_calls_under_way_are_counted_and_given_up_ones_have_a_status(stub: Any, nlu: Nlu) -> None:
    before = count("server", "CANCELLED"), count("client", "CANCELLED")
    call = stub.Parse(pb.ParseRequest(text="forever"))
    await nlu.called.wait()
    assert (in_flight("server"), in_flight("client")) == (1, 1)
    call.cancel()
    await until_counted("CANCELLED", before)
    assert (in_flight("server"), in_flight("client")) == (0, 0)
    assert (count("server", "CANCELLED"), count("client", "CANCELLED")) == (before[0] + 1, before[1] + 1)
