"""Real `rasa_sdk` action servers for tests, one for each project, started when first asked for."""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from turnstream.action.action_server import ActionRequest, WireDomain
from turnstream.dialogue.rasa_json import tracker_to_rasa
from turnstream.dialogue.tracker import Tracker

FARM = Path(__file__).with_name("sdk_farm.py")


class ActionServers:
    """An async context manager; leaving it ends all servers."""

    def __init__(self) -> None:
        self._farm: asyncio.subprocess.Process | None = None
        self._urls: dict[tuple[Path, bool], str] = {}

    async def __aenter__(self) -> "ActionServers":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._farm is not None:
            assert self._farm.stdin is not None
            self._farm.stdin.close()
            await self._farm.wait()

    async def url(self, project: Path, *, grpc: bool = False) -> str:
        """The webhook, or gRPC address, of a server that runs `project`'s actions."""
        if (project, grpc) not in self._urls:
            port = free_port()
            farm = await self._started()
            assert farm.stdin is not None
            assert farm.stdout is not None
            farm.stdin.write(json.dumps({"root": str(project), "port": port, "grpc": grpc}).encode() + b"\n")
            await farm.stdin.drain()
            answer = await farm.stdout.readline()
            assert json.loads(answer) == {"port": port}
            url = f"grpc://127.0.0.1:{port}" if grpc else f"http://127.0.0.1:{port}/webhook"
            self._urls[project, grpc] = url
        return self._urls[project, grpc]

    async def _started(self) -> asyncio.subprocess.Process:
        if self._farm is None:
            self._farm = await asyncio.create_subprocess_exec(
                sys.executable,
                str(FARM),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        return self._farm


def a_request(
    action: str = "action_x",
    *,
    slots: Mapping[str, Any] | None = None,
    events: Sequence[Mapping[str, Any]] = (),
    domain: Mapping[str, Any] | None = None,
    marked: bool = False,
) -> ActionRequest:
    """What an action server is asked, about a conversation with 'ann'."""
    tracker = tracker_to_rasa(Tracker("ann")) | {"slots": dict(slots or {})}
    tracker.pop("events")
    return ActionRequest(action, tracker, [json.dumps(e) for e in events], WireDomain.of(domain or {}), marked)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
