"""How long a call may take, known to what it calls in turn: nobody works on for a caller that has given up."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
"""In the event loop's time."""


def enter_deadline(seconds: float | None) -> None:
    """Of the call that this task answers, and of nothing else."""
    _DEADLINE.set(None if seconds is None else asyncio.get_running_loop().time() + seconds)


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """What is called inside ends within `seconds`, or sooner where the call around it does."""
    token = _DEADLINE.set(asyncio.get_running_loop().time() + (bounded(seconds) or 0.0))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def bounded(timeout_s: float | None) -> float | None:
    """The timeout of a call from here: the one wanted, or what is left of the caller's time where that is less."""
    deadline = _DEADLINE.get()
    if deadline is None:
        return timeout_s
    left = max(0.0, deadline - asyncio.get_running_loop().time())
    return left if timeout_s is None else min(timeout_s, left)
