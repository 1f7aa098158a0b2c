"""Training, storing, running and exporting DIET."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from turnstream.assistant.components import DIETClassifierOptions, options_from_json, options_to_json
from turnstream.features.arrays import FeatureSpec, TextFeatures, model_inputs, pad
from turnstream.features.training_data import NO_LABEL, DietData
from turnstream.models.diet_network import DietNetwork
from turnstream.models.export import export_model, text_inputs
from turnstream.models.inference import predict_all
from turnstream.models.module import compiled
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.text_data import TextData
from turnstream.models.text_encoder import TextTensors, UsedEmbeddings, text_signature, text_tensors
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import Metrics, ProgressCallback, fit, seed_of
from turnstream.models.types import Array, Ints, Tensor
from turnstream.models.weights import (
    WeightsError,
    assign_weights,
    check_grown,
    grow_weights,
    load_model,
    read_weights,
    save_model,
)

KIND = "diet"


class TrainedDiet:
    """A trained DIET: its network and the names of what it predicts.

    intents: names in the order of `intent_scores`; taggers: tag names by tagger, the order of `<name>_tags`;
    intent_words: see `features.training_data.DietData`.
    """

    def __init__(
        self,
        options: DIETClassifierOptions,
        spec: FeatureSpec,
        intents: Sequence[str],
        taggers: Mapping[str, Sequence[str]],
        seed: int,
        intent_words: Sequence[Sequence[str]] = (),
    ) -> None:
        self.options = options
        self.spec = spec
        self.intents = tuple(intents)
        self.taggers = {name: tuple(tags) for name, tags in taggers.items()}
        self.intent_words = tuple(tuple(words) for words in intent_words)
        self.network = DietNetwork(options, spec, len(self.intents), self.taggers, Initializer(seed), self.intent_words)
        self._function: Any = None

    def predict(
        self, texts: Sequence[TextFeatures], *, batch_size: int = 64, outputs: Sequence[str] = ()
    ) -> dict[str, Array]:
        """Bulk inference: the outputs of the export, only those named if any are, padded to the longest text."""
        lengths = [text.ids.shape[0] for text in texts]
        return predict_all(
            self.serving_function(),
            texts,
            lambda some: model_inputs(pad(some), self.spec),
            lengths,
            batch_size,
            outputs,
        )

    def serving_function(self) -> Any:
        """The function that `export` writes. Made anew after the weights changed."""
        if self._function is None:
            labels = self.network.labels() if self.network.labels is not None else None
            slacks = [tagger.slack() for tagger in self.network.taggers]
            self._function = text_inputs(self.spec, lambda texts: self.network.infer(texts, labels, slacks))
        return self._function

    def export(self, path: Path) -> None:
        """Write a SavedModel into the folder `path`, with the signature `serving_default` (see `models.export`)."""
        network = self.network
        served = [network.encoder, *network.taggers]
        if network.labels is not None:
            served.append(network.intent_output)
        export_model(path, self.serving_function(), served)

    def save(self, folder: Path) -> None:
        """Write weights and settings, from which `load` builds the model again."""
        settings = {
            "options": options_to_json(self.options),
            "spec": asdict(self.spec),
            "intents": self.intents,
            "taggers": self.taggers,
            "intent_words": self.intent_words,
        }
        save_model(folder, KIND, settings, self.network.variables)

    @classmethod
    def load(cls, folder: Path) -> "TrainedDiet":
        """Raises WeightsError when the files are damaged, of another kind, or do not fit each other."""
        settings, weights = load_model(folder, KIND)
        options = options_from_json(settings["options"])
        if not isinstance(options, DIETClassifierOptions):
            raise WeightsError(f"{folder} holds options of {options.component_name}")
        spec, words = FeatureSpec(**settings["spec"]), settings["intent_words"]
        model = cls(options, spec, settings["intents"], settings["taggers"], seed=0, intent_words=words)
        assign_weights(model.network.variables, weights, str(folder / "weights.npz"))
        return model

    def go_on_from(self, folder: Path) -> None:
        """Take the weights of an earlier, smaller model. Raises WeightsError where it does not fit into this one."""
        settings, weights = load_model(folder, KIND)
        before = {"intents": settings["intents"], **settings["taggers"]}
        check_grown(before, {"intents": self.intents, **self.taggers}, str(folder))
        if bool(settings["intent_words"]) != bool(self.intent_words):
            raise WeightsError(f"{folder}: the names of intents are split in one model and whole in the other")
        grow_weights(self.network.variables, weights, str(folder / "weights.npz"))
        self.weights_changed()

    def weights_changed(self) -> None:
        """Forget what was computed from the weights."""
        self._function = None


class DietTrainee:
    """DIET under training."""

    name = KIND

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

    def settle(self) -> None:
        self._trainer.settle()

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
