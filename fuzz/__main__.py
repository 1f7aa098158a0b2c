"""`make fuzz SECONDS=60`: hostile requests to a running assistant, while hostile bytes go to every reader.

The two run beside each other, each for the whole time; the readers share theirs. Ends with 1 where anything was found,
after saying how it is repeated.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.children import child
from fuzz.rest import fuzz_rest
from fuzz.targets import TARGETS

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".cache" / "fuzz"
CASES = Path(__file__).resolve().parent / "cases"
MARGIN_S = 120.0
FINDINGS = ("crash-", "oom-", "timeout-", "leak-")


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of one target."""

    name: str
    executions: int
    seconds: float
    code: int
    findings: tuple[Path, ...]

    @property
    def is_good(self) -> bool:
        return self.code == 0 and not self.findings


def fuzz_target(name: str, seconds: int, seed: int) -> Reading:
    """Inputs that were found before, and those that are kept, are the beginning."""
    folder = WORK / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for kept in (CASES / name).glob("*"):
        shutil.copy(kept, corpus)
    before, started = _findings(folder), time.monotonic()
    with child("fuzz.coverage", name, folder, seconds, seed, cwd=ROOT, output=folder / "report.log") as process:
        code = process.wait(seconds + MARGIN_S)
    took = time.monotonic() - started
    return Reading(name, _executions(folder / "report.log"), took, code, tuple(_findings(folder) - before))


def _findings(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if path.name.startswith(FINDINGS)}


def _executions(report: Path) -> int:
    for line in report.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("stat::number_of_executed_units:"):
            return int(line.rpartition(":")[2])
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _tell(reading: Reading) -> None:
    verdict = "ok" if reading.is_good else f"FAILED, see {_shown(WORK / reading.name / 'report.log')}"
    _say(f"{reading.name}: {reading.executions} inputs in {reading.seconds:.0f} s: {verdict}")
    for path in reading.findings:
        _say(f"  repeat it: .venv/bin/python -m fuzz --repeat {reading.name} {_shown(path)}")
        _say(f"  once mended, keep it: cp {_shown(path)} fuzz/cases/{reading.name}/")


def _shown(path: Path) -> str:
    return os.path.relpath(path, ROOT)


def fuzz_readers(names: Sequence[str], seconds: int, seed: int) -> bool:
    share = max(2, seconds // len(names))
    readings = []
    for name in names:
        readings.append(fuzz_target(name, share, seed))
        _tell(readings[-1])
    return all(reading.is_good for reading in readings)


def fuzz_door(seconds: int, seed: int) -> bool:
    outcome = fuzz_rest(WORK / "rest", seconds, seed)
    asked = f"{outcome.requests} requests to {len(outcome.asked)} routes"
    _say(f"rest: {asked}, {outcome.messages} messages accepted, seed {seed}:")
    for report in outcome.failed:
        _say(f"  FAILED: {_shown(report)} says what, and how to repeat it")
    for fault in outcome.faults:
        _say(f"  FAILED: the log: {fault}")
    if outcome.is_good:
        _say("  ok: every answer is as described, and the log has every message's turn")
    return outcome.is_good


def everything(seconds: int, seed: int) -> bool:
    """Readers and door beside each other."""
    verdicts: list[bool] = []

    def readers() -> None:
        verdicts.append(fuzz_readers(list(TARGETS), seconds, seed))

    beside = threading.Thread(target=readers, daemon=True)
    beside.start()
    verdicts.append(fuzz_door(seconds, seed))
    beside.join()
    return len(verdicts) == 2 and all(verdicts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 10_000), help="of requests and inputs")
    parser.add_argument("--only", choices=[*TARGETS, "rest"])
    parser.add_argument("--repeat", nargs=2, metavar=("TARGET", "FILE"), help="give one input to a target")
    asked = parser.parse_args()
    if asked.repeat:
        TARGETS[asked.repeat[0]](Path(asked.repeat[1]).read_bytes())
        return 0
    if asked.only == "rest":
        return 0 if fuzz_door(asked.seconds, asked.seed) else 1
    if asked.only:
        return 0 if fuzz_readers([asked.only], asked.seconds, asked.seed) else 1
    return 0 if everything(asked.seconds, asked.seed) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
