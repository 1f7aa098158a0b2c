"""The project that is measured, trained once: what has not changed since is not trained again."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.usage import Usage

REPOSITORY = Path(__file__).resolve().parents[1]
BUILD = REPOSITORY / "build" / "bench"
INITIAL_PROJECT = REPOSITORY.parent / "shared" / "golden" / "projects" / "init"
STARTER = REPOSITORY / "services" / "turnstream" / "cli" / "starter"
_PART = re.compile(r"\((\w+)\): ([\d.]+) s")


class BenchmarkError(Exception):
    """A process did not do what was measured; the message has the end of its output."""


@dataclass(frozen=True, slots=True)
class TrainingFigures:
    """Wall and processor seconds of a training with all its processes, the peak of their memory, and the seconds of
    each trained part, which are trained side by side.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    parts_s: dict[str, float]


def initial_project() -> Path:
    """The project that the peer's figures are about, or where that is not here, the one of `turnstream init`."""
    return INITIAL_PROJECT if INITIAL_PROJECT.is_dir() else STARTER


def trained(project: Path) -> Path:
    """The folder with the project's bundles, in `build/`; trains what is new."""
    run_training(project, BUILD / "models")
    return BUILD / "models"


def run_training(project: Path, out: Path, *options: str) -> TrainingFigures:
    """Raises BenchmarkError."""
    out.mkdir(parents=True, exist_ok=True)
    return run_measured([sys.executable, "-m", "turnstream.cli", "train", "--out", str(out), *options], project)


def run_measured(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> TrainingFigures:
    """Run a command that trains, in a folder. Raises BenchmarkError where it fails, OSError where it is not there."""
    log = BUILD / "train.log"
    start = time.perf_counter()
    with log.open("wb") as output:
        usage = Usage()
        code = usage.follow(subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=env))
    wall_s = time.perf_counter() - start
    text = log.read_text(encoding="utf-8", errors="replace")
    if code:
        raise BenchmarkError(f"training failed:\n{text[-2000:]}")
    parts = {name: float(seconds) for name, seconds in _PART.findall(text)}
    return TrainingFigures(wall_s, usage.cpu_s, usage.peak / 2**20, parts)
