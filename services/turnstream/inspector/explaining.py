"""Why a turn went as it did: each of its predictions asked for again, with the events before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from turnstream.api.v1.events_pb2 import Event
from turnstream.api.v1.policy_pb2 import PredictNextActionResponse
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.domain import ACTION_SESSION_START

MOST_SCORES = 10
FOLLOWUP_POLICY = "followup_action"
_OF_PREDICTIONS = frozenset({"user_featurized", "entities_added", "loop_interrupted"})
"""Events that come with a prediction, before the action that it names."""
_FILLED = _OF_PREDICTIONS | {"slot_set"}


@dataclass(frozen=True, slots=True)
class Predicted:
    """An action of a turn; `index` is that of its event. `before` are the events that the policies saw.

    `is_explainable`: whether the policies were asked for it at all, as they are not for a follow-up action. With
    `is_text` the action is what an end-to-end story has the bot say.
    """

    index: int
    action: str
    policy: str
    confidence: float
    before: tuple[Event, ...]
    is_explainable: bool
    is_text: bool = False


def predicted_actions(records: Sequence[TurnRecord]) -> list[Predicted]:
    """Of the last of these turns, which are all of the conversation up to it."""
    earlier = [_slim(event) for event in _session([event for record in records[:-1] for event in record.events])]
    events = list(records[-1].events)
    found = []
    for index, event in enumerate(events):
        body = event.WhichOneof("body")
        if body not in ("action_executed", "action_execution_rejected"):
            continue
        action = event.action_executed if body == "action_executed" else event.action_execution_rejected
        text = "" if action.name or body != "action_executed" else event.action_executed.action_text
        own = events[: _first_of_prediction(events, index)]
        session = _session(own)
        before = session if _begins_session(session) else (*earlier, *own)
        by_policies = bool(action.policy) and action.policy != FOLLOWUP_POLICY
        found.append(
            Predicted(
                index, action.name or text, action.policy, action.confidence, tuple(before), by_policies, bool(text)
            )
        )
    return found


def _first_of_prediction(events: Sequence[Event], index: int) -> int:
    """Where what came with the prediction of this action begins."""
    first = index
    while first and events[first - 1].WhichOneof("body") in _OF_PREDICTIONS:
        first -= 1
    # Entities that a policy found have filled slots since.
    place = first
    while place and events[place - 1].WhichOneof("body") in _FILLED:
        place -= 1
        if events[place].HasField("entities_added"):
            first = place
    return first


def _session(events: Sequence[Event]) -> Sequence[Event]:
    """From the latest start of a session on: policies see no further back."""
    for index in range(len(events) - 1, -1, -1):
        if events[index].action_executed.name == ACTION_SESSION_START:
            return events[index:]
    return events


def _begins_session(events: Sequence[Event]) -> bool:
    return bool(events) and events[0].action_executed.name == ACTION_SESSION_START


def _slim(event: Event) -> Event:
    """An event of an earlier turn without what no policy looks at: long conversations have thousands of them."""
    slim = Event()
    slim.CopyFrom(event)
    slim.ClearField("metadata")
    if slim.HasField("user_uttered"):
        for name in ("intent_ranking", "text_tokens", "response_selector"):
            slim.user_uttered.parse_data.ClearField(name)
    return slim


def explained(predicted: Predicted, again: PredictNextActionResponse | None) -> dict[str, Any]:
    """`again` is what the policies say now; None where they were not asked then.

    `by_text`: the winner went by the text of the message, not by its intent; that goes before all other policies.
    """
    predictions = [
        {
            "policy": prediction.policy,
            "priority": prediction.priority,
            "scores": [
                {"action": score.action, "confidence": score.confidence} for score in prediction.scores[:MOST_SCORES]
            ],
            "source": prediction.source,
        }
        for prediction in (again.predictions if again else ())
    ]
    sources = {prediction["policy"]: prediction["source"] for prediction in predictions}
    return {
        "event": predicted.index,
        "action": predicted.action,
        "is_text": predicted.is_text,
        "by_text": again is not None and again.policy == predicted.policy and again.is_end_to_end,
        "policy": predicted.policy,
        "confidence": predicted.confidence,
        "source": sources.get(predicted.policy, ""),
        "predictions": predictions,
    }


def tokens_of(record: TurnRecord) -> list[dict[str, Any]] | None:
    """Of the user's message, as NLU cut it; None where its parse does not tell."""
    for event in record.events:
        if event.HasField("user_uttered"):
            text, spans = event.user_uttered.text, event.user_uttered.parse_data.text_tokens
            return tokens_in(text, [(span.start, span.end) for span in spans]) if spans else None
    return []


def tokens_in(text: str, spans: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    return [{"text": text[start:end], "start": start, "end": end} for start, end in spans]
