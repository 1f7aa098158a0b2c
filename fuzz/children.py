"""Processes that end with this one, however it ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GRACE_S = 20.0


@contextmanager
def child(module: str, *arguments: object, cwd: Path, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Python module as a process, with all that it prints in the file `output`; ended on leaving."""
    command = [sys.executable, "-m", "turnstream.runtime.leash", module, *map(str, arguments)]
    with (
        output.open("wb") as file,
        subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
