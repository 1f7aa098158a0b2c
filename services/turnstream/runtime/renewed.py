"""A channel that is opened anew when the files of its certificates have changed."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from turnstream.runtime.security import BadCertificate, ChannelSecurity

_LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 10.0
FAREWELL_S = 120.0
"""Calls of the channel before may take that long to finish."""

Build = Callable[[grpc.aio.Channel], Any]


class RenewedChannel(grpc.aio.Channel):
    """`connect` opens a channel with credentials. Calls under way keep the channel that they began on."""

    def __init__(
        self,
        security: ChannelSecurity,
        connect: Callable[[grpc.ChannelCredentials], grpc.aio.Channel],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._security = security
        self._connect = connect
        self._look_every_s = look_every_s
        self._seen = security.stamps()
        self._channel = connect(security.credentials())
        self._looked_at = asyncio.get_running_loop().time()
        self._farewells: set[asyncio.Task[None]] = set()

    def current(self) -> grpc.aio.Channel:
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= self._look_every_s:
            self._looked_at = now
            self._renew()
        return self._channel

    def _renew(self) -> None:
        try:
            stamps = self._security.stamps()
            if stamps == self._seen:
                return
            fresh = self._connect(self._security.credentials())
        except BadCertificate as error:
            _LOG.warning("the channel keeps its certificates: %s", error)
            return
        self._seen = stamps
        farewell = asyncio.create_task(self._channel.close(FAREWELL_S))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)
        self._channel = fresh

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, lambda channel: channel.unary_unary(*args, **kwargs))

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, lambda channel: channel.unary_stream(*args, **kwargs))

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, lambda channel: channel.stream_unary(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return _Method(self, lambda channel: channel.stream_stream(*args, **kwargs))

    async def close(self, grace: float | None = None) -> None:
        for farewell in list(self._farewells):
            farewell.cancel()
        await asyncio.gather(*self._farewells, return_exceptions=True)
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> "RenewedChannel":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Method:
    """Built once for each channel that there was."""

    def __init__(self, owner: RenewedChannel, build: Build) -> None:
        self._owner = owner
        self._build = build
        self._channel: grpc.aio.Channel | None = None
        self._call: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        channel = self._owner.current()
        if channel is not self._channel:
            self._channel, self._call = channel, self._build(channel)
        return self._call(*args, **kwargs)
