"""Randomised crash tests: `python -m turnstream.testing.chaos --runs 500 --seed 1`, or `make chaos`.

Run N has the seed SEED + N; its plan (who says what and when, what breaks when) follows from that, and
`--seed S --runs 1` repeats it alone. Apache Kafka is started from Maven Central; with `--log sqlite` all processes
share one file. What a run that found something wrong left behind is kept in the folder.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from turnstream.testing.chaos import recovery
from turnstream.testing.chaos.plan import FaultKind, draw
from turnstream.testing.chaos.run import Outcome, Patience, run
from turnstream.testing.chaos.stage import KafkaStage, SqliteStage, Stage
from turnstream.testing.kafka_broker import BrokerUnavailable


def main() -> int:
    arguments = _arguments()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        if arguments.measure_recovery:
            found = asyncio.run(recovery.measure(arguments.measure_recovery, arguments.pause, folder, _say))
            _say(f"all kills: {found}")
            return 0
        outcomes = asyncio.run(_all(arguments, folder))
    except BrokerUnavailable as error:
        _say(str(error))
        return 2
    _say(summary(outcomes))
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first run (default: the time)")
    parser.add_argument("--jobs", type=int, default=4, help="runs at the same time (default: %(default)s)")
    parser.add_argument("--log", choices=("kafka", "sqlite"), default="kafka", help="(default: %(default)s)")
    parser.add_argument(
        "--patience", type=float, default=1.0, help="factor on all time limits, for a busy machine (default: 1)"
    )
    parser.add_argument("--folder", type=Path, help="where to keep things (default: a temporary folder)")
    parser.add_argument(
        "--measure-recovery",
        type=int,
        metavar="KILLS",
        help="instead of the runs: kill a replica so often, with default settings, and tell how long it is missed",
    )
    parser.add_argument(
        "--pause",
        type=float,
        default=1.0,
        metavar="S",
        help="with --measure-recovery: how long those who talk pause after an answer (default: %(default)s)",
    )
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _all(arguments: argparse.Namespace, folder: Path) -> list[Outcome]:
    task = asyncio.current_task()
    assert task is not None
    # So that brokers and processes are ended also then.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    # Brokers are started and killed in threads, clients of Kafka are opened in threads.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16 + 4 * arguments.jobs))
    stage: Stage = SqliteStage() if arguments.log == "sqlite" else KafkaStage(folder)
    seeds = iter(range(arguments.seed, arguments.seed + arguments.runs))
    _say(f"{arguments.runs} runs on {arguments.log}, seeds from {arguments.seed}, {arguments.jobs} at a time; {folder}")
    outcomes: list[Outcome] = []

    async def work() -> None:
        for seed in seeds:
            plan = draw(seed, stage.odds)
            outcome = await run(plan, stage, folder / f"seed-{seed}", Patience().times(arguments.patience))
            outcomes.append(outcome)
            _say(_line(outcome, len(outcomes), arguments.runs))

    try:
        await asyncio.gather(*(work() for _ in range(arguments.jobs)))
    finally:
        await stage.close()
    return outcomes


def _line(outcome: Outcome, number: int, of: int) -> str:
    verdict = "WRONG" if outcome.faults else "right"
    counts = f"{len(outcome.heard)} turns, {outcome.attempts} attempts, {sum(outcome.failures.values())} failed"
    line = f"{number}/{of} {verdict} in {outcome.seconds:.1f} s, {counts}; {outcome.plan}"
    return "\n".join([line, *(f"    {fault}" for fault in outcome.faults)])


def summary(outcomes: Sequence[Outcome]) -> str:
    """Figures of all runs, and the seeds to look at."""
    wrong = [outcome for outcome in outcomes if outcome.faults]
    kinds = Counter(str(fault.kind) for outcome in outcomes for fault in outcome.plan.faults)
    points = Counter(
        fault.point.partition(":")[0]
        for outcome in outcomes
        for fault in outcome.plan.faults
        if fault.kind is FaultKind.CRASH_POINT
    )
    reached = Counter(
        line.rpartition(" at ")[2].partition(":")[0]
        for outcome in outcomes
        for line in outcome.done
        if " at " in line and "ended" in line
    )
    lines = [
        f"{len(outcomes)} runs, {sum(len(o.heard) for o in outcomes)} turns, {len(wrong)} runs with faults",
        "struck: " + ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())),
        "crash points: " + ", ".join(f"{p} {reached[p]} of {count}" for p, count in sorted(points.items())),
    ]
    lines += [f"seed {o.plan.seed}: {len(o.faults)} faults, first: {o.faults[0]}; see {o.folder}" for o in wrong]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
