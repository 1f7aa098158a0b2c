"""Test stories played step by step, with policies that are written out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.assistant.stories import ActionStep, StoryEntity, TestStory, UserStep
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.evaluation.dialogues import DialogueResult, Prediction, replay, reports
from turnstream.evaluation.files import ReportWriter, stories_text
from turnstream.training.story_events import user_message

DOMAIN = Domain(actions=("utter_greet", "utter_bye", "form"))
LISTEN = ActionExecuted(name="action_listen")
GREET = UserStep("greet", "hello Ada", annotations=(EntityAnnotation(6, 9, "name", "Ada"),))
STORY = TestStory("a chat", (GREET, ActionStep("utter_greet")))
EVENTS: tuple[Event, ...] = (
    LISTEN,
    UserUttered(parse_data=ParseData(intent=IntentScore("greet", 1.0))),
    ActionExecuted(name="utter_greet"),
    LISTEN,
)


async def parse(text: str) -> ParseData:
    return ParseData(text=text, intent=IntentScore("greet", 0.9), text_tokens=((0, 5), (6, 9)))


class Script:
    """Says one action after the other, and remembers after what."""

    def __init__(self, *actions: str) -> None:
        self._actions = iter(actions)
        self.seen: list[Dialogue] = []

    async def __call__(self, dialogue: Dialogue) -> Prediction:
        self.seen.append(dialogue.branch())
        return Prediction(next(self._actions), "TEDPolicy", 0.7)


async def play(*actions: str, events: tuple[Event, ...] = EVENTS) -> tuple[DialogueResult, Script]:
    script = Script(*actions)
    return await replay(STORY, events, DOMAIN, script, parse), script


async def test_wrong_action_fails_the_story_and_the_next_is_predicted_after_the_right_one() -> None:
    result, script = await play("utter_bye", "action_listen")
    assert [action.is_right for action in result.actions] == [False, True]
    assert not result.is_right
    assert script.seen[1].tracker.latest_action_name == "utter_greet"


async def test_policies_see_texts_and_later_ones_what_decided() -> None:
    class ByText(Script):
        async def __call__(self, dialogue: Dialogue) -> Prediction:
            return replace(await super().__call__(dialogue), by_text=True)

    for script, seen in (
        (Script("utter_greet", "action_listen"), None),
        (ByText("utter_greet", "action_listen"), GREET.text),
    ):
        await replay(STORY, EVENTS, DOMAIN, script, parse)
        first, second = (dialogue.history().states[-1] for dialogue in script.seen)
        assert (first.intent, first.user_text) == ("greet", GREET.text)
        assert (second.intent is None, second.user_text) == (seen is not None, seen)


async def test_message_is_wrong_where_its_entities_are() -> None:
    result, _ = await play("utter_greet", "action_listen")
    message = result.steps[0]
    assert not message.is_right
    assert "other entities" in message.told


TO, FROM = (EntityAnnotation(5, 9, "city", "Rome", role=role) for role in ("to", "from"))


@pytest.mark.parametrize(
    ("step", "is_right"),
    [
        (UserStep("go", "from Rome", annotations=(FROM,)), True),
        (UserStep("go", "from Rome", annotations=(TO,)), False),
        (UserStep("go", "from Rome", entities=(StoryEntity("city", "Rome", role="from"),)), True),
        (UserStep("go", "from Rome", entities=(StoryEntity("city", "Rome", role="to"),)), False),
        (UserStep("go", "from Rome", entities=(StoryEntity("city", "Oslo"),)), True),
        (UserStep("go", "from Rome", annotations=(replace(FROM, value="ROME"),)), True),
        (UserStep("go", "from Rome", annotations=(replace(FROM, value="Roma"),)), False),
        (UserStep("stay", "from Rome", annotations=(FROM,)), False),
    ],
)
async def test_message_is_right_in_intent_entities_and_their_roles(step: UserStep, is_right: bool) -> None:
    async def parse(text: str) -> ParseData:
        found = ExtractedEntity("city", "Rome", 5, 9, role="from", extractor="DIETClassifier")
        return ParseData(text=text, intent=IntentScore("go", 0.9), text_tokens=((0, 4), (5, 9)), entities=(found,))

    story = TestStory("a trip", (step,))
    result = await replay(story, (LISTEN, user_message(step)), DOMAIN, Script(), parse)
    assert result.is_right == is_right
    text = stories_text([result])
    found = '# predicted entities: from [Rome]{"entity": "city", "role": "from"}' in text
    assert found == (not is_right and step.intent == "go")
    assert ("# predicted: go" in text) == (step.intent != "go")


@pytest.mark.parametrize(
    ("wanted", "selected", "is_right"),
    [
        ("faq/name", "faq/name", True),
        ("faq/name", "faq/age", False),
        ("faq/name", None, True),
        ("faq", "faq/age", True),
        ("chitchat/name", None, False),
    ],
)
async def test_retrieval_intent_counts_in_full_where_the_test_and_a_selector_say_it_in_full(
    wanted: str, selected: str | None, is_right: bool
) -> None:
    async def parse(text: str) -> ParseData:
        return ParseData(text=text, intent=IntentScore("faq", 0.9), full_retrieval_intent_name=selected)

    step = UserStep(wanted, "who are you")
    result = await replay(TestStory("a question", (step,)), (LISTEN, user_message(step)), DOMAIN, Script(), parse)
    assert result.is_right == is_right


async def test_unlikely_intent_warns_and_fails_nothing() -> None:
    result, script = await play("action_unlikely_intent", "utter_greet", "action_listen")
    assert all(action.is_right for action in result.actions)
    assert result.has_warnings
    assert script.seen[1].tracker.latest_action_name == "action_unlikely_intent"


async def test_form_that_the_test_leaves_is_told_that_it_refused() -> None:
    events = (LISTEN, ActiveLoopChanged(name="form"), *EVENTS[1:])
    result, script = await play("form", "utter_greet", "action_listen", events=events)
    assert all(action.is_right for action in result.actions)
    assert script.seen[1].tracker.rejected_action == "form"


async def test_files_hold_what_failed_and_how_much(tmp_path: Path) -> None:
    good, _ = await play("utter_greet", "action_listen")
    bad, _ = await play("utter_bye", "action_listen")
    ReportWriter(tmp_path, plots=None).write_dialogues(reports([good, bad]))
    failed = (tmp_path / "failed_test_stories.yml").read_text()
    stories = yaml.safe_load(failed)["stories"]
    assert [step.get("action") or step["user"] for step in stories[1]["steps"]] == ["hello [Ada](name)", "utter_greet"]
    assert "- action: utter_greet  # predicted: utter_bye (TEDPolicy)" in failed
    report = json.loads((tmp_path / "story_report.json").read_text())
    assert report["conversation_accuracy"] == {"accuracy": 0.0, "correct": 0, "with_warnings": 0, "total": 2}
    # The peer counts actions, intents and entities together: 3 of 4, 2 of 2 and 0 of 2.
    assert report["accuracy"] == 0.625
    assert report["[Ada](name)"]["support"] == report["greet"]["support"] == 2


async def test_entity_that_the_test_does_not_name_is_a_mistake_of_its_own() -> None:
    async def found(text: str) -> ParseData:
        ada = ExtractedEntity("name", "Ada", 6, 9, extractor="DIETClassifier")
        return ParseData(text=text, intent=IntentScore(None), entities=(ada,), text_tokens=((0, 5), (6, 9)))

    story = TestStory("a chat", (UserStep("greet", "hello Ada"),))
    result = await replay(story, EVENTS[:2], DOMAIN, Script(), found)
    report = reports([result]).labels
    assert report is not None
    assert {label: score.recall for label, score in report.scores.items()} == {"greet": 0.0, "None": 0.0}
    assert report.confusions == {"greet": {"": 1}, "None": {"[Ada](name)": 1}}
