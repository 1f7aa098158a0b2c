"""The texts of end-to-end stories: what featurizers learn from them, and what TED does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from turnstream.assistant.components import TEDPolicyOptions
from turnstream.assistant.nlu_data import Example
from turnstream.assistant.stories import Rule, Step, Story, UserStep
from turnstream.dialogue.events import ExtractedEntity
from turnstream.features.arrays import FeatureSpec
from turnstream.features.bilou import LabelledSpan, encode, label_of, tag_names
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.states import follows_message
from turnstream.features.story_texts import MAX_SAID_TOKENS, shortened, text_of
from turnstream.models.story_texts import StoryTexts, TextSizes
from turnstream.models.types import Ints
from turnstream.training.dialogues import TrainingDialogue
from turnstream.training.story_events import alternatives

Json = dict[str, Any]


def said_in(stories: Iterable[Story]) -> tuple[str, ...]:
    """The users' texts that no intent stands for, each once."""
    return tuple(dict.fromkeys(step.text for step in _user_steps(stories) if step.text and step.intent is None))


def examples_in(stories: Iterable[Story | Rule]) -> tuple[Example, ...]:
    """Texts beside an intent, which teach that intent as the examples of the NLU data do."""
    return tuple(
        Example(step.text, step.intent, step.annotations, location=step.location)
        for step in _user_steps(stories)
        if step.text and step.intent is not None
    )


def _user_steps(stories: Iterable[Story | Rule]) -> Iterator[UserStep]:
    steps: Iterator[Step] = (step for story in stories for given in story.steps for step in alternatives(given))
    return (step for step in steps if isinstance(step, UserStep))


@dataclass(frozen=True, slots=True)
class LearntTexts:
    """What TED learns of texts, and what the bundle says of it: `part` is None where users' texts are not read."""

    texts: StoryTexts
    part: Json | None


def story_texts(
    dialogues: Sequence[TrainingDialogue],
    action_texts: Sequence[str],
    pipeline: FeaturePipeline,
    options: TEDPolicyOptions,
    before: Mapping[str, Any],
) -> LearntTexts | None:
    """None where stories have no texts, or the pipeline nothing to featurize them with.

    before: the earlier policy's part of a bundle, whose texts and tags stay; empty without one.
    """
    pipeline = pipeline.selected(options.featurizers)
    said = _annotated(dialogues)
    knew_users, knew_bots = before.get("texts"), before.get("encoder", {}).get("action_texts", ())
    bots = tuple(dict.fromkeys([*knew_bots, *action_texts]))
    if not pipeline.has_featurizers or not (said or bots or knew_users):
        return None
    has_users = bool(said or knew_users)
    tags = _tags(said, options, (knew_users or {}).get("tags", ()))
    sizes = TextSizes(pipeline.message_spec if has_users else None, _spec_of(bots, pipeline), bots, tags)
    texts = StoryTexts(
        sizes,
        {text: shortened(pipeline.featurize(text).features) for text in said},
        {text: pipeline.featurize_response(text).features for text in bots},
        {text: _tagged(text, entities, pipeline, options, tags) for text, entities in said.items()} if tags else None,
    )
    part = {"tags": list(tags), "by_text_only": not _has_intents(dialogues)} if has_users else None
    return LearntTexts(texts, part)


def _spec_of(bots: Sequence[str], pipeline: FeaturePipeline) -> FeatureSpec | None:
    return pipeline.spec if bots else None


def _annotated(dialogues: Iterable[TrainingDialogue]) -> dict[str, tuple[ExtractedEntity, ...]]:
    """What users say in their own words, with its entities; of several annotations the first that has any."""
    found: dict[str, tuple[ExtractedEntity, ...]] = {}
    for dialogue in dialogues:
        for state, entities in zip(dialogue.states, dialogue.entities, strict=True):
            text = text_of(state)
            if text:
                found[text] = found.get(text) or entities
    return found


def _tags(
    said: Mapping[str, Sequence[ExtractedEntity]], options: TEDPolicyOptions, before: Sequence[str]
) -> tuple[str, ...]:
    """Empty where no entity is annotated, or none is wanted."""
    labels = {entity.entity for entities in said.values() for entity in entities if entity.start is not None}
    if not options.entity_recognition or not (labels or before):
        return ()
    labels |= {label_of(tag) for tag in before[1:]}
    return tuple(dict.fromkeys([*before, *tag_names(labels, bilou=options.BILOU_flag)]))


def _tagged(
    text: str,
    entities: Iterable[ExtractedEntity],
    pipeline: FeaturePipeline,
    options: TEDPolicyOptions,
    tags: Sequence[str],
) -> Ints:
    spans = [
        LabelledSpan(entity.start, entity.end, entity.entity)
        for entity in entities
        if entity.start is not None and entity.end is not None
    ]
    tokens = pipeline.tokenize(text)[:MAX_SAID_TOKENS]
    return np.array([tags.index(tag) for tag in encode(tokens, spans, bilou=options.BILOU_flag)], np.int32)


def _has_intents(dialogues: Iterable[TrainingDialogue]) -> bool:
    return any(follows_message(state) and state.intent for dialogue in dialogues for state in dialogue.states)
