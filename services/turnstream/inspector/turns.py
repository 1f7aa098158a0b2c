"""A committed turn, and what it changed."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.proto import event_from_proto
from turnstream.dialogue.rasa_json import event_to_rasa
from turnstream.dialogue.tracker import Tracker
from turnstream.inspector.flags import flags_of, names_of

Json = dict[str, Any]


def turn_json(record: TurnRecord, before: Tracker, after: Tracker, replies: Iterable[Mapping[str, Any]]) -> Json:
    """`before` and `after` are the states around the turn; `replies` are as a channel shows them."""
    return {
        "number": record.turn_number,
        "message_id": record.message_id,
        "channel": record.channel,
        "bundle_version": record.bundle_version,
        "committed_at": record.committed_at.ToJsonString(),
        "events": [event_to_rasa(event_from_proto(event)) for event in record.events],
        "replies": list(replies),
        "errors": [{"where": error.where, "message": error.message} for error in record.errors],
        "flags": names_of(flags_of(record)),
        "calls": [
            {"service": call.service, "what": call.what, "start_ms": _ms(call.start), "ms": _ms(call.duration)}
            for call in record.calls
        ],
        "changes": changes(before, after),
        "ms": _ms(record.duration),
    }


def changes(before: Tracker, after: Tracker) -> Json:
    """Slots by name with the values before and after; `active_loop` likewise, None where it is the same."""
    slots = {
        name: [before.slots.get(name), after.slots.get(name)]
        for name in dict.fromkeys((*after.slots, *before.slots))
        if before.slots.get(name) != after.slots.get(name)
    }
    loops = [loop.name if loop else None for loop in (before.active_loop, after.active_loop)]
    return {"slots": slots, "active_loop": loops if loops[0] != loops[1] else None}


def user_text(record: TurnRecord) -> str | None:
    """What the user said; None for intents that were triggered, for reminders, and where nobody said anything."""
    for event in record.events:
        if event.WhichOneof("body") == "user_uttered":
            # Not made into a mapping: an index asks this of every turn that ever was.
            is_external = any(e.key == "is_external" and e.value.bool_value for e in event.metadata.entries)
            return None if is_external else event.user_uttered.text
    return None


def _ms(duration: Duration) -> float:
    return duration.seconds * 1000 + duration.nanos / 1e6
