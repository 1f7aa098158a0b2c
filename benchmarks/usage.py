"""What a command and the processes that it starts use together."""

import contextlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

EVERY_S = 0.1
MEMORY_EVERY = 5
"""Looks. To tell what processes share, the system goes through all their pages."""


@dataclass(slots=True)
class Usage:
    """Looked at every `EVERY_S`: what a process uses after the last look is not seen.

    peak: bytes, the highest sum over the processes; a page that several share counts once where the system tells that.
    """

    _cpu_s: dict[int, float] = field(default_factory=dict)
    peak: int = 0

    @property
    def cpu_s(self) -> float:
        return sum(self._cpu_s.values())

    def follow(self, process: "subprocess.Popen[bytes]") -> int:
        """Look until the process has ended; its exit code."""
        root = psutil.Process(process.pid)
        looks = 0
        while (code := process.poll()) is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                family = [root, *root.children(recursive=True)]
                self._add_times(family)
                if looks % MEMORY_EVERY == 0:
                    self.peak = max(self.peak, _held(family))
            looks += 1
            time.sleep(EVERY_S)
        return code

    def _add_times(self, family: Sequence[psutil.Process]) -> None:
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._cpu_s[process.pid] = times.user + times.system


def _held(family: Sequence[psutil.Process]) -> int:
    held = 0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = process.memory_full_info()
            held += getattr(memory, "pss", memory.rss)
    return held
