"""`turnstream import`: conversations of a Rasa tracker store, or of an export, into the turn log."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problem, ProjectError
from turnstream.cli.counting import counted
from turnstream.cli.errors import CommandError, missing
from turnstream.cli.examples import examples
from turnstream.cli.log_reading import log_place_options, log_settings, opened_log
from turnstream.cli.options import FILE, LogChoice, ManyValues, log_options
from turnstream.replay.import_worker import Importer, ImportFailed, importer
from turnstream.replay.importing import Plan, plan, present_events, read_conversation
from turnstream.replay.sources import RawConversation, Source, open_source
from turnstream.runtime.settings import Settings

NOTHING = (
    "Nothing was imported. What can be: the SQLite file of a Rasa tracker store, a dump or CSV of it, "
    "trackers as JSON, or what 'turnstream export' wrote."
)
SIDE_BY_SIDE = 64
"""Conversations at once: their turns are committed together."""


@dataclass(slots=True)
class Outcome:
    """`problems` and `conflicts` keep a conversation out, all of it."""

    imported: int = 0
    events: int = 0
    unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)
    refused: int = 0
    conflicts: list[str] = field(default_factory=list)


@click.command(
    "import", cls=ManyValues, epilog=examples("turnstream import rasa.db --dry-run", "turnstream import rasa.db")
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@log_place_options
@click.option("--keep-unknown", is_flag=True, help="Keep events of types that are not known here; they have no effect.")
@click.option("--dry-run", is_flag=True, help="Check the files, and tell what would be imported.")
@log_options
def import_(
    files: tuple[Path, ...], place: str | None, file: Path | None, keep_unknown: bool, dry_run: bool, log: LogChoice
) -> None:
    """Bring in FILES: the SQLite file, a dump or CSV of a Rasa tracker store, trackers as JSON, or what `export` wrote.

    Importing again changes nothing; a conversation that has gone on since gets what is new.
    """
    settings = log_settings(place, file, log)
    sources = _sources(files)
    outcome = asyncio.run(_import(settings, sources, keep_unknown=keep_unknown, dry_run=dry_run))
    _tell(outcome, "would be imported" if dry_run else "imported")


def _sources(files: Sequence[Path]) -> list[Source]:
    """Raises CommandError: a file that cannot be understood stops all, before anything is written."""
    sources: list[Source] = []
    problems: list[Problem] = []
    whose: dict[str, Path] = {}
    for path in files:
        if not path.exists():
            raise missing(path)
        try:
            source = open_source(path)
            for conversation_id in source.conversation_ids():
                if conversation_id in whose:
                    message = f"conversation '{conversation_id}' is in {whose[conversation_id]} too."
                    problems.append(Problem(Location(str(path)), message))
                whose[conversation_id] = path
            sources.append(source)
        except ProjectError as error:
            problems += error.problems
    if problems:
        raise CommandError("\n".join([*(f"error: {p}" for p in problems), NOTHING]))
    return sources


async def _import(settings: Settings, sources: Sequence[Source], *, keep_unknown: bool, dry_run: bool) -> Outcome:
    outcome = Outcome()
    ids = frozenset().union(*(source.conversation_ids() for source in sources))
    async with opened_log(settings, must_exist=False) as log:
        present = await present_events(log, ids)
        with _bar() as bar:
            task = bar.add_task("importing", total=len(ids))

            def plans() -> Iterator[Plan]:
                for raw in _conversations(sources):
                    conversation = read_conversation(raw, keep_unknown=keep_unknown)
                    if conversation.problems:
                        outcome.problems += conversation.problems
                        outcome.refused += 1
                        bar.advance(task)
                    else:
                        yield plan(conversation, present)

            if dry_run:
                for planned in plans():
                    _note(planned, outcome)
                    bar.advance(task)
                return outcome
            async with importer(log) as carrier:
                room = asyncio.Semaphore(SIDE_BY_SIDE)
                async with asyncio.TaskGroup() as group:
                    for planned in plans():
                        await room.acquire()
                        done = group.create_task(_carry_out(carrier, planned, outcome))
                        done.add_done_callback(lambda _: room.release())
                        done.add_done_callback(lambda _: bar.advance(task))
    return outcome


def _conversations(sources: Sequence[Source]) -> Iterator[RawConversation]:
    try:
        for source in sources:
            yield from source.conversations()
    except ProjectError as error:
        raise CommandError("\n".join(f"error: {p}" for p in error.problems)) from error


async def _carry_out(carrier: Importer, planned: Plan, outcome: Outcome) -> None:
    try:
        await carrier.carry_out(planned)
    except ImportFailed as error:
        outcome.conflicts.append(f"conversation '{planned.conversation_id}' is not imported in full: {error}")
        return
    _note(planned, outcome)


def _note(planned: Plan, outcome: Outcome) -> None:
    if planned.conflict:
        outcome.conflicts.append(f"conversation '{planned.conversation_id}' was left out: {planned.conflict}")
    elif planned.messages:
        outcome.imported += 1
        outcome.events += planned.events
    else:
        outcome.unchanged += 1


def _bar() -> Progress:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("importing"), BarColumn(bar_width=24), MofNCompleteColumn())
    return Progress(
        *columns, TextColumn("conversations"), TimeElapsedColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip


def _tell(outcome: Outcome, done: str) -> None:
    """Raises CommandError where a conversation was left out."""
    click.echo(
        f"{counted(outcome.imported, 'conversation')} with {counted(outcome.events, 'event')} {done}; "
        f"{outcome.unchanged} were there already."
    )
    left_out = outcome.refused + len(outcome.conflicts)
    if left_out:
        lines = [*(f"error: {p}" for p in outcome.problems), *(f"error: {c}." for c in outcome.conflicts)]
        raise CommandError("\n".join([*lines, f"{left_out} conversations were left out."]))
