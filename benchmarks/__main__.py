"""`python -m benchmarks [turns] [start] [memory] [limits] [training] [models] [kafka] [restore] [replay]`."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import click
from rich.console import Console
from turnstream.assistant.bundle import find_bundle

from benchmarks.figures import RECORDED_PEER
from benchmarks.limits import Limits, measure_limits
from benchmarks.measure import Effort, PlacementFigures, measure_peer, measure_placement
from benchmarks.model_server import ModelServerFigures, measure_model_server
from benchmarks.project import BUILD, BenchmarkError, initial_project, trained
from benchmarks.replay import ReplayFigures, measure_replay, synthetic_log
from benchmarks.report import Results, print_results, promises, write_json
from benchmarks.restore import RestoreFigures, measure_restore
from benchmarks.serving import PLACEMENTS
from benchmarks.training import measure_training
from benchmarks.turn_logs import TurnLogFigures, measure_turn_logs, running_broker

WHAT = ("turns", "start", "memory", "limits", "training", "models", "kafka", "restore", "replay")
REPLAYED_EVENTS = 1_000_000
JSON_FILE = BUILD.parent / "bench.json"


@click.command()
@click.argument("what", nargs=-1, type=click.Choice(WHAT))
@click.option("--peer", metavar="URL", help="A peer that serves the same project; else its recorded figures count.")
@click.option(
    "--rasa",
    metavar="COMMAND",
    envvar="TURNSTREAM_BENCH_RASA",
    help="The peer's command, to train by turns with; without it the recorded figures count.",
)
@click.option("--project", type=click.Path(path_type=Path, exists=True), help="Another project than the initial one.")
@click.option("--placement", multiple=True, type=click.Choice(PLACEMENTS), help="One placement instead of both.")
@click.option("--runs", default=3, show_default=True, help="Repetitions; medians are quoted.")
def main(
    what: tuple[str, ...],
    peer: str | None,
    rasa: str | None,
    project: Path | None,
    placement: tuple[str, ...],
    runs: int,
) -> None:
    """Measure what is named, everything where nothing is; exit with 1 where a promise is not kept."""
    wanted = frozenset(what or WHAT)
    console = Console(width=None if sys.stdout.isatty() else 110)
    source = (project or initial_project()).resolve()
    try:
        results = asyncio.run(_measure(wanted, source, placement or PLACEMENTS, peer, rasa, runs))
    except BenchmarkError as error:
        raise click.ClickException(str(error)) from error
    print_results(console, results)
    print(write_json(JSON_FILE, results))
    if not all(promise.is_kept for promise in promises(results)):
        sys.exit(1)


async def _measure(
    wanted: frozenset[str],
    project: Path,
    placements: Collection[str],
    peer: str | None,
    rasa: str | None,
    runs: int,
) -> Results:
    BUILD.mkdir(parents=True, exist_ok=True)
    load_average = os.getloadavg()[0]
    effort = Effort(starts=runs if "start" in wanted else 1, runs=runs)
    limits: Limits | None = await measure_limits(BUILD) if "limits" in wanted else None
    training = measure_training(project, rasa, runs) if "training" in wanted else None
    models_served = await _measure_model_server(project, runs) if "models" in wanted else None
    figures: list[PlacementFigures] = []
    if wanted & {"turns", "start", "memory"}:
        models = trained(project)
        chosen = [p for p in PLACEMENTS if p in placements]
        figures = [await measure_placement(models, p, effort, turns="turns" in wanted) for p in chosen]
    against = await measure_peer(peer, effort) if peer else RECORDED_PEER
    logs: TurnLogFigures | None = await measure_turn_logs(trained(project), runs) if "kafka" in wanted else None
    restore = await _measure_restore() if "restore" in wanted else None
    replay = await _measure_replay() if "replay" in wanted else None
    return Results(against, load_average, limits, tuple(figures), training, models_served, logs, restore, replay)


async def _measure_model_server(project: Path, runs: int) -> ModelServerFigures:
    return await measure_model_server(find_bundle(trained(project)), project / "data" / "nlu.yml", runs)


async def _measure_restore() -> RestoreFigures:
    with running_broker() as broker:
        return await measure_restore(broker.address)


async def _measure_replay() -> ReplayFigures:
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="replay-") as folder:
        async with synthetic_log(Path(folder), REPLAYED_EVENTS) as log:
            return await measure_replay(log)


if __name__ == "__main__":
    main()
