"""What a conversation teaches: a story to learn from, examples, and names that the domain lacks."""

from pathlib import Path

import yaml
from support.stories import DOMAIN
from turnstream.assistant.nlu_data import Example
from turnstream.assistant.stories import Story
from turnstream.authoring.learned import Learned, Places, save, training_steps
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
    SlotSet,
    UserUttered,
)

LISTEN = ActionExecuted(name="action_listen")
ROME = ExtractedEntity("city", "Rome", 3, 7, role="to")


def said(text: str, intent: str, *entities: ExtractedEntity, full: str | None = None) -> UserUttered:
    parse = ParseData(text=text, intent=IntentScore(intent, 0.9), entities=entities, full_retrieval_intent_name=full)
    return UserUttered(text=text, parse_data=parse)


def done(*names: str) -> list[Event]:
    return [ActionExecuted(name=name) for name in names]


def test_story_has_messages_by_intent_and_slots_that_influence() -> None:
    events = [
        *done("action_session_start", "action_listen"),
        said("to Rome", "order", ROME),
        SlotSet(name="city", value="Rome"),
        SlotSet(name="note", value={"free": 1}),
        SlotSet(name="requested_slot", value=None),
        *done("action_check"),
        SlotSet(name="vip", value=True),
        *done("utter_ok", "action_listen"),
        said("why", "faq", full="faq/why"),
        *done("utter_help", "action_listen"),
    ]
    assert list(training_steps(events, DOMAIN)) == [
        {"intent": "order", "entities": [{"city": "Rome", "role": "to"}]},
        {"slot_was_set": [{"city": "Rome"}]},
        {"action": "action_check"},
        {"slot_was_set": [{"vip": True}]},
        {"action": "utter_ok"},
        {"intent": "faq/why"},
        {"action": "utter_help"},
    ]


def test_form_is_told_by_its_beginning_its_interruptions_and_its_end() -> None:
    form = [ActionExecuted(name="order_form")]
    events = [
        LISTEN,
        said("order", "order"),
        *form,
        ActiveLoopChanged(name="order_form"),
        LISTEN,
        said("help", "help"),
        *done("utter_help"),
        *form,
        LISTEN,
        said("to Rome", "order", ROME),
        *form,
        SlotSet(name="city", value="Rome"),
        ActiveLoopChanged(name=None),
        *done("utter_ok"),
        LISTEN,
    ]
    assert list(training_steps(events, DOMAIN)) == [
        {"intent": "order"},
        {"action": "order_form"},
        {"active_loop": "order_form"},
        {"intent": "help"},
        {"action": "utter_help"},
        {"action": "order_form"},
        {"slot_was_set": [{"city": "Rome"}]},
        {"active_loop": None},
        {"action": "utter_ok"},
    ]


def test_slot_set_before_the_user_speaks_again_is_kept() -> None:
    events = [said("a", "greet"), *done("action_check"), SlotSet(name="vip", value=True), LISTEN, said("b", "bye")]
    keys = [next(iter(step)) for step in training_steps(events, DOMAIN)]
    assert keys == ["intent", "action", "slot_was_set", "intent"]


def test_only_what_is_new_is_learned() -> None:
    learned = Learned(responses={"utter_new": "New!"})
    events = [
        said("hi", "greet"),
        *done("utter_greet", "action_listen"),
        said("to  Rome", "travel", ExtractedEntity("place", "Rome", 4, 8)),
        *done("utter_new", "action_fly", "action_listen"),
        said("/greet", "greet"),
        *done("utter_greet", "action_listen"),
    ]
    learned.add_conversation(events, DOMAIN, [Example("hi", "greet")])
    learned.add_conversation([LISTEN], DOMAIN, [])
    assert learned.examples == {"travel": ["to [Rome](place)"]}
    assert (list(learned.intents), list(learned.entities)) == (["travel"], ["place"])
    assert list(learned.actions) == ["action_fly"]
    assert learned.told == "1 story, 1 example, 4 additions to the domain"


def test_of_a_turn_that_was_reverted_only_the_example_is_learned(tmp_path: Path) -> None:
    learned = Learned(responses={"utter_new": "New!"})
    learned.add_conversation([LISTEN], DOMAIN, [])
    learned.add_examples([said("hello there", "greet"), *done("utter_new"), LISTEN], DOMAIN, [])
    learned.keep_said_responses()
    assert learned.told == "1 example"
    places = Places(tmp_path / "stories.yml", tmp_path / "nlu.yml", tmp_path / "domain.yml")
    assert save(learned, places, []) == [places.nlu]
    assert yaml.safe_load(places.nlu.read_text())["nlu"] == [{"intent": "greet", "examples": "- hello there\n"}]


def test_files_get_what_was_learned_and_names_that_are_free(tmp_path: Path) -> None:
    places = Places(tmp_path / "data" / "stories.yml", tmp_path / "data" / "nlu.yml", tmp_path / "domain.yml")
    places.domain.write_text("intents: [greet]\n")
    learned = Learned()
    learned.add_conversation([said("x", "travel"), *done("utter_greet"), LISTEN], DOMAIN, [])
    changed = save(learned, places, [Story("interactive_story_1", ())])
    assert changed == [places.stories, places.nlu, places.domain]
    assert yaml.safe_load(places.stories.read_text())["stories"] == [
        {"story": "interactive_story_2", "steps": [{"intent": "travel"}, {"action": "utter_greet"}]}
    ]
    assert yaml.safe_load(places.nlu.read_text())["nlu"] == [{"intent": "travel", "examples": "- x\n"}]
    assert places.domain.read_text() == "intents: [greet, travel]\n"
