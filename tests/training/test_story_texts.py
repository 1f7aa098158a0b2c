"""What TED and the featurizers learn of the texts of end-to-end stories."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.stories import DOMAIN, story
from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    TEDPolicyOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.nlu_data import EntityAnnotation, Example, NluData
from turnstream.assistant.problems import Problems
from turnstream.assistant.stories import BotStep, OrStep, Story, UserStep
from turnstream.features.pipeline import FeaturePipeline
from turnstream.training.dialogues import TrainingDialogue, training_dialogues
from turnstream.training.nlu_components import fit_nlu
from turnstream.training.story_texts import LearntTexts, said_in, story_texts

NLU = NluData(examples=(Example("hello there", "greet"), Example("bye", "bye")))
OPTIONS: tuple[ComponentOptions, ...] = (WhitespaceTokenizerOptions(), CountVectorsFeaturizerOptions())
CITY = EntityAnnotation(7, 11, "city", "rome")
TO_ROME = UserStep(text="off to rome", annotations=(CITY,))
NO = UserStep(text="never mind")
SPOKEN = "where to?"
E2E_DOMAIN = replace(DOMAIN, e2e_actions=(SPOKEN,))
STORY = story("travel", "greet", BotStep(SPOKEN), TO_ROME, "utter_ok", NO, "utter_bye")


def dialogues_of(*stories: Story) -> tuple[TrainingDialogue, ...]:
    return training_dialogues(stories, (), E2E_DOMAIN, Problems(), augmentation=0).stories


def pipeline_of(*stories: Story, options: Sequence[ComponentOptions] = OPTIONS) -> FeaturePipeline:
    return fit_nlu(options, NLU, E2E_DOMAIN, None, said_in(stories)).pipeline


def learnt(*stories: Story, before: dict[str, Any] | None = None, **changes: Any) -> LearntTexts:
    found = story_texts(
        dialogues_of(*stories),
        E2E_DOMAIN.e2e_actions,
        pipeline_of(*stories),
        TEDPolicyOptions(**changes),
        before or {},
    )
    assert found is not None
    return found


def test_texts_are_those_that_no_intent_stands_for() -> None:
    both = UserStep(text="hi", intent="greet")
    told = story("told", both, "utter_greet", OrStep((TO_ROME, NO)), "utter_ok", TO_ROME, "utter_bye")
    assert said_in([told]) == ("off to rome", "never mind")


def test_featurizers_know_the_words_of_stories() -> None:
    pipeline = pipeline_of(STORY)
    assert pipeline.featurize("rome").features.sentence_ids.size == 1
    assert pipeline.featurize_response("where").features.sentence_ids.size == 1
    # A word of the assistant alone tells a classifier of messages nothing.
    assert pipeline.featurize("where").features.sentence_ids.size == 0
    plain = FeaturePipeline.fit(OPTIONS, NLU, DOMAIN)
    assert plain.featurize("rome").features.sentence_ids.size == 0


def test_each_distinct_text_is_featurized_once() -> None:
    found = learnt(STORY, story("again", "greet", BotStep(SPOKEN), TO_ROME, "utter_help"))
    # The empty text stands before the others.
    assert len(found.texts.users) == 1 + 2
    assert len(found.texts.bots) == 1 + 1
    assert found.texts.sizes.action_texts == (SPOKEN,)
    assert found.part == {"tags": ["O", "B-city", "I-city", "L-city", "U-city"], "by_text_only": False}


def test_states_and_actions_know_their_texts() -> None:
    found = learnt(STORY)
    (dialogue,) = dialogues_of(STORY)
    known = {state: found.texts.numbers(state) for state in dialogue.states}
    assert [pair for pair in known.values() if any(pair)] == [(0, 1), (1, 0), (2, 0)]
    assert all(state.previous_action_text == SPOKEN for state, (_, bot) in known.items() if bot)
    assert all(state.previous_action == "action_listen" for state, (user, _) in known.items() if user)
    assert found.texts.bot_numbers(["utter_ok", SPOKEN]).tolist() == [0, 1]


def test_entities_are_tagged_where_they_are_annotated_and_wanted() -> None:
    found = learnt(STORY)
    tags = found.texts.sizes.tags
    first = np.array([1], np.int32)
    (row,) = found.texts.padded_tags(first)
    assert [tags[i] for i in row] == ["O", "O", "U-city"]
    assert learnt(STORY, BILOU_flag=False).texts.sizes.tags == ("O", "city")
    assert learnt(STORY, entity_recognition=False).texts.sizes.tags == ()
    assert learnt(story("plain", NO, "utter_bye")).texts.sizes.tags == ()


def test_stories_without_intents_are_read_by_text_only() -> None:
    part = learnt(story("plain", NO, "utter_bye")).part
    assert part == {"tags": [], "by_text_only": True}


def test_what_an_earlier_model_knew_comes_first_and_stays() -> None:
    before = {
        "texts": {"tags": ["O", "B-drink", "I-drink", "L-drink", "U-drink"], "by_text_only": True},
        "encoder": {"features": [], "action_texts": ["old words", SPOKEN]},
    }
    sizes = learnt(STORY, before=before).texts.sizes
    assert sizes.action_texts == ("old words", SPOKEN)
    assert sizes.tags[:5] == ("O", "B-drink", "I-drink", "L-drink", "U-drink")
    assert set(sizes.tags[5:]) == {"B-city", "I-city", "L-city", "U-city"}


@pytest.mark.parametrize("missing", ["texts", "featurizers"])
def test_without_texts_or_featurizers_there_is_nothing_to_learn(missing: str) -> None:
    stories = [STORY] if missing == "featurizers" else [story("plain", "greet", "utter_greet")]
    pipeline = pipeline_of(*stories, options=OPTIONS[:1] if missing == "featurizers" else OPTIONS)
    spoken = E2E_DOMAIN.e2e_actions if missing == "featurizers" else ()
    assert story_texts(dialogues_of(*stories), spoken, pipeline, TEDPolicyOptions(), {}) is None
