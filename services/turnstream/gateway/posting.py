"""Bringing something to another's HTTP server that may be away for a moment."""

from collections.abc import Mapping

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

ATTEMPTS = 4
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
TIMEOUT_S = 30.0
"""Of one attempt."""


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
) -> bytes:
    """POST, again where nobody answers, or with 429 or 5xx; so the other side may get it twice.

    Returns the answer's body. Raises aiohttp.ClientError, TimeoutError after the last attempt.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S) + wait_random(0, FIRST_PAUSE_S),
        reraise=True,
    )
    async for attempt in retrying:
        with attempt:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with session.post(
                url, data=body, headers=headers, params=params, timeout=timeout, raise_for_status=True
            ) as answered:
                return await answered.read()
    raise AssertionError("the last attempt returns or raises")


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status == 429 or error.status >= 500
    if isinstance(error, aiohttp.InvalidURL):
        return False
    return isinstance(error, aiohttp.ClientConnectionError | TimeoutError)
