"""The REST door of a running assistant, given by Schemathesis what its OpenAPI document allows and what it does not.

No answer may be one that the document does not describe, nor a 5xx but 503. Afterwards the log is read: every message
that was accepted has its one turn.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from turnstream.turnlog.checker import check_log
from turnstream.turnlog.sqlite import SqliteTurnLog

from fuzz.children import child

CLI = "turnstream.cli"
MARGIN_S = 120.0
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
"""Not those about unsupported methods: ids may hold slashes, so that every path below a conversation is one itself."""
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""
LEFT_OUT = ("readChat", "inspectStream", "compareBundles")
"""Operations whose answer ends with its reader, and one that starts a process for each request."""
TAKES_AWAY = ("unloadModel", "eraseConversation")
KNOWN = "ada"
ONE_CONVERSATION = f"""{CONFIG}
[parameters]
"path.conversation_id" = "{KNOWN}"
"""
"""Ids of all kinds are mostly refused, and name nobody; with this one the rest of a request is looked at."""


@dataclass(frozen=True, slots=True)
class Run:
    """One of Schemathesis, for a `share` of the time. Where the assistant is unloaded and conversations
    are erased, little else can be seen."""

    name: str
    config: str
    share: float
    takes_away: bool = False


RUNS = (
    Run("any-conversation", CONFIG, 0.4),
    Run("one-conversation", ONE_CONVERSATION, 0.4),
    Run("taking-away", ONE_CONVERSATION, 0.2, takes_away=True),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failed` are files with Schemathesis's own words; `faults` are what the checker found in the log."""

    requests: int
    messages: int
    failed: tuple[Path, ...]
    faults: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return not self.failed and not self.faults and self.messages > 1


def fuzz_rest(folder: Path, seconds: int, seed: int) -> Outcome:
    """Takes some seconds more than `seconds`, to train and to end. Ends what it started, whatever happens."""
    shutil.rmtree(folder, ignore_errors=True)
    failed = []
    project = folder / "project"
    project.mkdir(parents=True)
    with _assistant(project) as url:
        _say_hello(url)
        for run in RUNS:
            place = folder / run.name
            if not _schemathesis(place, url, run, max(1, int(seconds * run.share)), seed):
                failed.append(place / "report.log")
    messages, faults = asyncio.run(_read_log(project / ".turnstream" / "turns.db"))
    return Outcome(sum(_requests(folder / run.name) for run in RUNS), messages, tuple(failed), faults)


def _say_hello(url: str) -> None:
    body = json.dumps({"sender": KNOWN, "message": "hello"}).encode()
    with urllib.request.urlopen(f"{url}/webhooks/rest/webhook", body, timeout=MARGIN_S) as response:
        assert response.status == 200


@contextmanager
def _assistant(folder: Path) -> Iterator[str]:
    """The address of an assistant without networks, which runs in a process of its own."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from support.small_project import write_project

    write_project(folder)
    trained, printed = folder / "train.log", folder / "run.log"
    with child(CLI, "train", cwd=folder, output=trained) as process:
        if process.wait(MARGIN_S):
            raise RuntimeError(f"training failed:\n{trained.read_text(encoding='utf-8')}")
    with child(
        CLI, "run", "--enable-api", "--inspect", "-p", 0, "--grpc-port", -1, cwd=folder, output=printed
    ) as process:
        yield _address(process, printed)
        if process.poll() is not None:
            raise RuntimeError(f"the assistant ended:\n{printed.read_text(encoding='utf-8')}")


def _address(process: subprocess.Popen[bytes], printed: Path) -> str:
    give_up = time.monotonic() + MARGIN_S
    while time.monotonic() < give_up and process.poll() is None:
        if found := re.search(r"http://[\w.:]+", printed.read_text(encoding="utf-8")):
            return found.group()
        time.sleep(0.1)
    raise RuntimeError(f"the assistant does not start:\n{printed.read_text(encoding='utf-8')}")


def _schemathesis(folder: Path, url: str, run: Run, seconds: int, seed: int) -> bool:
    """Whether it found nothing."""
    folder.mkdir()
    config = folder / "schemathesis.toml"
    config.write_text(run.config, encoding="utf-8")
    command = (
        *("--config-file", str(config), "run", f"{url}/openapi.json"),
        *("--max-time", str(seconds), "--seed", str(seed), "--checks", ",".join(CHECKS), "--workers", "1"),
        *("--request-timeout", "30", "--suppress-health-check", "all", "--no-color"),
        *("--report", "json", "--report-json-path", str(folder / "report.json"), "--generation-database", "none"),
        *("--exclude-operation-id-regex", "|".join((*LEFT_OUT, *(() if run.takes_away else TAKES_AWAY)))),
    )
    with child("schemathesis.cli", *command, cwd=folder, output=folder / "report.log") as process:
        return process.wait(seconds + MARGIN_S) == 0


def _requests(folder: Path) -> int:
    report = folder / "report.json"
    if not report.exists():
        return 0
    return int(json.loads(report.read_text(encoding="utf-8"))["test_cases"]["generated"])


async def _read_log(file: Path) -> tuple[int, tuple[str, ...]]:
    """How many messages there are, and what is wrong with them."""
    log = SqliteTurnLog(file)
    try:
        faults = await check_log(log)
        messages = 0
        async for _ in log.read_inbox():
            messages += 1
    finally:
        await log.close()
    return messages, tuple(map(str, faults))
