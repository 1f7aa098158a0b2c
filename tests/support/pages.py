"""Runs what a page of the documentation shows, as its reader would type it, and compares what is printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from support.action_servers import free_port
from support.command_lines import words_of
from support.commands import PATIENCE_S, Running, environment

HOME = "/home/ada"
"""Where pages say that their reader is."""

PORT = 5005
TYPED = "you > "
FENCE = re.compile(r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?$")
VERSION = re.compile(r"\d{8}-\d{6}(?:-\d+)?")
SECONDS = re.compile(r"\d+\.\d+ s")
ANYTHING = "..."


@dataclass(frozen=True)
class Block:
    """A fenced block; `title` is the file that it is, or where a command is to be run."""

    place: str
    language: str
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page shows of its output; none: that is not compared."""

    place: str
    command: str
    shown: tuple[str, ...]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    begin, found, lines = 0, None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if found is None:
            begin, found, lines = number, FENCE.match(line), []
        elif line == "```":
            yield Block(f"{page.name}:{begin}", found["language"], found["title"] or "", tuple(lines))
            found = None
        else:
            lines.append(line)


def steps(block: Block) -> Iterator[Step]:
    """The commands of a console block: lines that begin with `$ `, with those that they go on in."""
    command, shown = "", list[str]()
    for line in block.lines:
        if line.startswith("$ "):
            if command:
                yield Step(block.place, command, tuple(shown))
            command, shown = line[2:], []
        elif command.endswith("\\"):
            command = f"{command[:-1]}{line.strip()}"
        else:
            shown.append(line)
    if command:
        yield Step(block.place, command, tuple(shown))


@dataclass
class Reader:
    """Follows pages in a folder of its own. `versions` are the bundles of the pages, by what they came to be here."""

    home: Path
    versions: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    differences: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._cwd = self.home
        self._serving = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.close()

    def enter(self, folder: str) -> Self:
        """Go on in this folder."""
        self._cwd = self.home / folder
        return self

    def follow(self, page: Path) -> int:
        """Do what the page shows; how many commands that were. What serves is ended with the page."""
        count = 0
        with ExitStack() as self._serving:
            for block in blocks(page):
                if block.language == "console" and not block.title:
                    for step in steps(block):
                        self._do(step)
                        count += 1
                elif block.language == "diff":
                    self._amend(block)
                elif block.title and block.language in ("yaml", "python"):
                    file = self._cwd / block.title
                    file.write_text("\n".join(block.lines) + "\n", encoding="utf-8")
        return count

    def do(self, command: str) -> None:
        """Run one command, whatever it prints; that it failed goes to `differences`."""
        self._do(Step("by itself", command, ()))

    def _do(self, step: Step) -> None:
        command = step.command.replace(str(PORT), str(self.port))
        for there, here in self.versions.items():
            command = command.replace(there, here)
        if command.endswith(" &"):
            arguments = words_of(command.removesuffix(" &"))[1:]
            serving = Running(*arguments, cwd=self._cwd, TURNSTREAM_GATEWAY_PORT=str(self.port))
            self._serving.enter_context(serving).until("is ready")
            self._compare(step, serving.lines, 0)
            return
        typed = "".join(f"{line.removeprefix(TYPED)}\n" for line in step.shown if line.startswith(TYPED))
        shown = tuple(line for line in step.shown if not line.startswith(TYPED))
        whereabouts = self.home / ".whereabouts"
        done = subprocess.run(
            ["bash", "-c", f"{command}\nstatus=$?\npwd > {whereabouts}\nexit $status"],
            cwd=self._cwd,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=environment(HOME=str(self.home), PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}"),
            timeout=PATIENCE_S,
            check=False,
        )
        self._cwd = Path(whereabouts.read_text(encoding="utf-8").strip())
        self._compare(Step(step.place, step.command, shown), done.stdout.splitlines(), done.returncode)

    def _compare(self, step: Step, printed: list[str], code: int) -> None:
        lines = [self._as_told(line) for line in printed]
        shown = [_collapsed(line) for line in step.shown if line.strip()]
        fails = any(line.startswith(("error: ", "Error: ")) for line in shown)
        if (code != 0) != fails or (shown and not self._matches(shown, lines)):
            self.differences.append(f"{step.place}: {step.command}: exit code {code}, printed\n" + "\n".join(lines))

    def _as_told(self, line: str) -> str:
        return _collapsed(line.replace(str(self.home), HOME).replace(str(self.port), str(PORT)))

    def _matches(self, shown: list[str], printed: list[str]) -> bool:
        left = [line for line in printed if line]
        for number, line in enumerate(shown):
            if line == ANYTHING:
                rest = shown[number + 1 :]
                return any(self._matches(rest, left[start:]) for start in range(len(left) + 1)) if rest else True
            if not left or not self._is(line, left.pop(0)):
                return False
        return not left

    def _is(self, shown: str, printed: str) -> bool:
        """The same but for times and versions; a version is remembered as what the page calls it."""
        names = VERSION.findall(shown)
        pattern = SECONDS.sub(lambda _: r"\d+\.\d+ s", re.escape(shown).replace(r"\ ", " ").replace(r"\.", "."))
        pattern = VERSION.sub(lambda _: f"({VERSION.pattern})", pattern.replace(r"\-", "-"))
        if pattern.endswith(f" {ANYTHING}"):
            pattern = f"{pattern.removesuffix(ANYTHING)}.*"
        found = re.fullmatch(pattern, printed)
        if found is None:
            return False
        self.versions.update(zip(names, found.groups(), strict=True))
        return True

    def _amend(self, block: Block) -> None:
        """Add the lines that begin with `+` behind those that stand before them in the file."""
        file = self._cwd / block.title
        lines = file.read_text(encoding="utf-8").splitlines()
        at = 0
        for line in block.lines:
            if line.startswith("+"):
                lines.insert(at, line[1:])
                at += 1
            else:
                assert line[1:] in lines[at:], f"{block.place}: {block.title} has no line {line[1:]!r} there"
                at = lines.index(line[1:], at) + 1
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _collapsed(line: str) -> str:
    return " ".join(line.split())
