"""Asking any replica about a conversation: the one that holds it answers, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest
from support.workers import Assistant
from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.api.v1.trackers_pb2 import PreviewNextActionRequest, ReadTrackerRequest
from turnstream.api.v1.trackers_pb2_grpc import TrackersStub, add_TrackersServicer_to_server
from turnstream.conversation.peers import FORWARDED, Peers
from turnstream.conversation.trackers import TrackersService
from turnstream.runtime.channels import open_channel
from turnstream.runtime.errors import InvalidRequest, Unavailable, typed_errors
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import GrpcSettings
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.turnlog.interface import LogReader


@dataclass
class Owners:
    """Who holds what, as a test says: a log that is out of date."""

    log: LogReader
    address: str | None

    def partition_of(self, conversation_id: str) -> int:
        return self.log.partition_of(conversation_id)

    async def owner_of(self, partition: int) -> str | None:
        return self.address


@dataclass
class Replica:
    assistant: Assistant
    stub: TrackersStub
    service: TrackersService
    address: str


@asynccontextmanager
async def replica(path: Path, *, works: bool = True) -> AsyncIterator[Replica]:
    """A replica that listens; `works`: it takes its share of the conversations."""
    async with AsyncExitStack() as stack:
        peers = Peers(open_channel)
        stack.push_async_callback(peers.close)
        assistant = Assistant(path, ScriptedServices(), works=works)
        stack.push_async_callback(assistant.stop)
        service = TrackersService(assistant.worker, assistant.handler, assistant.log, peers)
        server = GrpcServer([Service(service, add_TrackersServicer_to_server)], GrpcSettings(drain_timeout_s=0.1))
        await stack.enter_async_context(server)
        assistant.begin(server.address)
        channel = await stack.enter_async_context(open_channel(server.address))
        yield Replica(assistant, TrackersStub(channel), service, server.address)


@pytest.fixture
async def owner(tmp_path: Path) -> AsyncIterator[Replica]:
    async with replica(tmp_path / "turns.db") as started:
        await started.assistant.ask("/greet")
        yield started


@pytest.fixture
async def other(owner: Replica, tmp_path: Path) -> AsyncIterator[Replica]:
    """One that holds nothing."""
    async with replica(tmp_path / "turns.db", works=False) as started:
        yield started


async def test_a_replica_that_does_not_hold_a_conversation_asks_the_one_that_does(
    owner: Replica, other: Replica
) -> None:
    tracker = (await other.stub.ReadTracker(ReadTrackerRequest(conversation_id="c"))).tracker
    assert (tracker.turn_number, tracker.latest_message.text) == (1, "/greet")
    preview = await other.stub.PreviewNextAction(PreviewNextActionRequest(conversation_id="c"))
    assert preview.prediction.action == "utter_greet"
    assert not preview.tracker.events
    assert len(owner.assistant.services.policy.requests) == 3
    assert not other.assistant.services.policy.requests
    assert not other.assistant.writer.reads
    wanted = PreviewNextActionRequest(conversation_id="c", events=EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART)
    preview = await other.stub.PreviewNextAction(wanted)
    assert preview.tracker.events[0].action_executed.name == "action_session_start"


async def test_where_nobody_holds_it_a_tracker_is_read_from_the_log_and_a_preview_is_for_later(
    owner: Replica, other: Replica
) -> None:
    await owner.assistant.worker.stop()
    tracker = (await other.stub.ReadTracker(ReadTrackerRequest(conversation_id="c"))).tracker
    assert (tracker.turn_number, tracker.latest_message.text) == (1, "/greet")
    with typed_errors(), pytest.raises(grpc.aio.AioRpcError) as refused:
        await other.stub.PreviewNextAction(PreviewNextActionRequest(conversation_id="c"))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_owner_that_is_gone_is_not_waited_for(owner: Replica, other: Replica) -> None:
    peers = Peers(open_channel)
    gone = TrackersService(
        other.assistant.worker, other.assistant.handler, Owners(other.assistant.log, "127.0.0.1:1"), peers
    )
    tracker = (await gone.ReadTracker(ReadTrackerRequest(conversation_id="c"), None)).tracker
    assert tracker.turn_number == 1
    with pytest.raises(Unavailable):
        await gone.PreviewNextAction(PreviewNextActionRequest(conversation_id="c"), None)
    await peers.close()


async def test_a_question_is_passed_on_once_and_never_in_a_circle(owner: Replica, other: Replica) -> None:
    # This replica believes that the other one holds everything, and the other one does not.
    peers = Peers(open_channel)
    handler, log = owner.assistant.handler, owner.assistant.log
    await owner.assistant.worker.stop()
    misled = TrackersService(owner.assistant.worker, handler, Owners(log, other.address), peers)
    tracker = (await misled.ReadTracker(ReadTrackerRequest(conversation_id="c"), None)).tracker
    assert tracker.turn_number == 1
    assert other.assistant.writer.reads == [(None, 1)]
    await other.stub.ReadTracker(ReadTrackerRequest(conversation_id="c"), metadata=((FORWARDED, "1"),))
    assert other.assistant.writer.reads == [(None, 1)] * 2
    await peers.close()


async def test_what_the_owner_refuses_is_refused_by_the_one_that_asked_it(owner: Replica, other: Replica) -> None:
    owner.assistant.services.policy.outage.statuses = [grpc.StatusCode.INTERNAL] * 10
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await other.stub.PreviewNextAction(PreviewNextActionRequest(conversation_id="c"))
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "policy: INTERNAL" in (refused.value.details() or "")


async def test_a_question_needs_a_conversation(owner: Replica) -> None:
    with pytest.raises(InvalidRequest):
        await owner.service.ReadTracker(ReadTrackerRequest(), None)


async def test_channels_to_replicas_are_few_and_kept(owner: Replica) -> None:
    opened: list[str] = []

    def counted(address: str) -> grpc.aio.Channel:
        opened.append(address)
        return open_channel(address)

    peers = Peers(counted, most=1)
    request = ReadTrackerRequest(conversation_id="c")
    elsewhere = owner.address.replace("127.0.0.1", "localhost")
    for address in (owner.address, owner.address, elsewhere, owner.address):
        assert (await peers.ask(address, lambda stub: stub.ReadTracker, request)).tracker.turn_number == 1
    await peers.close()
    assert opened == [owner.address, elsewhere, owner.address]
