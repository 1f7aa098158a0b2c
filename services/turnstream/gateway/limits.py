"""What one client may ask for: so many requests a second, and so many at once. It is told when to come again."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from turnstream.gateway.metrics import REFUSED
from turnstream.runtime.errors import TooManyRequests
from turnstream.runtime.settings import GatewaySettings

REMEMBERED = 50_000
"""Clients whose bucket is kept; of more, those that were heard of longest ago begin with a full one."""
BUSY_RETRY_S = 1.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Limits:
    """Token buckets (https://en.wikipedia.org/wiki/Token_bucket): one token a request, `rate` new ones a second."""

    def __init__(
        self,
        rate_per_second: float = 0.0,
        burst: int = 1,
        max_calls: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A `rate_per_second` or `max_calls` of 0 limits nothing. `clock` gives seconds."""
        self._rate = rate_per_second
        self._burst = max(1, burst)
        self._max_calls = max_calls
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._under_way: Counter[str] = Counter()

    @classmethod
    def of(cls, settings: GatewaySettings) -> "Limits":
        return cls(settings.rate_per_second, settings.rate_burst, settings.max_calls_per_client)

    @contextmanager
    def admitted(self, client: str) -> Iterator[None]:
        """For as long as a request of this client takes. Raises TooManyRequests."""
        if self._rate > 0:
            self._take(client)
        if self._max_calls <= 0:
            yield
            return
        if self._under_way[client] >= self._max_calls:
            REFUSED.labels("calls").inc()
            raise TooManyRequests(f"{self._max_calls} requests of this client are under way", BUSY_RETRY_S)
        self._under_way[client] += 1
        try:
            yield
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]

    def _take(self, client: str) -> None:
        now = self._clock()
        bucket = self._buckets.get(client) or _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        self._buckets[client] = bucket
        self._buckets.move_to_end(client)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            REFUSED.labels("rate").inc()
            retry_after_s = (1 - bucket.tokens) / self._rate
            raise TooManyRequests(f"more than {self._rate:g} requests a second", retry_after_s)
        bucket.tokens -= 1


def client_of(address: str, forwarded_for: str, proxies: int) -> str:
    """Who asks. Each of `proxies` has added to the header the address that it was called from."""
    if proxies <= 0:
        return address
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    return hops[-proxies] if len(hops) >= proxies else address
