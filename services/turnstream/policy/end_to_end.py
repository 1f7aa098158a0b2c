"""TED where stories have texts of users: a message counts by its intent or by its text, whichever says more.

Behaviour: https://rasa.com/docs/rasa/training-data-format#end-to-end-training and `e2e_confidence_threshold` of
https://rasa.com/docs/rasa/policies#ted-policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from turnstream.assistant.components import TEDPolicyOptions
from turnstream.dialogue.events import EntitiesAdded, Event, ExtractedEntity
from turnstream.dialogue.prediction.ensemble import PolicyPrediction
from turnstream.dialogue.state import DialogueState
from turnstream.features.arrays import TextFeatures
from turnstream.features.bilou import TagSequence, decode
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.story_texts import MAX_SAID_TOKENS, said_texts, text_inputs
from turnstream.policy.dialogue_model import DialogueModel, named_scores, numbered
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.runtime.errors import InternalError

PAYLOAD = "/"
"""Begins a message that names its intent, which leaves nothing to guess."""

SCORES, SIMILARITIES = "scores", "similarities"
TAGS, CONFIDENCES = "entity_tags", "entity_confidences"

Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class StoryTextPart:
    """What the bundle says of users' texts. tags: of the model's `entity_tags`, empty where it has none;
    by_text_only: whether no story has an intent.
    """

    tags: tuple[str, ...]
    by_text_only: bool

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "StoryTextPart":
        """Raises KeyError where a part is missing."""
        return StoryTextPart(tuple(data["tags"]), bool(data["by_text_only"]))


class EndToEndTEDPolicy:
    """Predicts from the intent and from the text of a new message, in one call of the model.

    The text wins where its best action is more confident than `e2e_confidence_threshold` and more similar to the
    dialogue than the best action by the intent. Then the entities that the model finds in it count, too.
    """

    calls_model = True
    may_be_end_to_end = True

    def __init__(
        self,
        options: TEDPolicyOptions,
        model: DialogueModel,
        actions: Sequence[str],
        part: StoryTextPart,
        pipeline: FeaturePipeline,
    ) -> None:
        self.name = options.component_name
        self.priority = options.priority
        self._options = options
        self._model = model
        self._actions = tuple(actions)
        self._part = part
        self._pipeline = pipeline

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction:
        states = given.visible_history.states
        if not states:
            return PolicyPrediction(self.name, self.priority)
        text = given.latest_text
        if not text or text.startswith(PAYLOAD):
            return self._prediction(await self._ask([states], outside), 0)
        spoken = (*states[:-1], _by_text(states[-1], text))
        if self._part.by_text_only:
            return self._by_text(text, await self._ask([spoken], outside), 0)
        outputs = await self._ask([states, spoken], outside)
        if self._says_more(outputs):
            return self._by_text(text, outputs, 1)
        return self._prediction(outputs, 0)

    def _says_more(self, outputs: Outputs) -> bool:
        by_intent, by_text = outputs[SIMILARITIES].max(1)
        confidence = float(outputs[SCORES][1].max())
        return confidence > self._options.e2e_confidence_threshold and float(by_text) > float(by_intent)

    def _by_text(self, text: str, outputs: Outputs, row: int) -> PolicyPrediction:
        entities = self._entities(text, outputs, row)
        events: tuple[Event, ...] = (EntitiesAdded(entities=entities),) if entities else ()
        return replace(self._prediction(outputs, row), is_end_to_end=True, optional_events=events)

    def _prediction(self, outputs: Outputs, row: int) -> PolicyPrediction:
        return PolicyPrediction(self.name, self.priority, named_scores(self._actions, outputs[SCORES][row]))

    async def _ask(self, variants: Sequence[Sequence[DialogueState]], outside: Outside) -> Outputs:
        latest = [self._model.latest(states) for states in variants]
        said = [said_texts(states, self._features) for states in latest]
        inputs = {**numbered(self._model.encoder, latest), **text_inputs(said, self._pipeline.spec)}
        wanted = (SCORES, SIMILARITIES, *((TAGS, CONFIDENCES) if self._part.tags else ()))
        outputs = await self._model.ask(inputs, wanted, outside)
        expected = (len(variants), len(self._actions))
        for name in (SCORES, SIMILARITIES):
            self._model.check_shape(name, outputs, expected)
        return outputs

    def _features(self, text: str) -> TextFeatures:
        return self._pipeline.featurize(text).features

    def _entities(self, text: str, outputs: Outputs, row: int) -> tuple[ExtractedEntity, ...]:
        if not self._part.tags:
            return ()
        tokens = self._pipeline.tokenize(text)[:MAX_SAID_TOKENS]
        if outputs[TAGS].ndim != 3 or outputs[TAGS].shape[2] < len(tokens):
            raise InternalError(f"model '{self._model.model.name}' gave '{TAGS}' of shape {outputs[TAGS].shape}")
        tags, confidences = (outputs[name][row, 0, : len(tokens)] for name in (TAGS, CONFIDENCES))
        found = TagSequence(tuple(self._part.tags[int(tag)] for tag in tags), tuple(float(c) for c in confidences))
        options = self._options
        entities = decode(
            text, tokens, {"entity": found}, bilou=options.BILOU_flag, split_by_comma=options.split_entities_by_comma
        )
        return tuple(replace(entity, extractor=self.name) for entity in entities)


def _by_text(state: DialogueState, text: str) -> DialogueState:
    return replace(state, intent=None, full_retrieval_intent=None, entities=(), user_text=text)
