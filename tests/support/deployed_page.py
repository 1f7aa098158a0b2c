"""Follows a page about a cluster, one section after the other, as `support.pages` follows those about one machine."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.commands import environment
from support.pages import Block, Reader, Step, blocks, steps

HEADING = re.compile(r"#{2,3} (.+)")
FORWARDING = "Forwarding from"
COMMAND_TIMEOUT_S = 1200
FORWARD_TIMEOUT_S = 120.0
LOOK_S = 0.1


def sections(page: Path) -> Iterator[tuple[str, list[Block]]]:
    """The headings of a page with the blocks below each, in order; headings without blocks are left out."""
    lines = page.read_text(encoding="utf-8").splitlines()
    found: dict[str, list[Block]] = {}
    for block in blocks(page):
        above = lines[: int(block.place.rpartition(":")[2])]
        heading = next(match[1] for line in reversed(above) if (match := HEADING.fullmatch(line)))
        found.setdefault(heading, []).append(block)
    yield from found.items()


@dataclass
class ClusterReader(Reader):
    """`own` is what the page calls otherwise than it is here; `done_before` are commands that need not be run again.

    `settings` go to the environment of every command.
    """

    own: Mapping[str, str] = field(default_factory=dict)
    done_before: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._forwards = contextlib.ExitStack()

    def __exit__(self, *exception: object) -> None:
        self._forwards.close()
        super().__exit__(*exception)

    def follow_blocks(self, found: Sequence[Block]) -> int:
        """Write the files and run the commands; how many those were."""
        count = 0
        for block in found:
            if block.language == "console":
                for step in steps(block):
                    self._do(step)
                    count += 1
            elif block.title:
                (self.home / block.title).write_text(self._here("\n".join(block.lines)) + "\n", encoding="utf-8")
        return count

    def _here(self, text: str) -> str:
        for there, here in (*self.own.items(), *self.versions.items()):
            text = text.replace(there, here)
        return text

    def _as_told(self, line: str) -> str:
        for there, here in self.own.items():
            line = line.replace(here, there) if here.startswith("/") else line
        return super()._as_told(line)

    def _do(self, step: Step) -> None:
        if any(re.match(pattern, step.command) for pattern in self.done_before):
            return
        command = self._here(step.command)
        variables = environment(**self.settings)
        if command.endswith(" &"):
            self._forward(command.removesuffix(" &"), variables)
            return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=variables,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        self._compare(step, done.stdout.splitlines(), done.returncode)

    def _forward(self, command: str, variables: Mapping[str, str]) -> None:
        """Start `kubectl port-forward` for as long as the page is followed. Raises AssertionError."""
        printed = self.home / f"forward-{len(list(self.home.glob('forward-*')))}"
        with printed.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.home,
                env=variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._forwards.callback(_end, process)
        _await_text(printed, FORWARDING, process)


def _await_text(printed: Path, text: str, process: "subprocess.Popen[bytes]") -> None:
    pause = threading.Event()
    for _ in range(int(FORWARD_TIMEOUT_S / LOOK_S)):
        said = printed.read_text(encoding="utf-8")
        if text in said:
            return
        assert process.poll() is None, said
        pause.wait(LOOK_S)
    raise AssertionError(f"{text!r} was not said within {FORWARD_TIMEOUT_S:g} s")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


def path_with(*folders: Path) -> str:
    """PATH with the folder of this Python and those given before the rest."""
    return os.pathsep.join([str(Path(sys.executable).parent), *map(str, folders), os.environ["PATH"]])
