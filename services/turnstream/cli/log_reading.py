"""What the commands that read the turn log share: which log it is, how the reading goes, where the result goes."""

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from turnstream.cli.errors import CommandError
from turnstream.cli.options import FILE, NAME_OF_FILE, LogChoice, read_settings
from turnstream.cli.turn_logs import KINDS, open_turn_log, turn_log_place
from turnstream.replay.places import PlaceError, parse_moment, parse_places
from turnstream.replay.selection import Reading
from turnstream.runtime.settings import Settings
from turnstream.turnlog.errors import AccessDenied, IncompatibleLog
from turnstream.turnlog.interface import TurnLog

F = TypeVar("F", bound=Callable[..., Any])

KAFKA = "kafka"
CONNECTED_WITHIN_S = 15.0


def log_place_options(command: F) -> F:
    """`--log --settings`; the command gets them as `place` and `file`."""
    for option in (
        click.option("--settings", "file", type=FILE, help="Settings as YAML."),
        click.option(
            "--log",
            "place",
            type=NAME_OF_FILE,
            metavar="PATH|kafka",
            help="File of the turn log, or the word kafka.  [default: as the settings say]",
        ),
    ):
        command = option(command)
    return command


def log_settings(place: str | None, file: Path | None, log: LogChoice) -> Settings:
    """Settings with the log that was named. Raises CommandError."""
    overrides: dict[str, str | int | float | bool | None] = {"log.level": log.level_or("warning", file)}
    if place == KAFKA:
        overrides["turn_log.kind"] = "kafka"
    elif place is not None:
        overrides |= {"turn_log.kind": "sqlite", "turn_log.path": place}
    settings = read_settings(file, overrides)
    if settings.turn_log.kind not in KINDS:
        raise CommandError(
            f"turn_log.kind: no '{settings.turn_log.kind}' here; turns are kept in {' or '.join(KINDS)}."
        )
    log.begin(settings.log)
    return settings


@asynccontextmanager
async def opened_log(settings: Settings, *, must_exist: bool = True) -> AsyncIterator[TurnLog]:
    """Raises CommandError where there is no such log, or it cannot be opened."""
    where = turn_log_place(settings)
    if must_exist:
        _require_file(settings)
    try:
        log = open_turn_log(settings)
    except IncompatibleLog as error:
        raise CommandError(str(error)) from error
    except (OSError, sqlite3.OperationalError) as error:
        raise CommandError(f"{where}: the turn log cannot be opened: {error}.") from error
    try:
        await _connected(log, where)
        yield log
    finally:
        await log.close()


def _require_file(settings: Settings) -> None:
    path = settings.turn_log.path
    if settings.turn_log.kind == "sqlite" and not Path(path).is_file():
        raise CommandError(f"{path}: no turn log here. Name it with --log; 'turnstream run' makes one.")


async def _connected(log: TurnLog, where: str) -> None:
    ready = getattr(log, "ready", None)
    if ready is None:
        return
    try:
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            await ready()
    except TimeoutError as error:
        raise CommandError(f"{where}: no answer within {CONNECTED_WITHIN_S:g} s.") from error
    except (IncompatibleLog, AccessDenied) as error:
        raise CommandError(str(error)) from error


class Places(click.ParamType):  # type: ignore[type-arg]
    """`PARTITION:OFFSET`, several separated by commas."""

    name = "PARTITION:OFFSET"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[int, int]:
        try:
            return value if isinstance(value, dict) else parse_places([value])
        except PlaceError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType):  # type: ignore[type-arg]
    """ISO 8601, or seconds since the epoch."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_moment(value)
        except PlaceError as error:
            self.fail(str(error), param, ctx)


def merged_places(given: tuple[dict[int, int], ...]) -> dict[int, int]:
    """Of a repeated option. Raises CommandError where a partition is named twice."""
    places: dict[int, int] = {}
    for part in given:
        if twice := places.keys() & part.keys():
            raise CommandError(f"Partition {min(twice)} is named twice.")
        places |= part
    return places


@contextmanager
def whole_output(file: Path | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is there only once all of it was written."""
    if file is None:
        yield sys.stdout
        return
    if not file.parent.is_dir():
        raise CommandError(f"{file.parent} is no folder.")
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}-", delete=False
    ) as partial:
        path = Path(partial.name)
        try:
            yield partial
            partial.flush()
            path.chmod(0o644)
            path.replace(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


class ReadingBar:
    """How far the reading of a log is, on standard error, where somebody watches."""

    def __init__(self, what: str) -> None:
        console = Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn(what),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} partitions"),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task("", total=1, counts="")

    def __call__(self, reading: Reading) -> None:
        counts = f"{reading.turns:,} turns, {reading.events:,} events, {reading.conversations:,} conversations"
        self._bars.update(self._task, completed=reading.partitions, total=max(1, reading.of_partitions), counts=counts)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
