"""What the policies saw before each action of a turn."""

from collections.abc import Sequence

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    EntitiesAdded,
    Event,
    IntentScore,
    LoopInterrupted,
    ParseData,
    SessionStarted,
    SlotSet,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.proto import event_from_proto, event_to_proto
from turnstream.inspector.explaining import Predicted, predicted_actions

START = (ActionExecuted(name="action_session_start"), SessionStarted(), ActionExecuted(name="action_listen"))


def said(text: str) -> UserUttered:
    ranking = (IntentScore("greet", 1.0),)
    return UserUttered(text=text, parse_data=ParseData(text=text, intent=ranking[0], intent_ranking=ranking))


def ran(name: str, policy: str | None = "RulePolicy") -> ActionExecuted:
    return ActionExecuted(name=name, policy=policy, confidence=1.0)


def turns(*events: Sequence[Event]) -> list[TurnRecord]:
    return [TurnRecord(events=map(event_to_proto, found)) for found in events]


def seen(predicted: Predicted) -> list[str]:
    events = [event_from_proto(event) for event in predicted.before]
    return [getattr(event, "name", None) or getattr(event, "text", None) or event.type_name for event in events]


def test_each_action_is_asked_for_after_what_came_before_it() -> None:
    records = turns((*START, said("hi"), ran("utter_a"), ran("action_listen")), (said("more"), ran("utter_b")))
    (second,) = predicted_actions(records)
    start = ["action_session_start", "session_started", "action_listen"]
    assert (second.index, second.action, second.is_explainable) == (1, "utter_b", True)
    assert seen(second) == [*start, "hi", "utter_a", "action_listen", "more"]
    actions = predicted_actions(records[:1])
    assert [(p.index, p.action, p.is_explainable) for p in actions] == [
        (0, "action_session_start", False),
        (2, "action_listen", False),
        (4, "utter_a", True),
        (5, "action_listen", True),
    ]
    assert seen(actions[2]) == [*start, "hi"]
    assert seen(actions[3]) == [*start, "hi", "utter_a"]


def test_what_came_with_a_prediction_was_not_there_before_it() -> None:
    events = (said("hi"), SlotSet(name="a", value=1), LoopInterrupted(is_interrupted=True), UserFeaturized())
    (predicted,) = predicted_actions(turns((*events, ran("utter_a"))))
    assert (predicted.index, seen(predicted)) == (4, ["hi", "a"])


def test_entities_that_a_policy_found_and_the_slots_that_they_filled_came_later() -> None:
    filled = (said("hi"), SlotSet(name="a", value=1))
    found = (EntitiesAdded(entities=()), SlotSet(name="b", value=2), UserFeaturized())
    (predicted,) = predicted_actions(turns((*filled, *found, ran("utter_a"))))
    assert (predicted.index, seen(predicted)) == (5, ["hi", "a"])


def test_an_earlier_session_is_not_seen() -> None:
    old, new = (*START, said("old"), ran("utter_a")), (*START, said("new"), ran("utter_b"))
    assert seen(predicted_actions(turns(old, new))[-1])[-1] == "new"
    assert "old" not in seen(predicted_actions(turns(old, new))[-1])
    assert "old" not in seen(predicted_actions(turns(old, new, (said("more"), ran("utter_c"))))[-1])


def test_a_rejected_action_was_predicted_too_and_a_follow_up_was_not() -> None:
    events = (said("hi"), ActionExecutionRejected(name="form", policy="RulePolicy"), ran("next", "followup_action"))
    rejected, followup = predicted_actions(turns(events))
    assert (rejected.action, rejected.is_explainable) == ("form", True)
    assert (followup.action, followup.is_explainable) == ("next", False)


def test_earlier_messages_are_sent_without_what_no_policy_looks_at() -> None:
    records = turns((said("hi"), ran("action_listen")), (said("more"), ran("utter_a")))
    before = predicted_actions(records)[0].before
    rankings = [len(e.user_uttered.parse_data.intent_ranking) for e in before if e.HasField("user_uttered")]
    assert rankings == [0, 1]
