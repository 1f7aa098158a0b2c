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
from typing import Any

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
SLOW = ("trainModel", "testStories", "testIntents")
"""One answer takes seconds: beside them the others would hardly be asked in a minute."""
TAKES_AWAY = ("unloadModel", "eraseConversation")
PAGES = r"^/(inspector|chat|webhooks/chat)"
KNOWN = "ada"
ONE_CONVERSATION = f"""{CONFIG}
[parameters]
"path.conversation_id" = "{KNOWN}"
"""
"""Ids of all kinds are mostly refused, and name nobody; with this one the rest of a request is looked at."""
QUICK = ("fuzzing", "stateful")
"""Phases that go through all operations again and again until their time is over."""
THOROUGH = ("examples", "coverage", *QUICK)
FEW_EXAMPLES = 5
MANY_EXAMPLES = 100


@dataclass(frozen=True, slots=True)
class Run:
    """One of Schemathesis, for a `share` of the time: `options` say which operations, `phases` what they are sent."""

    name: str
    config: str
    share: float
    phases: tuple[str, ...]
    options: tuple[str, ...]


def _without(*operations: str) -> tuple[str, ...]:
    return ("--exclude-operation-id-regex", f"^({'|'.join(operations)})$")


_REST = _without(*LEFT_OUT, *SLOW, *TAKES_AWAY)
RUNS = (
    Run("every-route", ONE_CONVERSATION, 0.25, QUICK, _REST),
    Run("pages", ONE_CONVERSATION, 0.2, QUICK, ("--include-path-regex", PAGES, *_REST)),
    Run("any-conversation", CONFIG, 0.2, THOROUGH, _REST),
    Run("one-conversation", ONE_CONVERSATION, 0.2, THOROUGH, _REST),
    Run("slow", CONFIG, 0.05, THOROUGH, ("--include-operation-id-regex", f"^({'|'.join(SLOW)})$")),
    # Where the assistant is unloaded and conversations are erased, little else can be seen.
    Run("taking-away", ONE_CONVERSATION, 0.1, QUICK, _without(*LEFT_OUT, *SLOW)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failed` are files with Schemathesis's own words; `faults` are what the checker found in the log.

    `asked` are the operations that were sent anything, each as `METHOD /path`.
    """

    requests: int
    asked: frozenset[str]
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
    reports = [_report(folder / run.name) for run in RUNS]
    requests = sum(report["test_cases"]["generated"] for report in reports if report)
    asked = frozenset(operation for report in reports for operation in report.get("valid_rates", ()))
    return Outcome(requests, asked, messages, tuple(failed), faults)


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
        *("--phases", ",".join(run.phases)),
        *("--max-examples", str(FEW_EXAMPLES if run.phases == QUICK else MANY_EXAMPLES)),
        *("--request-timeout", "30", "--suppress-health-check", "all", "--no-color"),
        *("--report", "json", "--report-json-path", str(folder / "report.json"), "--generation-database", "none"),
        *run.options,
    )
    with child("schemathesis.cli", *command, cwd=folder, output=folder / "report.log") as process:
        return process.wait(seconds + MARGIN_S) == 0


def _report(folder: Path) -> dict[str, Any]:
    """Schemathesis's own; empty where there is none."""
    report = folder / "report.json"
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return found


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
