"""Intents and entities by the trained DIET, which the model server runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import DIETClassifierOptions
from turnstream.dialogue.events import ExtractedEntity, IntentScore
from turnstream.features.arrays import MAX_TOKENS, model_inputs, pad
from turnstream.features.bilou import TagSequence, decode
from turnstream.features.pipeline import FeaturePipeline
from turnstream.nlu.understanding import Outside, Understanding
from turnstream.runtime.errors import InternalError


@dataclass(frozen=True, slots=True)
class DietLabels:
    """What the model's outputs mean: intents in the order of `intent_scores`, tags of each tagger by its name."""

    intents: tuple[str, ...]
    taggers: Mapping[str, tuple[str, ...]]


class DietClassifier:
    """`model` is None where there was nothing to train: then no intent is found, nor is one in an empty text.

    `pipeline` is that of the bundle, of whose features the option `featurizers` may choose some.
    """

    def __init__(
        self, options: DIETClassifierOptions, model: BundledModel | None, labels: DietLabels, pipeline: FeaturePipeline
    ) -> None:
        self._options = options
        self._model = model
        self._labels = labels
        self._spec = pipeline.spec
        self._choice = pipeline.choice(options.featurizers)

    async def process(self, message: Understanding, outside: Outside) -> Understanding:
        if self._model is None or not message.text:
            # An empty text says nothing; the model would give it the intent that it likes best.
            return self._with_intent(message, ())
        features = self._choice.of(message.features) if self._choice else message.features
        outputs = await outside.models.predict(
            self._model.name,
            model_inputs(pad([features]), self._spec),
            version=self._model.version,
            timeout_s=outside.predict_timeout_s,
        )
        message = self._with_intent(message, self._ranking(outputs))
        return message.with_entities(self._entities(message, outputs))

    def _with_intent(self, message: Understanding, ranking: tuple[IntentScore, ...]) -> Understanding:
        if not self._options.intent_classification:
            return message
        return replace(message, intent=ranking[0] if ranking else IntentScore(None, 0.0), ranking=ranking)

    def _ranking(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[IntentScore, ...]:
        if not self._labels.intents:
            return ()
        scores = self._output(outputs, "intent_scores", len(self._labels.intents))
        return ranked(self._labels.intents, scores, self._options.ranking_length, self._options.renormalize_confidences)

    def _entities(self, message: Understanding, outputs: Mapping[str, NDArray[Any]]) -> list[ExtractedEntity]:
        tokens = message.tokens[:MAX_TOKENS]
        predicted = {
            name: TagSequence(
                tuple(tags[int(i)] for i in self._output(outputs, f"{name}_tags", len(tokens))),
                tuple(float(c) for c in self._output(outputs, f"{name}_confidences", len(tokens))),
            )
            for name, tags in self._labels.taggers.items()
        }
        options = self._options
        found = decode(
            message.text,
            tokens,
            predicted,
            bilou=options.BILOU_flag,
            split_by_comma=options.split_entities_by_comma,
        )
        return [replace(entity, extractor=options.component_name) for entity in found]

    def _output(self, outputs: Mapping[str, NDArray[Any]], name: str, length: int) -> NDArray[Any]:
        """The first `length` values of the only row. Raises InternalError where the model gives another shape."""
        values = outputs.get(name)
        if values is None or values.ndim != 2 or values.shape[0] != 1 or values.shape[1] < length:
            found = "nothing" if values is None else f"shape {list(values.shape)}"
            assert self._model is not None
            raise InternalError(f"model '{self._model.name}': '{name}' should be [1, {length}], got {found}")
        return values[0, :length]


def ranked(
    names: tuple[str, ...], scores: NDArray[Any], ranking_length: int, renormalize: bool
) -> tuple[IntentScore, ...]:
    """The best `ranking_length` (0: all), best first, equal ones in the order of `names`; to sum 1 if asked."""
    order = sorted(range(len(names)), key=lambda i: -float(scores[i]))
    kept = order[:ranking_length] if ranking_length > 0 else order
    total = sum(float(scores[i]) for i in kept)
    scale = 1.0 / total if renormalize and len(kept) < len(names) and total > 0.0 else 1.0
    return tuple(IntentScore(names[i], float(scores[i]) * scale) for i in kept)
