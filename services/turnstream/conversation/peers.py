"""Other replicas of the conversation service, asked on behalf of a client: one hop, never further."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from turnstream.api.v1.trackers_pb2_grpc import TrackersStub
from turnstream.runtime.errors import ERROR_KEY

FORWARDED = "turnstream-forwarded"
"""Metadata key of a question that comes from a replica: whoever gets it answers by itself."""

T = TypeVar("T")


class PeerAway(Exception):
    """The replica cannot be reached."""


class Peers:
    """Channels to other replicas by address, the latest used ones kept open."""

    def __init__(
        self, open_channel: Callable[[str], grpc.aio.Channel], *, most: int = 32, timeout_s: float = 10.0
    ) -> None:
        self._open = open_channel
        self._most = most
        self._timeout_s = timeout_s
        self._channels: OrderedDict[str, grpc.aio.Channel] = OrderedDict()

    async def ask(self, address: str, method: Callable[[TrackersStub], Any], request: object) -> Any:
        """The answer of the replica at `address`. Raises PeerAway, grpc.aio.AioRpcError."""
        call = method(TrackersStub(await self._channel(address)))
        try:
            return await call(request, timeout=self._timeout_s, metadata=((FORWARDED, "1"),))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and not _was_answered(error):
                raise PeerAway(f"the replica at {address} does not answer: {error.details()}") from error
            raise

    async def close(self) -> None:
        while self._channels:
            _, channel = self._channels.popitem()
            await channel.close()

    async def _channel(self, address: str) -> grpc.aio.Channel:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = self._open(address)
        self._channels.move_to_end(address)
        if len(self._channels) > self._most:
            _, unused = self._channels.popitem(last=False)
            # Calls on it are given their time.
            await unused.close(self._timeout_s)
        return channel


def _was_answered(error: grpc.aio.AioRpcError) -> bool:
    """Whether the replica itself said so, and not the channel to it."""
    return any(key == ERROR_KEY for key, _ in error.trailing_metadata() or ())


def was_forwarded(context: Any) -> bool:
    """Whether the question comes from another replica. `context` is None where a test asks directly."""
    return context is not None and any(key == FORWARDED for key, _ in context.invocation_metadata() or ())
