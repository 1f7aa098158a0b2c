"""`turnstream export`: the events of the turn log in the shape of Rasa's event brokers, as lines or to a topic."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import click

from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.lifetime import serve_until_stopped
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
from turnstream.cli.options import FILE, LogChoice, ManyValues, log_options
from turnstream.replay.export import ExportedTurn, TimeRange, exported_turns
from turnstream.replay.places import PlaceError, check_partitions, format_places, later, read_places, write_places
from turnstream.replay.selection import Reading, Selection
from turnstream.runtime.settings import Settings
from turnstream.turnlog.interface import LogReader, Undecodable

if TYPE_CHECKING:
    from turnstream.replay.topic import EventTopic

CONFIRMED_EVERY = 500
"""Turns between two flushes; the place in `--position-file` is as old as that after a crash."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is exported, and whereto. One of `output` and `topic` at most; neither: standard output."""

    selection: Selection
    times: TimeRange
    output: Path | None
    topic: str | None
    position_file: Path | None
    follow_s: float | None
    """Seconds between two looks at the log; None: end with what is there now."""


@dataclass(slots=True)
class Exported:
    """What was exported and confirmed so far; `after` are the last offsets by partition."""

    after: dict[int, int] = field(default_factory=dict)
    turns: int = 0
    events: int = 0
    unreadable: list[Undecodable] = field(default_factory=list)
    is_complete: bool = False
    """Everything that was in the log was read."""


@click.command(
    cls=ManyValues,
    epilog=examples(
        "turnstream export --output events.jsonl",
        "turnstream export --conversation-ids ada --minimum-timestamp 1763800000",
        "turnstream export --follow --position-file position.json --output events.jsonl",
    ),
)
@log_place_options
@click.option("--conversation-ids", metavar="IDS", help="These conversations alone, separated by commas.")
@click.option("--minimum-timestamp", type=Moment(), help="Events of this moment or later: seconds, or ISO 8601.")
@click.option("--maximum-timestamp", type=Moment(), help="Events before this moment.")
@click.option(
    "--from", "after", type=Places(), multiple=True, help="Go on where an earlier export ended, as it printed it."
)
@click.option("--position-file", type=FILE, help="Keep that place in this file: read it first, write it on the way.")
@click.option("-o", "--output", type=FILE, help="Write here, all or nothing; with --follow appended.")
@click.option("--to-topic", "topic", metavar="NAME", help="Send to this Kafka topic, keyed by sender.")
@click.option("--bootstrap-servers", help="Brokers of that topic.  [default: those of the settings]")
@click.option("--follow", is_flag=True, help="Go on with what is committed from now on, until Ctrl-C.")
@click.option("--follow-interval", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="Seconds.")
@log_options
def export(
    place: str | None,
    file: Path | None,
    conversation_ids: str | None,
    minimum_timestamp: float | None,
    maximum_timestamp: float | None,
    after: tuple[dict[int, int], ...],
    position_file: Path | None,
    output: Path | None,
    topic: str | None,
    bootstrap_servers: str | None,
    follow: bool,
    follow_interval: float,
    log: LogChoice,
) -> None:
    """Write the log's events as JSON lines, as Rasa's event brokers publish them."""
    if output is not None and topic is not None:
        raise CommandError("Write to a file or to a topic: --output or --to-topic, not both.")
    if after and position_file is not None:
        raise CommandError("--position-file says where to go on; leave --from out.")
    settings = log_settings(place, file, log)
    ids = frozenset(filter(None, (i.strip() for i in (conversation_ids or "").split(","))))
    choice = Choice(
        selection=Selection(ids),
        times=TimeRange(minimum_timestamp, maximum_timestamp),
        output=output,
        topic=topic,
        position_file=position_file,
        follow_s=follow_interval if follow else None,
    )
    exported = Exported(after=_places(after, position_file))
    try:
        with _sink(choice, settings, bootstrap_servers) as sink:
            serve_until_stopped(lambda _: _export(settings, choice, sink, exported))
            if not exported.is_complete:
                raise CommandError("Stopped before the end of the log.")
    finally:
        if exported.after:
            places = format_places(exported.after)
            click.echo(f"{exported.events} events of {exported.turns} turns. Go on with: --from {places}", err=True)
    if not exported.after:
        click.echo("The log holds no turns yet.", err=True)
    if exported.unreadable:
        told = [str(record) for record in exported.unreadable]
        raise CommandError("\n".join([*told, f"{len(told)} records could not be read and were left out."]))


def _places(after: tuple[dict[int, int], ...], position_file: Path | None) -> dict[int, int]:
    try:
        return merged_places(after) if position_file is None else read_places(position_file)
    except PlaceError as error:
        raise CommandError(f"{error}.") from error


class _Sink(Protocol):
    """Takes events in order; what was taken is safe after `flush`."""

    def take(self, turn: ExportedTurn) -> None: ...

    def flush(self) -> None: ...


class _Topic:
    def __init__(self, topic: "EventTopic") -> None:
        self._topic = topic

    def take(self, turn: ExportedTurn) -> None:
        self._topic.send(turn.sender_id, turn.bodies)

    def flush(self) -> None:
        self._topic.flush()


class _Lines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def take(self, turn: ExportedTurn) -> None:
        self._stream.writelines(f"{body}\n" for body in turn.bodies)

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def _sink(choice: Choice, settings: Settings, bootstrap_servers: str | None) -> Iterator[_Sink]:
    with ExitStack() as stack:
        if choice.topic is not None:
            yield stack.enter_context(_topic(choice.topic, settings, bootstrap_servers))
        elif choice.output is not None and choice.follow_s is not None:
            yield _Lines(stack.enter_context(choice.output.open("a", encoding="utf-8")))
        else:
            yield _Lines(stack.enter_context(whole_output(choice.output)))


@contextmanager
def _topic(name: str, settings: Settings, bootstrap_servers: str | None) -> Iterator[_Sink]:
    from turnstream.replay.topic import EventTopic, TopicError
    from turnstream.turnlog.kafka.settings import KafkaSettings

    kafka = KafkaSettings(**asdict(settings.kafka))
    try:
        topic = EventTopic(replace(kafka, bootstrap_servers=bootstrap_servers or kafka.bootstrap_servers), name)
        try:
            yield _Topic(topic)
        finally:
            topic.close()
    except TopicError as error:
        raise CommandError(str(error)) from error


async def _export(settings: Settings, choice: Choice, sink: _Sink, exported: Exported) -> None:
    async with opened_log(settings) as log:
        try:
            check_partitions(exported.after, log.partitions)
        except PlaceError as error:
            raise CommandError(f"{error}.") from error
        with ReadingBar("exporting") as bar:
            await _pass(log, choice, sink, exported, bar)
            exported.is_complete = True
            while choice.follow_s is not None:
                await asyncio.sleep(choice.follow_s)
                await _pass(log, choice, sink, exported, bar)


async def _pass(log: LogReader, choice: Choice, sink: _Sink, exported: Exported, bar: ReadingBar) -> None:
    """Everything that is in the log now and was not exported yet."""
    taken = Exported(after=dict(exported.after))
    async for turn in exported_turns(log, choice.selection, choice.times, exported.after):
        later(taken.after, turn.position)
        if isinstance(turn, Undecodable):
            taken.unreadable.append(turn)
            continue
        sink.take(turn)
        taken.turns += 1
        taken.events += len(turn.bodies)
        if taken.turns >= CONFIRMED_EVERY:
            taken = await _confirm(taken, choice, sink, exported)
            place = turn.position.partition
            bar(Reading(place, log.partitions, exported.turns, exported.events))
    await _confirm(taken, choice, sink, exported)


async def _confirm(taken: Exported, choice: Choice, sink: _Sink, exported: Exported) -> Exported:
    """Note what was taken as done, once it is safe."""
    await asyncio.to_thread(sink.flush)
    exported.after = taken.after
    exported.turns += taken.turns
    exported.events += taken.events
    exported.unreadable += taken.unreadable
    if choice.position_file is not None:
        write_places(choice.position_file, exported.after)
    return Exported(after=dict(exported.after))
