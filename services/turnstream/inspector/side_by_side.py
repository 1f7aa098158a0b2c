"""A conversation with another bundle, turn beside turn."""

from collections.abc import Mapping, Sequence
from typing import Any

from turnstream.api.v1.turnlog_pb2 import TurnRecord

_NOTHING: Mapping[str, Any] = {"intent": None, "confidence": None, "entities": [], "actions": [], "texts": []}


def compared_turns(comparisons: Sequence[Mapping[str, Any]], records: Sequence[TurnRecord]) -> list[dict[str, Any]]:
    """Of `replay.comparing.comparison_as_json`; `number` is the turn's in the log, as far as its message tells."""
    numbers = {record.message_id: record.turn_number for record in records}
    return [
        {
            "number": numbers.get(comparison["message_id"], comparison["turn"]),
            "text": comparison["text"],
            "before": comparison["recorded"],
            "after": comparison["replayed"] or _NOTHING,
            "differs": bool(comparison["differences"]),
            "differences": list(comparison["differences"]),
            "would_call": list(comparison["would_call"]),
            "errors": list(comparison["errors"]),
        }
        for comparison in comparisons
    ]
