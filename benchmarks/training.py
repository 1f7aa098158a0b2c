"""Training everything anew, where the peer is installed by turns with the peer, so that both meet the same load."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.project import BUILD, BenchmarkError, TrainingFigures, run_measured, run_training


@dataclass(frozen=True, slots=True)
class TrainingRuns:
    """In the order of the runs; `peer` is empty where it is not installed."""

    ours: tuple[TrainingFigures, ...]
    peer: tuple[TrainingFigures, ...] = ()


def median_training(runs: Sequence[TrainingFigures]) -> TrainingFigures:
    """Figure by figure; the highest peak of memory."""
    names = runs[0].parts_s
    return TrainingFigures(
        statistics.median(run.wall_s for run in runs),
        statistics.median(run.cpu_s for run in runs),
        max(run.peak_mb for run in runs),
        {name: statistics.median(run.parts_s[name] for run in runs) for name in names},
    )


def measure_training(project: Path, rasa: str | None, runs: int) -> TrainingRuns:
    """rasa: the peer's command, None where it is not installed: then one run must do. Raises BenchmarkError."""
    ours: list[TrainingFigures] = []
    peer: list[TrainingFigures] = []
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="training-") as folder:
        # The peer writes into the project, and may not find a cache of an earlier run there.
        for run in range(runs if rasa else 1):
            if rasa:
                copy = Path(folder) / f"peer-{run}"
                shutil.copytree(project, copy, ignore=shutil.ignore_patterns("models", "results", ".rasa"))
                peer.append(_run_peer(rasa, copy))
            ours.append(run_training(project, Path(folder) / f"ours-{run}", "--force"))
    return TrainingRuns(tuple(ours), tuple(peer))


def _run_peer(rasa: str, project: Path) -> TrainingFigures:
    for place in (project, *project.rglob("*")):
        place.chmod(place.stat().st_mode | 0o200)
    command = [rasa, "train", "--force", "--out", str(project / "models")]
    try:
        return run_measured(command, project, {**os.environ, "RASA_TELEMETRY_ENABLED": "false"})
    except OSError as error:
        raise BenchmarkError(f"the peer's command cannot be run: {error}") from error
