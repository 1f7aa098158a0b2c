"""Which worker processes are alive: a locked file for each, beside the log.

The operating system drops the lock when the process dies, however it dies, so that its partitions can be taken over
at once. A process that hangs keeps its lock, so each also writes down when it was last well. After that stands the
address at which the worker can be asked.
"""

import contextlib
import fcntl
import os
import struct
import time
import uuid
from collections.abc import Callable
from pathlib import Path

_SUFFIX = ".worker"
_BEAT = struct.Struct("<d")


class Member:
    """One worker's file. `clock` is monotonic and the same for all processes of the machine."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic, address: str = "") -> None:
        self.name = uuid.uuid4().hex
        self._clock = clock
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / (self.name + _SUFFIX)
        # Locked before it has its name: nobody may find it unlocked and take it for dead.
        unnamed = folder / (self.name + ".new")
        self._file = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.beat()
        os.pwrite(self._file, address.encode(), _BEAT.size)
        unnamed.rename(self._path)

    def beat(self) -> None:
        """Note that this worker is well."""
        if self._file < 0:
            return
        os.pwrite(self._file, _BEAT.pack(self._clock()), 0)

    def close(self) -> None:
        if self._file < 0:
            return
        self._path.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the lock as a killed process would: without tidying up."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def live_members(folder: Path, lease_s: float, clock: Callable[[], float] = time.monotonic) -> list[str]:
    """The workers that hold their lock and were well within `lease_s` seconds, sorted; the dead are tidied away."""
    return sorted(path.stem for path in folder.glob("*" + _SUFFIX) if _lives(path, lease_s, clock()))


def address_of(folder: Path, name: str) -> str | None:
    """Where this worker can be asked; None where it told no address, or is gone."""
    with contextlib.suppress(FileNotFoundError):
        return (folder / (name + _SUFFIX)).read_bytes()[_BEAT.size :].decode() or None
    return None


def _lives(path: Path, lease_s: float, now: float) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        data = os.pread(file, _BEAT.size, 0)
        return len(data) == _BEAT.size and 0 <= now - _BEAT.unpack(data)[0] <= lease_s
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(file)
