"""Training, storing, running and exporting DIET."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from turnstream.assistant.components import DIETClassifierOptions
from turnstream.features.arrays import FeatureSpec, TextFeatures
from turnstream.features.training_data import NO_LABEL, DietData
from turnstream.models.diet_network import DietNetwork
from turnstream.models.export import Outputs, TextInputs
from turnstream.models.module import Module, compiled
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.text_data import TextData
from turnstream.models.text_encoder import PaddedTexts, TextTensors, UsedEmbeddings, text_signature, text_tensors
from turnstream.models.trained import TrainedModel
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import Metrics, ProgressCallback, fit, seed_of
from turnstream.models.types import Array, Ints, Tensor
from turnstream.models.weights import WeightsError, assign_weights, read_weights


class TrainedDiet(TrainedModel[DIETClassifierOptions, TextFeatures]):
    """A trained DIET: its network and the names of what it predicts.

    intents: names in the order of `intent_scores`; taggers: tag names by tagger, the order of `<name>_tags`;
    intent_words: see `features.training_data.DietData`.
    """

    kind = "diet"
    options_type = DIETClassifierOptions
    network: DietNetwork

    def __init__(
        self,
        options: DIETClassifierOptions,
        spec: FeatureSpec,
        intents: Sequence[str],
        taggers: Mapping[str, Sequence[str]],
        seed: int,
        intent_words: Sequence[Sequence[str]] = (),
    ) -> None:
        self.spec = spec
        self.intents = tuple(intents)
        self.taggers = {name: tuple(tags) for name, tags in taggers.items()}
        self.intent_words = tuple(tuple(words) for words in intent_words)
        network = DietNetwork(options, spec, len(self.intents), self.taggers, Initializer(seed), self.intent_words)
        super().__init__(options, TextInputs(spec), network)

    def settings(self) -> dict[str, Any]:
        return {
            "spec": asdict(self.spec),
            "intents": self.intents,
            "taggers": self.taggers,
            "intent_words": self.intent_words,
        }

    @classmethod
    def rebuilt(cls, options: DIETClassifierOptions, settings: Mapping[str, Any]) -> Self:
        spec, words = FeatureSpec(**settings["spec"]), settings["intent_words"]
        return cls(options, spec, settings["intents"], settings["taggers"], seed=0, intent_words=words)

    @staticmethod
    def labels_in(settings: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        return {"intents": settings["intents"], **settings["taggers"]}

    def inference(self) -> Callable[[PaddedTexts], Outputs]:
        network = self.network
        labels = network.labels() if network.labels is not None else None
        slacks = [tagger.slack() for tagger in network.taggers]
        return lambda texts: network.infer(texts, labels, slacks)

    def served(self) -> Sequence[Module]:
        network = self.network
        ranking = [network.intent_output] if network.labels is not None else []
        return [network.encoder, *network.taggers, *ranking]

    def check_start(self, earlier: Mapping[str, Any], where: str) -> None:
        super().check_start(earlier, where)
        if bool(earlier["intent_words"]) != bool(self.intent_words):
            raise WeightsError(f"{where}: the names of intents are split in one model and whole in the other")


class DietTrainee:
    """DIET under training."""

    name = TrainedDiet.kind

    def __init__(self, model: TrainedDiet, data: DietData, seed: int) -> None:
        self._model = model
        network = model.network
        self._texts = TextData(data.texts, model.spec)
        self._examples = data.texts
        self._intents = data.intents.astype(np.int32)
        self._tags = [
            np.concatenate([np.zeros(0, np.int32), *tagger.labels]).astype(np.int32) for tagger in data.taggers
        ]
        bags = [network.encoder.token_bag, network.encoder.sentence_bag]
        options = model.options
        self._trainer = Trainer(
            network, bags, learning_rate=options.learning_rate, penalty=options.regularization_constant, seed=seed
        )
        tags = [tf.TensorSpec([None, None], tf.int32) for _ in self._tags]
        signature = [text_signature(model.spec), tf.TensorSpec([None], tf.int32), tags]
        self._step = compiled(signature)(self._traced_step)

    def _traced_step(self, texts: TextTensors, intents: Tensor, tags: Sequence[Tensor]) -> dict[str, Tensor]:
        def loss(used: Sequence[Tensor], noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
            return self._model.network.loss(texts, UsedEmbeddings(*used), intents, tags, noise)

        return self._trainer.step([texts.tokens, texts.sentences], loss)

    def train_step(self, examples: Ints, learning_rate: float) -> Metrics:
        self._trainer.set_learning_rate(learning_rate)
        batch = self._texts.batch(examples, with_tokens=self._model.network.encoder.settings.reads_tokens)
        tags = [self._padded_tags(labels, examples) for labels in self._tags]
        metrics = self._step(text_tensors(batch), self._intents[examples], tags)
        return {name: float(value) for name, value in metrics.items()}

    def _padded_tags(self, labels: Ints, examples: Ints) -> Ints:
        lengths = self._texts.lengths[examples]
        padded = np.zeros((len(examples), max(1, int(lengths.max(initial=0)))), np.int32)
        padded[np.arange(padded.shape[1]) < lengths[:, np.newaxis]] = labels[self._texts.token_positions(examples)]
        return padded

    def evaluate(self, examples: Ints) -> Metrics:
        self._model.weights_changed()
        outputs = self._model.predict([self._examples[i] for i in examples])
        metrics: dict[str, float] = {}
        if "intent_scores" in outputs:
            metrics["intent_accuracy"] = accuracy(outputs["intent_scores"].argmax(1), self._intents[examples])
        for name, labels in zip(self._model.taggers, self._tags, strict=True):
            padded = self._padded_tags(labels, examples)
            predicted = outputs[f"{name}_tags"]
            metrics[f"{name}_f1"] = micro_f1(predicted[:, : padded.shape[1]], padded)
        return metrics

    def weights(self) -> Mapping[str, Array]:
        return read_weights(self._model.network.variables)

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        assign_weights(self._model.network.variables, weights, "the checkpoint")


def accuracy(predicted: Array, labels: Ints) -> float:
    """The share that is right of the examples that have a label."""
    known = labels != NO_LABEL
    return float((predicted[known] == labels[known]).mean()) if known.any() else 0.0


def micro_f1(predicted: Array, labels: Array) -> float:
    """Micro F1 over all tags but 0 ("O"); 1 when there are none and none is predicted."""
    right = int(((predicted == labels) & (labels > 0)).sum())
    total = int((predicted > 0).sum() + (labels > 0).sum())
    return 2 * right / total if total else 1.0


def train_diet(
    data: DietData,
    spec: FeatureSpec,
    options: DIETClassifierOptions,
    *,
    progress: ProgressCallback | None = None,
    start: Path | None = None,
) -> TrainedDiet:
    """Train DIET. Intents, entities or both are learnt, as the options ask and the data has.

    start: the folder of an earlier model (`save`) to go on from, whose labels and features come first in the new ones.
    Raises ValueError when there is nothing to learn, a feature id is outside the spec, or `start` does not fit.
    """
    intents = data.intent_names if options.intent_classification else ()
    taggers = data.taggers if options.entity_recognition else ()
    if not intents and not taggers:
        raise ValueError("DIETClassifier has neither intents nor entities to learn")
    words = data.intent_words if intents else ()
    labels = data.intents if intents else np.full(len(data.texts), NO_LABEL, np.int32)
    data = DietData(data.texts, labels, intents, taggers, words)
    seed = seed_of(options)
    model = TrainedDiet(options, spec, intents, {tagger.name: tagger.tags for tagger in taggers}, seed, words)
    if start is not None:
        model.go_on_from(start)
    fit(DietTrainee(model, data, seed), data.intents, options, progress)
    model.weights_changed()
    return model
