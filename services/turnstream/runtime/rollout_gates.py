"""Whether the services that this one calls have a version too: each replica of each is asked, by gRPC health."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from turnstream.assistant.bundle import Bundle

OpenChannel = Callable[[str], grpc.aio.Channel]
ASK_S = 2.0
_DNS = "dns"


def health_name(version: str) -> str:
    """The name under which a server tells by gRPC health whether a version is ready there."""
    return f"bundle/{version}"


def host_of(target: str) -> str:
    """The name in `host:port` or `dns:///host:port`; empty where addresses are given, or a pipe."""
    scheme, found, rest = target.partition(":")
    if found and not rest.isdecimal() and scheme != _DNS and not target.startswith("["):
        return ""
    name = rest.lstrip("/") if scheme == _DNS else target
    return name.rpartition(":")[0].strip("[]")


async def addresses(target: str) -> list[str]:
    """Each replica behind `host:port`, `dns:///host:port` or `ipv4:a:1,b:2`; else the target itself. Raises OSError."""
    scheme, _, rest = target.partition(":")
    if scheme in ("ipv4", "ipv6"):
        return rest.split(",")
    host, port = host_of(target), target.rpartition(":")[2]
    if not host or not port.isdecimal():
        return [target]
    found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    hosts = list(dict.fromkeys(str(place[0]) for _, _, _, _, place in found))
    if len(hosts) == 1:
        return [target]
    return [f"[{h}]:{port}" if ":" in h else f"{h}:{port}" for h in hosts]


async def ask_replicas(
    target: str, open_channel: OpenChannel, ask: Callable[[grpc.aio.Channel], Awaitable[str]]
) -> str:
    """What any replica behind a target lacks, all being asked at once; `ask` says it, with nothing for nothing."""

    async def ask_one(address: str) -> str:
        channel = open_channel(address)
        try:
            lacking = await ask(channel)
        finally:
            await channel.close()
        return f"{lacking} at {address}" if lacking else ""

    try:
        found = await asyncio.gather(*(ask_one(address) for address in await addresses(target)))
    except OSError as error:
        return f"{target}: {error}"
    return "; ".join(lacking for lacking in found if lacking)


class ServiceGate:
    """Asks a service at `target`."""

    def __init__(self, name: str, target: str, open_channel: OpenChannel) -> None:
        self._name = name
        self._target = target
        self._open_channel = open_channel

    async def lacks(self, bundle: Bundle) -> str:
        """Empty where every replica says that it is ready to serve the bundle's version."""

        async def ask(channel: grpc.aio.Channel) -> str:
            return "" if await _is_ready(channel, bundle.version) else f"{self._name} is not ready for it"

        return await ask_replicas(self._target, self._open_channel, ask)


async def _is_ready(channel: grpc.aio.Channel, version: str) -> bool:
    request = HealthCheckRequest(service=health_name(version))
    health: Any = HealthStub(channel)
    try:
        answer = await health.Check(request, timeout=ASK_S)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == HealthCheckResponse.SERVING)
