"""What the processes of a run do: a conversation replica on scripted services, a gateway with its public gRPC door.

Each is told by a control pipe at which crash point to die, and ends with whoever holds the other end of it.
"""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from turnstream.api.v1.conversations_pb2_grpc import add_ConversationsServicer_to_server
from turnstream.api.v1.trackers_pb2_grpc import TrackersStub, add_TrackersServicer_to_server
from turnstream.conversation.crashpoints import arm
from turnstream.conversation.trackers import TrackersService
from turnstream.gateway.conversations import ConversationsService
from turnstream.gateway.door import Door, DoorLimits
from turnstream.runtime.channels import open_channel
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import GrpcSettings, TimeoutSettings
from turnstream.testing.conversation_process import open_log, replica

_GRPC = GrpcSettings(drain_timeout_s=1.0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run has its things: `log` as in `conversation_process`, and files in `folder`."""

    log: str
    folder: Path
    action_timeout_s: float = 2.5

    @property
    def calls(self) -> Path:
        """One idempotency key a line, for each time that the custom action was called."""
        return self.folder / "calls"


def run_replica(place: Place, output: Path, control: Connection) -> None:
    """Until SIGTERM."""
    _run(_serve_replica(place, control), output)


def run_gateway(place: Place, output: Path, control: Connection) -> None:
    """Until SIGTERM."""
    _run(_serve_gateway(place, control), output)


def _run(serving: Coroutine[Any, Any, None], output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    asyncio.run(serving)


async def _serve_replica(place: Place, control: Connection) -> None:
    stopping = _stop_on_signal()
    timeouts = TimeoutSettings(action_s=place.action_timeout_s)
    async with replica(place.log, place.calls, timeouts) as running:
        trackers = TrackersService(running.worker, running.handler)
        async with GrpcServer([Service(trackers, add_TrackersServicer_to_server)], _GRPC) as server:
            _tell(control, server.port, arm)
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({stopped, running.running}, return_when=asyncio.FIRST_COMPLETED)
            if running.running.done():
                running.running.result()


async def _serve_gateway(place: Place, control: Connection) -> None:
    stopping = _stop_on_signal()
    log = open_log(place.log)
    # Trackers are read from the replicas in these runs: the gateway is given an address where nobody answers.
    channel = open_channel("127.0.0.1:9")
    door = Door(log, TrackersStub(channel), DoorLimits(turn_s=30.0))
    service = Service(ConversationsService(door), add_ConversationsServicer_to_server)
    async with _closing(log.close, channel.close), GrpcServer([service], _GRPC) as server:
        _tell(control, server.port, lambda point, number: None)
        await stopping.wait()


@asynccontextmanager
async def _closing(*closes: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for close in closes:
            await close()


def _stop_on_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGUSR1, _tell_where_it_is)
    return stopping


def _tell_where_it_is() -> None:
    """For a process that does not end when it should."""
    for task in asyncio.all_tasks():
        sys.stderr.write(f"{task!r}\n")
    faulthandler.dump_traceback()


def _tell(control: Connection, port: int, told: Callable[[str, signal.Signals], None]) -> None:
    """Say where this process serves, and listen to what it is told from now on."""

    def hear() -> None:
        try:
            told(*control.recv())
        except (EOFError, OSError):
            os._exit(1)

    asyncio.get_running_loop().add_reader(control.fileno(), hear)
    control.send(port)
