"""`turnstream ...` as a process of its own, as its user sees it."""

import contextlib
import json
import os
import pty
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

PATIENCE_S = 120.0
COMMAND = (sys.executable, "-m", "turnstream.cli")


@dataclass(frozen=True)
class Finished:
    """`output` and `errors` are what was written to standard output and standard error."""

    code: int
    output: str
    errors: str


def environment(**more: str) -> dict[str, str]:
    """This process's own, without settings of ours but those given."""
    return {k: v for k, v in os.environ.items() if not k.startswith("TURNSTREAM_")} | more


def turnstream(*arguments: str, cwd: Path, stdin: str = "", **settings: str) -> Finished:
    """Run a command to its end."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        env=environment(**settings),
        timeout=PATIENCE_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def at_a_terminal(*arguments: str, cwd: Path, typed: str) -> list[str]:
    """Run a command to its end at a terminal of its own, where this is typed; the lines on the screen."""
    return shown_at_a_terminal([*COMMAND, *arguments], cwd=cwd, variables=environment(TERM="dumb"), typed=typed)


def shown_at_a_terminal(
    command: Sequence[str], *, cwd: Path, variables: Mapping[str, str], typed: str = ""
) -> list[str]:
    """The same for any program."""
    ours, its = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as screen:
        process = subprocess.Popen(command, cwd=cwd, stdin=its, stdout=its, stderr=its, env=variables)
        os.close(its)
        screen.write(typed.encode())
        shown = b""
        with contextlib.suppress(OSError):  # so Linux says that the other side has ended
            while part := screen.read(4096):
                shown += part
        process.wait(PATIENCE_S)
    return shown.decode().replace("\r\n", "\n").splitlines()


class Running:
    """A command that serves, in the background; as a context manager it is ended at the latest on leaving."""

    def __init__(self, *arguments: str, cwd: Path, **settings: str) -> None:
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self._errors = cwd / f"errors-{len(list(cwd.glob('errors-*')))}"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(PYTHONUNBUFFERED="1", **settings),
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self._new.put(raw.decode().rstrip())
        self._new.put(None)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line of the output; what it matched."""
        while True:
            line = self._new.get(timeout=PATIENCE_S)
            assert line is not None, f"ended before {pattern!r}: {self.lines}\n{self.errors}"
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    @property
    def errors(self) -> str:
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S)
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


class RunningAssistant(Running):
    """`turnstream run`, ready: `url` is its REST door, `grpc` its gRPC door, `services` where the others listen."""

    def __init__(self, *arguments: str, cwd: Path, **settings: str) -> None:
        super().__init__("run", "--port", "0", "--enable-api", *arguments, cwd=cwd, **settings)
        self.url = self.grpc = ""
        self.services: dict[str, str] = {}

    def ready(self) -> Self:
        self.until("The assistant is ready")
        text = "\n".join(self.lines)
        self.url = _first(r"REST +(http://\S+)", text)
        self.grpc = _first(r"gRPC +(\S+)", text)
        self.services = dict(re.findall(r"(\w+) (127\.0\.0\.1:\d+)", _first(r"services +(.*)", text)))
        return self

    def say(self, text: str, sender: str = "ada") -> list[Any]:
        """Over the REST channel."""
        answers: list[Any] = post(f"{self.url}/webhooks/rest/webhook", {"sender": sender, "message": text})[1]
        return answers

    def texts(self, text: str, sender: str = "ada") -> list[str]:
        return [answer.get("text", "") for answer in self.say(text, sender)]


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1) if found else ""


def post(url: str, body: Mapping[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON of the answer, whatever the status."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def children(pid: int) -> list[int]:
    """The processes below a process."""
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def gone(pids: list[int]) -> bool:
    """Wait until none of the processes runs any more."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return not psutil.wait_procs(found, timeout=30)[1]


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """A port of loopback that somebody else has."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]
