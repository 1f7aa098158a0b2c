"""Events that are read late are the events that were written, in whatever order their fields are looked at."""

import copy
import pickle
from dataclasses import fields, replace

import pytest
from support.records import conversations, load_record, record_files
from turnstream.api.v1 import events_pb2 as pb
from turnstream.dialogue import events as ev
from turnstream.dialogue.encoding import encoded_event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, event_to_proto
from turnstream.dialogue.proto_late import event_read_late
from turnstream.dialogue.rasa_json import event_from_rasa, event_to_rasa

ENTITY = ev.ExtractedEntity("city", "Rome", 0, 4, extractor="Diet")
PARSE = ev.ParseData(
    text="Rome", intent=ev.IntentScore("inform", 0.5), entities=(ENTITY,), message_id="m", metadata={"a": [1]}
)
EVENTS: list[ev.Event] = [
    ev.UserUttered(text="Rome", parse_data=PARSE, input_channel="rest", message_id="m"),
    ev.UserUttered(text="", input_channel=""),
    ev.UserUttered(parse_data=ev.ParseData(intent=ev.IntentScore("", 0.0))),
    ev.UserUttered(),
    ev.BotUttered(text="Hi", data={"image": None}),
    ev.BotUttered(),
    ev.ActionExecuted(name="utter_hi", policy="RulePolicy", confidence=1.0, hide_rule_turn=True),
    ev.ActionExecuted(action_text="Well"),
    ev.ActionExecuted(name=""),
    ev.SlotSet(name="n", value={"deep": [1, 2.5]}),
    ev.SlotSet(name="n"),
    ev.UserFeaturized(use_text_for_featurization=False),
    ev.UserFeaturized(),
    ev.ActiveLoopChanged(name="f"),
    ev.ActiveLoopChanged(),
    ev.SessionStarted(),
    ev.Restarted(),
    ev.EntitiesAdded(entities=(ENTITY,)),
    ev.LoopInterrupted(is_interrupted=True),
    ev.UnknownEvent(original_type="later", fields={"a": [None]}),
]
EVENTS = [replace(event, timestamp=1795320759.123457, metadata={"model_id": "x"}) for event in EVENTS]


def late(event: ev.Event) -> ev.Event:
    return event_read_late(pb.Event.FromString(event_to_proto(event).SerializeToString()))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type_name)
def test_an_event_is_equal_copied_and_written_as_any(event: ev.Event) -> None:
    assert late(event) == event
    assert event == late(event)
    assert repr(late(event)) == repr(event)
    assert replace(late(event), timestamp=1.0) == replace(event, timestamp=1.0)
    assert copy.deepcopy(late(event)) == event
    assert pickle.loads(pickle.dumps(late(event))) == event
    assert event_to_proto(late(event)) == event_to_proto(event)
    assert encoded_event(late(event)) == encoded_event(event)
    assert event_to_rasa(late(event)) == event_to_rasa(event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type_name)
def test_every_field_can_be_the_first_that_is_looked_at(event: ev.Event) -> None:
    for field in fields(event):
        assert getattr(late(event), field.name) == getattr(event, field.name)


@pytest.mark.parametrize("field", [field.name for field in fields(ev.ParseData)])
def test_every_field_of_a_parse_too(field: str) -> None:
    event = late(EVENTS[0])
    assert isinstance(event, ev.UserUttered)
    assert getattr(event.parse_data, field) == getattr(PARSE, field)


def test_an_event_has_no_other_fields_than_its_own() -> None:
    for event in (ev.BotUttered(), late(ev.BotUttered())):
        assert not hasattr(event, "name")
        assert not hasattr(event, "parse_data")
    assert not hasattr(ev.BotUttered(), "encoded")


def test_folding_gives_the_same_conversations() -> None:
    (path,) = (path for path in record_files() if path.name == "formbot.json")
    assert load_record(path)
    for conversation in conversations(path):
        events = [event_from_rasa(event) for turn in conversation.turns for event in turn.events]
        messages = [event_to_proto(event) for event in events]
        one = Dialogue("c", conversation.domain, map(event_from_proto, messages))
        two = Dialogue("c", conversation.domain, map(event_read_late, messages))
        assert (one.tracker, one.history(), one.visible_history()) == (
            two.tracker,
            two.history(),
            two.visible_history(),
        )
        assert one.applied_events() == two.applied_events()
