"""Whose turn it is in an assistant that shares conversations with another engine.

https://rasa.com/docs/pro/calm-with-nlu/coexistence.
"""

from typing import Final

from turnstream.assistant.domain import (
    ACTION_LISTEN,
    ACTION_ROUTE_TO_CALM,
    INTENT_RESTART,
    INTENT_SESSION_START,
    ROUTE_TO_CALM_SLOT,
    Domain,
)
from turnstream.dialogue.prediction.ensemble import Decision, PolicyPrediction
from turnstream.dialogue.tracker import Tracker

POLICY: Final = "IntentBasedRouter"
PRIORITY: Final = 7
"""Above all that an author's policies have by default."""

OWN_INTENTS: Final = (INTENT_RESTART, INTENT_SESSION_START)


def decide(tracker: Tracker, domain: Domain) -> Decision | None:
    """What follows in a session of the other engine, and at the end of any; None where the policies decide."""
    if ROUTE_TO_CALM_SLOT not in domain.slots:
        return None
    message = tracker.latest_message
    if message is None and tracker.latest_action_name is None:
        # A session has just ended: its past is hidden, and the next message begins another.
        return _certain(ACTION_LISTEN)
    if tracker.slots.get(ROUTE_TO_CALM_SLOT) is not True:
        return None
    if tracker.latest_action_name == ACTION_ROUTE_TO_CALM:
        return _certain(ACTION_LISTEN)
    is_new = tracker.latest_action_name == ACTION_LISTEN and message is not None
    is_refused = tracker.rejected_action == ACTION_ROUTE_TO_CALM
    is_own = message is not None and message.parse_data.intent.name in OWN_INTENTS
    return _certain(ACTION_ROUTE_TO_CALM) if is_new and not is_refused and not is_own else None


def _certain(action: str) -> Decision:
    winner = PolicyPrediction(POLICY, PRIORITY, {action: 1.0})
    return Decision(action, 1.0, winner, (), ())
