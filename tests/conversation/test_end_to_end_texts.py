"""A message that a policy understands by its text."""

from typing import Any

from support.turns import Conversation, names
from turnstream.api.v1.policy_pb2 import PredictNextActionRequest, PredictNextActionResponse
from turnstream.dialogue import events as ev
from turnstream.dialogue.proto import event_to_proto
from turnstream.testing.scripted_services import ScriptedPolicy, ScriptedServices


class ByText(ScriptedPolicy):
    """Predicts from the text of a message, and finds a city in it."""

    async def PredictNextAction(self, request: PredictNextActionRequest, context: Any) -> PredictNextActionResponse:
        prediction = await super().PredictNextAction(request, context)
        if request.tracker.latest_action_name == "action_listen":
            prediction.is_end_to_end = True
            found = ev.EntitiesAdded(entities=(ev.ExtractedEntity("city", "Rome"),))
            by_text = ev.UserFeaturized(use_text_for_featurization=True)
            prediction.optional_events.extend([event_to_proto(found), event_to_proto(by_text)])
        return prediction


async def test_entities_that_a_policy_finds_in_a_text_fill_slots() -> None:
    services = ScriptedServices(policy=ByText({"greet": ["utter_greet"]}))
    turn = await Conversation(services).say("hello")
    recorded = names(turn.record)
    assert recorded.count("entities") == 1
    assert recorded[recorded.index("user") + 1] == "entities"
    assert recorded.index("entities") < recorded.index("action utter_greet")
    asked = [r for r in services.action.requests if r.action == "action_extract_slots"]
    assert [len(r.tracker.latest_message.parse_data.entities) for r in asked] == [0, 1]
