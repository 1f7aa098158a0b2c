"""The events of a log as Rasa's event brokers publish them: one JSON object each, with the conversation's `sender_id`.

Shape: https://rasa.com/docs/rasa/event-brokers; filters: those of `rasa export`.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.proto import event_from_proto, timestamp_from_proto
from turnstream.dialogue.rasa_json import event_to_rasa
from turnstream.replay.selection import Selection, selected_turns
from turnstream.turnlog.interface import LogReader, Position, Undecodable


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Seconds since the epoch; `minimum` counts, `maximum` does not, as in `rasa export`. None: no bound."""

    minimum: float | None = None
    maximum: float | None = None

    def holds(self, timestamp: float) -> bool:
        return (self.minimum is None or timestamp >= self.minimum) and (
            self.maximum is None or timestamp < self.maximum
        )


@dataclass(frozen=True, slots=True)
class ExportedTurn:
    """What one record comes to: `bodies` are the JSON texts of its events, which all have the key `sender_id`."""

    position: Position
    sender_id: str
    bodies: tuple[str, ...]


async def exported_turns(
    log: LogReader, selection: Selection, times: TimeRange, after: Mapping[int, int]
) -> AsyncIterator[ExportedTurn | Undecodable]:
    """The turns after these offsets (by partition) up to now, in order within each partition.

    A turn of which the filters leave nothing comes without bodies, so that the place is known all the same.
    """
    for partition in selection.partitions(log):
        async for entry in selected_turns(log, partition, selection, after.get(partition, -1)):
            if isinstance(entry, Undecodable):
                yield entry
            else:
                bodies = tuple(_bodies(entry.record, times))
                yield ExportedTurn(entry.position, entry.record.conversation_id, bodies)


def broker_body(sender_id: str, event: Mapping[str, Any]) -> str:
    """The JSON text of one event, as a broker's message holds it."""
    return json.dumps({"sender_id": sender_id, **event})


def _bodies(record: TurnRecord, times: TimeRange) -> Iterator[str]:
    for event in record.events:
        if times.holds(timestamp_from_proto(event.timestamp)):
            yield broker_body(record.conversation_id, event_to_rasa(event_from_proto(event)))
