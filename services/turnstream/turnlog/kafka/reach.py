"""Whether any broker can be reached now: a connection is opened and closed, and nothing is asked."""

import asyncio
from contextlib import suppress

from turnstream.turnlog.kafka.settings import KafkaSettings

PATIENCE_S = 2.0


async def is_reachable(settings: KafkaSettings) -> bool:
    """Tries all bootstrap servers at once."""
    tries = [asyncio.create_task(_connects(place)) for place in settings.bootstrap_servers.split(",")]
    try:
        for done in asyncio.as_completed(tries, timeout=PATIENCE_S):
            with suppress(TimeoutError):
                if await done:
                    return True
        return False
    finally:
        for task in tries:
            task.cancel()
        await asyncio.gather(*tries, return_exceptions=True)


async def _connects(place: str) -> bool:
    host, _, port = place.strip().rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
