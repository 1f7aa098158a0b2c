"""Named points of a turn at which a test can kill the process, as a power cut would, or stop it for a while.

`TURNSTREAM_CRASH_AT=before_commit` kills it the first time that a turn gets there, `before_commit:3` the third time,
`before_commit:3+8` eight milliseconds later: in the midst of the commit. `arm` does the same to a process that runs
already. Where neither was done, a point is an empty function.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping

POINTS = (
    "after_accept",
    "before_parse",
    "after_parse",
    "before_action",
    "after_action",
    "before_commit",
    "after_commit",
    "before_reply",
)
VARIABLE = "TURNSTREAM_CRASH_AT"


def crash_point_from(environment: Mapping[str, str], number: signal.Signals = signal.SIGKILL) -> Callable[[str], None]:
    """The function to call at each point; `number` is the signal that the process gets. Raises ValueError."""
    wanted = environment.get(VARIABLE, "")
    if not wanted:
        return _pass
    place, _, delay_ms = wanted.partition("+")
    point, _, count = place.partition(":")
    if point not in POINTS:
        raise ValueError(f"{VARIABLE}: no point '{point}'; there are {', '.join(POINTS)}")
    return _Countdown(point, int(count or 1), float(delay_ms or 0) / 1000, number)


def _pass(point: str) -> None:
    pass


class _Countdown:
    def __init__(self, point: str, times: int, delay_s: float, number: signal.Signals) -> None:
        self._point = point
        self._left = times
        self._delay_s = delay_s
        self._number = number

    def __call__(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left:
            return
        if self._delay_s:
            threading.Timer(self._delay_s, self._strike).start()
        else:
            self._strike()

    def _strike(self) -> None:
        os.kill(os.getpid(), self._number)


_armed = crash_point_from(os.environ)


def crash_point(point: str) -> None:
    """A turn is here now."""
    _armed(point)


def arm(wanted: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Set what the variable sets, from now on; an empty text sets nothing. Raises ValueError."""
    global _armed
    _armed = crash_point_from({VARIABLE: wanted}, number)
