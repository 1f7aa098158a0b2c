"""Stories written from events are read back as the same story by the reader of test conversations."""

from pathlib import Path

import yaml
from turnstream.assistant.annotations import annotated
from turnstream.assistant.reader import ProjectPaths, read_project
from turnstream.assistant.stories import ActionStep, UserStep
from turnstream.dialogue.as_stories import sessions_of, stories_yaml
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    BotUttered,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
    SessionStarted,
    SlotSet,
    UserUttered,
)

START = (ActionExecuted(name="action_session_start"), SessionStarted(), ActionExecuted(name="action_listen"))


def says(text: str, intent: str, *entities: ExtractedEntity) -> UserUttered:
    return UserUttered(text=text, parse_data=ParseData(text=text, intent=IntentScore(intent, 1.0), entities=entities))


def steps_of(*events: Event) -> list[dict[str, object]]:
    (story,) = yaml.safe_load(stories_yaml("ada", [events]))["stories"]
    found: list[dict[str, object]] = story["steps"]
    return found


def test_session_is_a_story_of_what_was_said_and_done() -> None:
    events = (
        *START,
        says("book me a table", "book"),
        ActionExecuted(name="table_form"),
        ActiveLoopChanged(name="table_form"),
        SlotSet(name="requested_slot", value="seats"),
        BotUttered(text="how many?"),
        ActionExecuted(name="action_listen"),
    )
    assert steps_of(*events) == [
        {"intent": "book", "user": "book me a table"},
        {"action": "table_form"},
        {"active_loop": "table_form"},
        {"slot_was_set": [{"requested_slot": "seats"}]},
    ]


def test_each_session_is_a_story_and_silent_ones_are_left_out() -> None:
    events = [*START, says("hi", "greet"), *START, *START, says("bye", "goodbye")]
    written = yaml.safe_load(stories_yaml("ada", sessions_of(events)))
    assert [story["story"] for story in written["stories"]] == ["ada, story 1", "ada, story 2"]
    assert yaml.safe_load(stories_yaml("ada", [START])) == {"version": "3.1"}


def test_what_happened_without_a_word_is_told_too() -> None:
    (story,) = yaml.safe_load(stories_yaml("ada", [[SlotSet(name="city", value="Rome")]]))["stories"]
    assert story == {"story": "ada", "steps": [{"slot_was_set": [{"city": "Rome"}]}]}


def test_entities_are_marked_in_the_text() -> None:
    city = ExtractedEntity(entity="city", value="Berlin", start=5, end=11, role="from")
    day = ExtractedEntity(entity="day", value="2026-11-23", start=12, end=20)
    anywhere = ExtractedEntity(entity="mood", value="glad")
    text = annotated("from Berlin tomorrow", [day, city, anywhere])
    assert text == 'from [Berlin]{"entity": "city", "role": "from"} [tomorrow]{"entity": "day", "value": "2026-11-23"}'


def test_retrieval_intent_is_named_in_full_and_texts_of_the_bot_are_told() -> None:
    asked = ParseData(text="who?", intent=IntentScore("faq", 1.0), full_retrieval_intent_name="faq/who")
    steps = steps_of(UserUttered(text="who?", parse_data=asked), ActionExecuted(action_text="I am a bot"))
    assert steps == [{"intent": "faq/who", "user": "who?"}, {"bot": "I am a bot"}]


def test_reader_of_test_conversations_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(
        'version: "3.1"\nintents: [greet]\nentities: [city]\nresponses:\n  utter_greet:\n  - text: hi\n'
    )
    (tmp_path / "config.yml").write_text("language: en\npipeline:\n- name: KeywordIntentClassifier\npolicies: []\n")
    said = "hello: - from 'Köln' | #1\nand \"more\""
    city = ExtractedEntity(entity="city", value="Köln", start=15, end=19)
    events = [*START, says(said, "greet", city), ActionExecuted(name="utter_greet")]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nlu.yml").write_text('version: "3.1"\nnlu:\n- intent: greet\n  examples: |\n    - hello\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_stories.yml").write_text(stories_yaml("ada", [events]))
    (test,) = read_project(ProjectPaths.default(tmp_path)).project.tests
    user, action = test.steps
    assert isinstance(user, UserStep)
    assert isinstance(action, ActionStep)
    assert (user.text, user.intent) == (said, "greet")
    assert [(e.entity, e.value) for e in user.annotations] == [("city", "Köln")]
    assert action.name == "utter_greet"
