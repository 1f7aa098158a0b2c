"""What a person reads: refusals, progress while training, and the summary after it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from turnstream.assistant.problems import ProjectError
from turnstream.cli.counting import counted
from turnstream.models.training_loop import TrainingProgress
from turnstream.training.parts import PartOutcome
from turnstream.training.train import TrainingResult

UNLIMITED = 10_000
"""Columns of an output that is no terminal: no line is broken there."""


def terminal() -> Console:
    """Standard output."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=UNLIMITED)


def refusal(error: ProjectError) -> str:
    """All problems of a project, one a line, and how many there are."""
    lines = [f"error: {problem}" for problem in error.problems]
    return "\n".join([*lines, f"{counted(len(lines), 'error')}; nothing was done."])


class ProgressReporter:
    """A progress bar for each part under training; a line for each that is done where nobody watches."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, part: str) -> None:
        self._tasks[part] = self._bars.add_task(part, total=1, figures="")

    def progress(self, part: str, progress: TrainingProgress) -> None:
        loss = f"loss {progress.metrics['loss']:.3f}" if "loss" in progress.metrics else ""
        self._bars.update(self._tasks[part], completed=progress.epoch, total=progress.epochs, figures=loss)

    def end(self, outcome: PartOutcome) -> None:
        self._bars.remove_task(self._tasks[outcome.name])
        self._console.print(f"{outcome.name}: {_time(outcome)}")


def print_result(console: Console, result: TrainingResult) -> None:
    """Warnings, what was read, what each part came to, and where the bundle is."""
    for warning in result.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
    console.print(", ".join(counted(count, _singular(name)) for name, count in result.facts.items() if count))
    if result.outcomes:
        console.print(_table(result.outcomes))
    if result.is_new:
        console.print(f"Your assistant is trained: {result.path}")
    else:
        console.print(f"Nothing has changed since {result.path} was trained (--force trains anew).")


def _table(outcomes: tuple[PartOutcome, ...]) -> Table:
    table = Table("part", "time", "figures of the last epoch", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for outcome in outcomes:
        table.add_row(outcome.name, _time(outcome), _figures(outcome.metrics))
    return table


def _time(outcome: PartOutcome) -> str:
    return "unchanged, reused" if outcome.reused else f"{outcome.seconds:.1f} s"


def _figures(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in metrics.items())


def _singular(name: str) -> str:
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")
