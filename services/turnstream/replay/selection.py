"""Which part of a log is read, and the reading of it, partition by partition."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.turnlog.interface import Entry, LogReader, Undecodable


@dataclass(frozen=True, slots=True)
class Selection:
    """`conversations`: these alone, where any are named.

    `until_offsets`: the last offset that counts, by partition; of a partition that is not named all counts.
    `until_time`: events up to this moment, in seconds since the epoch.
    """

    conversations: frozenset[str] = frozenset()
    until_offsets: Mapping[int, int] = field(default_factory=dict)
    until_time: float | None = None

    def partitions(self, log: LogReader) -> list[int]:
        """Those that hold anything of it."""
        if not self.conversations:
            return list(range(log.partitions))
        return sorted({log.partition_of(conversation_id) for conversation_id in self.conversations})

    def wants(self, conversation_id: str) -> bool:
        return not self.conversations or conversation_id in self.conversations


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a reading is; `partitions` are done."""

    partitions: int = 0
    of_partitions: int = 0
    turns: int = 0
    events: int = 0
    conversations: int = 0


Progress = Callable[[Reading], None]


def no_progress(reading: Reading) -> None:
    """Tells nobody."""


def selected_turns(
    log: LogReader, partition: int, selection: Selection, after_offset: int = -1
) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
    """The turns of one partition that are selected by conversation and offset; time is left to the caller."""
    if not selection.conversations and partition not in selection.until_offsets:
        return log.read_turns(partition, after_offset)
    return _selected(log, partition, selection, after_offset)


async def _selected(
    log: LogReader, partition: int, selection: Selection, after_offset: int
) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
    until = selection.until_offsets.get(partition)
    async with aclosing(log.read_turns(partition, after_offset)) as entries:  # type: ignore[type-var]
        async for entry in entries:
            if until is not None and entry.position.offset > until:
                return
            conversation_id = entry.record.conversation_id if isinstance(entry, Entry) else entry.conversation_id
            if selection.wants(conversation_id):
                yield entry
