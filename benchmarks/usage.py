"""What a command and the processes that it starts use together."""

import subprocess
import time
from dataclasses import dataclass, field

import psutil

EVERY_S = 0.1


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
        while process.poll() is None:
            self._look(root)
            time.sleep(EVERY_S)
        return process.returncode

    def _look(self, root: psutil.Process) -> None:
        held = 0
        try:
            family = [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                times, memory = process.cpu_times(), process.memory_full_info()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            self._cpu_s[process.pid] = times.user + times.system
            held += getattr(memory, "pss", memory.rss)
        self.peak = max(self.peak, held)
