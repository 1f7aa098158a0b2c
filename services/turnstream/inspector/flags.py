"""What makes a turn worth an author's look."""

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.domain import ACTION_DEFAULT_FALLBACK, ACTION_TWO_STAGE_FALLBACK

FALLBACK, LOW_CONFIDENCE, REJECTED, ERROR, SLOW = (1 << place for place in range(5))
NAMES = {
    "fallback": FALLBACK,
    "low_confidence": LOW_CONFIDENCE,
    "rejected": REJECTED,
    "error": ERROR,
    "slow": SLOW,
}
"""As the API has them, in this order."""
LEAST_CONFIDENCE = 0.5
"""Of the intent of a message; below it the turn is flagged."""
LONGEST_S = 1.0
"""Of a turn; above it the turn is flagged."""
NLU_FALLBACK = "nlu_fallback"
_FALLBACK_ACTIONS = frozenset({ACTION_DEFAULT_FALLBACK, ACTION_TWO_STAGE_FALLBACK})


def flags_of(record: TurnRecord) -> int:
    """Bits of NAMES. A turn whose record does not tell how long it took is not slow."""
    found = ERROR if record.errors else 0
    if seconds_of(record) > LONGEST_S:
        found |= SLOW
    for event in record.events:
        body = event.WhichOneof("body")
        if body == "user_uttered":
            intent = event.user_uttered.parse_data.intent
            if intent.name == NLU_FALLBACK:
                found |= FALLBACK
            elif intent.HasField("confidence") and intent.confidence < LEAST_CONFIDENCE:
                found |= LOW_CONFIDENCE
        elif body == "action_executed":
            if event.action_executed.name in _FALLBACK_ACTIONS:
                found |= FALLBACK
        elif body == "user_featurized" and event.user_featurized.use_text_for_featurization:
            # The policies went by the text of the message: how sure its intent was is of no account.
            found &= ~LOW_CONFIDENCE
        elif body == "action_execution_rejected":
            found |= REJECTED
    return found


def seconds_of(record: TurnRecord) -> float:
    """How long the turn took; 0 where its record is older than that it would say so."""
    return record.duration.seconds + record.duration.nanos / 1e9


def names_of(flags: int) -> list[str]:
    return [name for name, bit in NAMES.items() if flags & bit]
