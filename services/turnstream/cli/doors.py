"""The listening ends of a process: how they open, and how they close without a call being lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from turnstream.gateway.rest.listening import RestServer
from turnstream.runtime.readiness import Need, Readiness
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.settings import GrpcSettings

HAND_OVER_S = 5.0
"""Of the time for the end: what is left for turns under way to be handed over once nobody waits any more."""


@asynccontextmanager
async def open_doors(
    servers: Sequence[GrpcServer],
    rest: RestServer | None,
    *,
    needs: Mapping[str, Need],
    settings: GrpcSettings,
    closing: Callable[[], None],
    hands_over: bool,
) -> AsyncIterator[None]:
    """Listen, and be ready as soon and as long as all `needs` are met; on leaving, drain.

    The end: not ready any more; calls are taken for `settings.drain_delay_s`, so that clients hear of it; `closing` is
    called, and no new calls are taken; those under way finish. All within `settings.drain_timeout_s`, less what is
    reserved where the process `hands_over` its conversations. Raises PortTaken, BadCertificate.
    """
    async with AsyncExitStack() as stack:
        for server in servers:
            await server.start(ready=False)
            stack.push_async_callback(server.drain, 0.0)
        if rest is not None:
            await rest.start()
            stack.push_async_callback(rest.stop, 0.0)

        async def tell(ready: bool) -> None:
            for server in servers:
                await server.set_ready(ready)

        try:
            async with Readiness(needs, tell):
                yield
        finally:
            time_s = settings.drain_timeout_s - (min(HAND_OVER_S, settings.drain_timeout_s / 2) if hands_over else 0.0)
            await _drain(servers, rest, closing, time_s, min(settings.drain_delay_s, time_s))


async def _drain(
    servers: Sequence[GrpcServer], rest: RestServer | None, closing: Callable[[], None], time_s: float, delay_s: float
) -> None:
    for server in servers:
        await server.retire()
    await asyncio.sleep(delay_s)
    closing()
    stops = [server.drain(time_s - delay_s) for server in servers]
    if rest is not None:
        stops.append(rest.stop(time_s - delay_s))
    await asyncio.gather(*stops)
