import pytest
from turnstream.gateway.limits import REMEMBERED, Limits, client_of
from turnstream.runtime.errors import TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def take(limits: Limits, client: str = "a") -> None:
    with limits.admitted(client):
        pass


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = Clock()
    limits = Limits(2.0, 3, clock=clock)
    for _ in range(3):
        take(limits)
    with pytest.raises(TooManyRequests, match="more than 2 requests a second") as caught:
        take(limits)
    assert caught.value.retry_after_s == 0.5
    clock.now += 0.5
    take(limits)
    with pytest.raises(TooManyRequests):
        take(limits)


def test_a_long_pause_saves_up_one_burst_and_no_more() -> None:
    clock = Clock()
    limits = Limits(1.0, 2, clock=clock)
    take(limits)
    clock.now += 1000
    take(limits)
    take(limits)
    with pytest.raises(TooManyRequests):
        take(limits)


def test_clients_do_not_share_a_bucket() -> None:
    limits = Limits(1.0, 1, clock=Clock())
    take(limits, "a")
    take(limits, "b")
    with pytest.raises(TooManyRequests):
        take(limits, "a")


def test_requests_under_way_are_limited_until_they_end() -> None:
    limits = Limits(max_calls=1)
    with limits.admitted("a"):
        with limits.admitted("b"):
            pass
        with pytest.raises(TooManyRequests, match="1 requests of this client are under way"):
            take(limits, "a")
    take(limits, "a")


def test_nothing_is_limited_by_default() -> None:
    limits = Limits()
    for _ in range(1000):
        take(limits)
    assert not limits._buckets


def test_memory_is_bounded_however_many_clients_there_are() -> None:
    limits = Limits(1.0, 1, max_calls=1, clock=Clock())
    for number in range(REMEMBERED + 10):
        take(limits, str(number))
    assert len(limits._buckets) == REMEMBERED
    assert not limits._under_way
    with pytest.raises(TooManyRequests):
        take(limits, str(REMEMBERED))


@pytest.mark.parametrize(
    ("header", "proxies", "client"),
    [
        ("6.6.6.6", 0, "10.0.0.1"),
        ("1.2.3.4", 1, "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", 1, "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.2", 2, "1.2.3.4"),
        ("", 1, "10.0.0.1"),
        ("1.2.3.4", 2, "10.0.0.1"),
    ],
)
def test_only_what_our_own_proxies_added_is_believed(header: str, proxies: int, client: str) -> None:
    assert client_of("10.0.0.1", header, proxies) == client
