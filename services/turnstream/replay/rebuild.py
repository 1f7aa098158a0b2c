"""Rebuilding trackers: each conversation is folded again from the events that the log holds of it.

One partition is held in memory at a time, as records; one conversation at a time as events.
"""

import gc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from turnstream.api.v1.events_pb2 import Event as EventProto
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.domain import Domain
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import timestamp_from_proto
from turnstream.dialogue.proto_late import event_read_late
from turnstream.replay.selection import Progress, Reading, Selection, no_progress, selected_turns
from turnstream.turnlog.interface import LogReader, Undecodable

DomainOf = Callable[[str], Domain]
"""The domain of a bundle version. A version that is gone has another one's: whoever asks decides which."""

_TOLD_EVERY = 500
_OBJECTS_PER_COLLECTION = 500_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A conversation as of the selected moment. `damaged` are records of it that could not be read and are missing.

    `bundle_version` is the one that answered the last turn, by whose domain the conversation was folded.
    """

    dialogue: Dialogue
    turns: int
    last_turn: int
    bundle_version: str
    damaged: tuple[Undecodable, ...] = ()

    @property
    def conversation_id(self) -> str:
        return self.dialogue.conversation_id


@dataclass(slots=True)
class _Kept:
    records: list[TurnRecord] = field(default_factory=list)
    damaged: list[Undecodable] = field(default_factory=list)


async def rebuild(
    log: LogReader, domain_of: DomainOf, selection: Selection | None = None, progress: Progress = no_progress
) -> AsyncIterator[Rebuilt]:
    """Every selected conversation of which anything is left, in the order of partitions and of first turns.

    Raises SlotClassError where a custom slot class of the domain cannot be loaded.
    """
    selection = selection or Selection()
    partitions = selection.partitions(log)
    turns = events = conversations = 0
    for done, partition in enumerate(partitions):
        kept: dict[str, _Kept] = {}
        async for entry in selected_turns(log, partition, selection):
            if isinstance(entry, Undecodable):
                _of(kept, entry.conversation_id).damaged.append(entry)
                continue
            record = entry.record
            _of(kept, record.conversation_id).records.append(record)
            turns += 1
            if not turns % _TOLD_EVERY:
                progress(Reading(done, len(partitions), turns, events, conversations))
        for conversation_id in list(kept):
            found = kept.pop(conversation_id)
            rebuilt = _folded(conversation_id, found, domain_of, selection.until_time)
            if rebuilt is None:
                continue
            events += rebuilt.dialogue.event_count
            conversations += 1
            yield rebuilt
        progress(Reading(done + 1, len(partitions), turns, events, conversations))


def _of(kept: dict[str, _Kept], conversation_id: str) -> _Kept:
    found = kept.get(conversation_id)
    if found is None:
        found = kept[conversation_id] = _Kept()
    return found


def _folded(conversation_id: str, kept: _Kept, domain_of: DomainOf, until: float | None) -> Rebuilt | None:
    records = kept.records if until is None else [r for r in kept.records if _began_by(r, until)]
    if not records and not kept.damaged:
        return None
    latest = records[-1] if records else TurnRecord()
    dialogue = Dialogue(conversation_id, domain_of(latest.bundle_version))
    for record in records:
        dialogue.extend(map(event_read_late, record.events if until is None else _up_to(record.events, until)))
    return Rebuilt(dialogue, len(records), latest.turn_number, latest.bundle_version, tuple(kept.damaged))


def _began_by(record: TurnRecord, until: float) -> bool:
    if not record.events:
        return timestamp_from_proto(record.committed_at) <= until
    return any(timestamp_from_proto(event.timestamp) <= until for event in record.events)


def _up_to(events: Sequence[EventProto], until: float) -> Iterator[EventProto]:
    return (event for event in events if timestamp_from_proto(event.timestamp) <= until)


@contextmanager
def rarely_collected() -> Iterator[None]:
    """For a process that rebuilds much: folds make many objects and no cycles, which the collector would look for."""
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS_PER_COLLECTION, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
