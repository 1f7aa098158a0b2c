"""What the inspector tells of messages that a policy takes by their text, as end-to-end stories have them."""

from dataclasses import replace

import pytest
import yaml
from support.stories import DOMAIN
from turnstream.api.v1.policy_pb2 import PredictNextActionResponse
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.nlu_data import Example
from turnstream.authoring.learned import Learned
from turnstream.dialogue.events import (
    ActionExecuted,
    EntitiesAdded,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_to_proto
from turnstream.inspector.explaining import explained, predicted_actions
from turnstream.inspector.flags import flags_of, names_of
from turnstream.inspector.stories import retold

ROME = ExtractedEntity("city", "Rome", 11, 15)
SAID = "weather in Rome"
EVENTS: tuple[Event, ...] = (
    UserUttered(text=SAID, parse_data=ParseData(text=SAID, intent=IntentScore("greet", 0.1))),
    EntitiesAdded(entities=(ROME,)),
    UserFeaturized(use_text_for_featurization=True),
    ActionExecuted(action_text="It is sunny.", policy="TEDPolicy", confidence=0.9),
    ActionExecuted(name="action_listen", policy="RulePolicy", confidence=1.0),
)


def record(events: tuple[Event, ...]) -> TurnRecord:
    return TurnRecord(events=map(event_to_proto, events))


def test_an_action_that_was_decided_by_the_text_is_told_so() -> None:
    spoken, listened = predicted_actions([record(EVENTS)])
    by_text = PredictNextActionResponse(policy="TEDPolicy", is_end_to_end=True)
    told = explained(spoken, by_text)
    assert (told["action"], told["is_text"], told["by_text"]) == ("It is sunny.", True, True)
    by_rule = PredictNextActionResponse(policy="RulePolicy")
    told = explained(listened, by_rule)
    assert (told["action"], told["is_text"], told["by_text"]) == ("action_listen", False, False)
    assert explained(spoken, replace_policy(by_text, "RulePolicy"))["by_text"] is False
    assert explained(spoken, None)["by_text"] is False


def replace_policy(response: PredictNextActionResponse, policy: str) -> PredictNextActionResponse:
    changed = PredictNextActionResponse()
    changed.CopyFrom(response)
    changed.policy = policy
    return changed


def test_a_message_that_was_taken_by_its_text_needs_no_sure_intent() -> None:
    assert names_of(flags_of(record(EVENTS))) == []
    by_intent = (EVENTS[0], UserFeaturized(use_text_for_featurization=False), *EVENTS[3:])
    assert names_of(flags_of(record(by_intent))) == ["low_confidence"]


@pytest.mark.parametrize("kind", ["test", "story"])
def test_a_saved_story_has_the_text_with_the_entities_of_the_policy(kind: str) -> None:
    story = retold(Dialogue("c", DOMAIN, EVENTS), "sunny", kind)
    (written,) = yaml.safe_load(story.yaml)["stories"]
    assert written["steps"] == [{"user": "weather in [Rome](city)"}, {"bot": "It is sunny."}]


def test_what_was_taken_by_its_text_is_no_example_of_an_intent() -> None:
    by_intent = replace(EVENTS[0], text="hello", parse_data=ParseData(text="hello", intent=IntentScore("greet", 1.0)))
    learned, known = Learned(), list[Example]()
    learned.add_conversation((*EVENTS, by_intent, ActionExecuted(name="utter_greet")), DOMAIN, known)
    assert learned.examples == {"greet": ["hello"]}
    assert learned.stories[0][0] == {"user": "weather in [Rome](city)"}
