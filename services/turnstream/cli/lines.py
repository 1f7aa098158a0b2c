"""Lines of standard input for commands that do other things meanwhile."""

import asyncio
import contextlib
import io
import sys
import threading

import click


class Lines:
    """Read in a thread that nobody has to wait for when the conversation ends."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._asked = threading.Semaphore(0)
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def next(self, prompt: str) -> str | None:
        """The next line, stripped; None at the end of the input. The prompt is shown where somebody sees it."""
        if sys.stdin is None:
            return None
        if sys.stdin.isatty():
            click.secho(prompt, nl=False, fg="green")
        self._asked.release()
        return await self._lines.get()

    def _read(self) -> None:
        while self._asked.acquire():
            line = _read_line()
            with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


def _read_line() -> str | None:
    """Bytes that are no UTF-8 are replaced: a slip of the terminal must not end the conversation."""
    try:
        # Unbuffered: a buffer's lock, held by this thread, would abort the interpreter when it ends.
        line = io.FileIO(0, closefd=False).readline()
    except OSError:
        return None
    return line.decode(errors="replace").strip() if line else None
