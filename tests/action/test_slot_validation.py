"""`action_validate_slot_mappings` and the action of a custom mapping, on the real SDK's validation action."""

from pathlib import Path

import pytest
from turnstream.action.action_server import ActionServerSettings
from turnstream.action.loaded import LoadedActions
from turnstream.action.service import ActionService
from turnstream.api.v1 import action_pb2 as pb
from turnstream.assistant.domain import Domain, Entity, Intent, Slot, SlotMapping
from turnstream.dialogue import events as ev
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, tracker_to_proto
from turnstream.runtime.bundles import Bundles

ACTIONS = """
from rasa_sdk import Action, ValidationAction
from rasa_sdk.events import SlotSet


class Validate(ValidationAction):
    def validate_city(self, value, dispatcher, tracker, domain):
        return {"city": value.title()}

    def validate_street(self, value, dispatcher, tracker, domain):
        dispatcher.utter_message(text=f"{value} is no street.")
        return {"street": None}


class FindMood(Action):
    def name(self):
        return "action_find_mood"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(text="dropped")
        return [SlotSet("mood", "good")]
"""

ENTITIES = ("city", "street", "name")
DOMAIN = Domain(
    intents={"inform": Intent("inform", frozenset(ENTITIES))},
    entities={name: Entity(name) for name in ENTITIES},
    slots={name: Slot(name, "text", mappings=(SlotMapping("from_entity", entity=name),)) for name in ENTITIES}
    | {"mood": Slot("mood", "text", mappings=(SlotMapping("custom", action="action_find_mood"),))},
    actions=("action_validate_slot_mappings", "action_find_mood"),
)


def says(**entities: str) -> ev.UserUttered:
    found = tuple(ev.ExtractedEntity(entity=name, value=value) for name, value in entities.items())
    return ev.UserUttered(text="x", parse_data=ev.ParseData("x", ev.IntentScore("inform"), entities=found))


async def test_what_a_message_fills_is_validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "validating_actions.py").write_text(ACTIONS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = ActionServerSettings("", module="validating_actions")
    service = ActionService(Bundles({"1": LoadedActions.of_domain(DOMAIN)}), settings)
    dialogue = Dialogue("ann", DOMAIN, [says(city="rome", street="nowhere", name="ann")])
    tracker = tracker_to_proto(dialogue.tracker, dialogue.events)
    answer = await service.RunAction(pb.RunActionRequest(action="action_extract_slots", tracker=tracker), None)
    await service.close()
    assert not answer.HasField("failure"), answer.failure.message
    events = [event_from_proto(e) for e in answer.events]
    slots = {e.name: e.value for e in events if isinstance(e, ev.SlotSet)}
    assert slots == {"city": "Rome", "street": None, "name": "ann", "mood": "good"}
    # What the action of a custom mapping says is dropped; what the validation says is not.
    assert [e.text for e in events if isinstance(e, ev.BotUttered)] == ["nowhere is no street."]
