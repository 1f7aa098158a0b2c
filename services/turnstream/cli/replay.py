"""`turnstream replay`: trackers as of any moment from the log, its check, and the same messages with another model."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from turnstream.cli.bundle_domains import BundleDomains
from turnstream.cli.counting import counted
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.log_reading import (
    Moment,
    Places,
    ReadingBar,
    log_place_options,
    log_settings,
    merged_places,
    opened_log,
    whole_output,
)
from turnstream.cli.options import DEFAULT_MODELS, FILE, LogChoice, ManyValues, log_options
from turnstream.cli.summary import UNLIMITED
from turnstream.dialogue.rasa_json import tracker_to_rasa
from turnstream.dialogue.slots import SlotClassError
from turnstream.replay.places import PlaceError, check_partitions
from turnstream.replay.rebuild import DomainOf, Rebuilt, rarely_collected, rebuild
from turnstream.replay.selection import Selection
from turnstream.runtime.settings import Settings
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import Undecodable


@dataclass(frozen=True, slots=True)
class ComparisonChoice:
    """What the command line says about running messages again, see `cli.comparison`."""

    model: Path
    endpoints: Path | None
    json_file: Path | None
    free: bool
    call_actions: bool
    fail_on_difference: bool


@click.command(
    cls=ManyValues,
    epilog=examples(
        "turnstream replay --summary",
        "turnstream replay --conversation ada --until 2026-11-22T08:00:00Z",
        "turnstream replay --model models/20261122-101500 --fail-on-difference",
    ),
)
@log_place_options
@click.option(
    "--conversation", "conversations", multiple=True, metavar="ID", help="This conversation; may be repeated."
)
@click.option("--until", type=Moment(), help="As of this moment: 2026-11-22T08:00:00Z, or seconds since the epoch.")
@click.option(
    "--until-offset",
    "until_offsets",
    type=Places(),
    multiple=True,
    help="As of this offset of a partition, with it; may be repeated. Partitions that are not named count in full.",
)
@click.option(
    "--bundles",
    type=FILE,
    default=DEFAULT_MODELS,
    show_default=True,
    help="Bundle, or folder of them, that says which slots there are.",
)
@click.option("--summary", is_flag=True, help="A table in place of the trackers' JSON.")
@click.option("-o", "--output", type=FILE, help="Write here, all or nothing.  [default: standard output]")
@click.option("--check", is_flag=True, help="Look for lost, doubled, reordered and torn turns instead.")
@click.option("-m", "--model", type=FILE, help="Answer the recorded messages with this bundle, and tell what differs.")
@click.option("--json", "json_file", type=FILE, help="With --model: write the comparison here too.")
@click.option("--free", is_flag=True, help="With --model: let each conversation go on with the new answers.")
@click.option("--call-actions", is_flag=True, help="With --model: call the action server. Its effects are real.")
@click.option("--endpoints", type=FILE, help="With --call-actions: where it is.  [default: endpoints.yml]")
@click.option("--fail-on-difference", is_flag=True, help="With --model: exit with 1 where anything differs.")
@log_options
def replay(
    place: str | None,
    file: Path | None,
    conversations: tuple[str, ...],
    until: float | None,
    until_offsets: tuple[dict[int, int], ...],
    bundles: Path,
    summary: bool,
    output: Path | None,
    check: bool,
    model: Path | None,
    json_file: Path | None,
    free: bool,
    call_actions: bool,
    endpoints: Path | None,
    fail_on_difference: bool,
    log: LogChoice,
) -> None:
    """Rebuild trackers from the turn log, one JSON line each, as GET /conversations/{id}/tracker gives them."""
    settings = log_settings(place, file, log)
    selection = Selection(frozenset(conversations), merged_places(until_offsets), until)
    if check:
        asyncio.run(_check(settings))
        return
    if model is not None:
        from turnstream.cli.comparison import run_comparison

        choice = ComparisonChoice(model, endpoints, json_file, free, call_actions, fail_on_difference)
        run_comparison(settings, selection, choice)
        return
    domains = BundleDomains(bundles)
    with whole_output(output) as stream:
        write = _Summary(stream) if summary else _JsonLines(stream)
        damaged = asyncio.run(_rebuild(settings, selection, domains, write.add))
        write.end()
    for version in sorted(domains.missing):
        click.echo(f"note: no bundle of version '{version}' here; the newest one's domain was taken.", err=True)
    if damaged:
        raise CommandError(
            "\n".join([*map(str, damaged), f"{len(damaged)} records could not be read; their events are missing."])
        )


async def _rebuild(
    settings: Settings, selection: Selection, domains: DomainOf, write: Callable[[Rebuilt], None]
) -> list[Undecodable]:
    damaged: list[Undecodable] = []
    found: set[str] = set()
    async with opened_log(settings) as log:
        try:
            check_partitions(selection.until_offsets, log.partitions)
            with ReadingBar("replaying") as bar, rarely_collected():
                async for rebuilt in rebuild(log, domains, selection, bar):
                    damaged += rebuilt.damaged
                    found.add(rebuilt.conversation_id)
                    if rebuilt.turns:
                        write(rebuilt)
        except (PlaceError, SlotClassError) as error:
            raise CommandError(f"{error}.") from error
    if absent := selection.conversations - found:
        named = ", ".join(f"'{conversation_id}'" for conversation_id in sorted(absent))
        how = "'turnstream replay --summary' lists what it holds."
        raise CommandError(f"The log holds nothing of {named} up to there; {how}")
    return damaged


class _JsonLines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def add(self, rebuilt: Rebuilt) -> None:
        tracker = tracker_to_rasa(rebuilt.dialogue.tracker, rebuilt.dialogue.events)
        self._stream.write(json.dumps(tracker, ensure_ascii=False) + "\n")

    def end(self) -> None:
        pass


class _Summary:
    def __init__(self, stream: IO[str]) -> None:
        console = Console(file=stream, highlight=False)
        self._console = console if console.is_terminal else Console(file=stream, highlight=False, width=UNLIMITED)
        columns = ("conversation", "turns", "events", "version", "latest intent", "latest action", "slots")
        self._table = Table(*columns, box=None, pad_edge=False, padding=(0, 3, 0, 0))
        self._counts = [0, 0, 0]

    def add(self, rebuilt: Rebuilt) -> None:
        tracker = rebuilt.dialogue.tracker
        intent = tracker.latest_message.parse_data.intent.name if tracker.latest_message else None
        slots = ", ".join(f"{name}={value!r}" for name, value in tracker.slots.items() if value is not None)
        counted = (str(rebuilt.turns), str(rebuilt.dialogue.event_count))
        cells = (rebuilt.conversation_id, *counted, rebuilt.bundle_version, intent, tracker.latest_action_name, slots)
        self._table.add_row(*(Text(cell or "-") for cell in cells))
        for place, count in enumerate((1, rebuilt.turns, rebuilt.dialogue.event_count)):
            self._counts[place] += count

    def end(self) -> None:
        self._console.print(self._table)
        counts = zip(self._counts, ("conversation", "turn", "event"), strict=True)
        self._console.print(", ".join(counted(count, name) for count, name in counts))


async def _check(settings: Settings) -> None:
    async with opened_log(settings) as log:
        faults = await check_log(log)
    if faults:
        raise CommandError("\n".join([*map(str, faults), f"{len(faults)} faults."]))
    click.echo("No faults: every accepted message has one turn, in order, and every turn is whole.")
