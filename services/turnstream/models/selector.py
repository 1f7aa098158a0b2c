"""Training, storing, running and exporting a response selector."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from turnstream.assistant.components import ResponseSelectorOptions
from turnstream.features.arrays import FeatureSpec, TextFeatures
from turnstream.features.training_data import SelectorData
from turnstream.models.export import Outputs, TextInputs
from turnstream.models.losses.dot_product import ALL_LABELS, DRAWN_LABELS
from turnstream.models.module import Module, compiled
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.response_texts import ResponseTexts
from turnstream.models.selector_network import SelectorNetwork
from turnstream.models.text_data import TextData
from turnstream.models.text_encoder import PaddedTexts, TextTensors, UsedEmbeddings, text_signature, text_tensors
from turnstream.models.trained import TrainedModel
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import Metrics, ProgressCallback, fit, seed_of
from turnstream.models.types import Array, Ints, Tensor, Variable
from turnstream.models.weights import assign_weights, read_weights


class TrainedSelector(TrainedModel[ResponseSelectorOptions, TextFeatures]):
    """A trained selector. keys: intent response keys in the order of `scores`."""

    kind = "selector"
    options_type = ResponseSelectorOptions
    network: SelectorNetwork

    def __init__(
        self,
        options: ResponseSelectorOptions,
        spec: FeatureSpec,
        keys: Sequence[str],
        seed: int,
    ) -> None:
        self.spec = spec
        self.keys = tuple(keys)
        super().__init__(options, TextInputs(spec), SelectorNetwork(options, spec, len(self.keys), Initializer(seed)))
        self.response_embeddings = tf.Variable(
            np.zeros((len(self.keys), options.embedding_dimension), np.float32), trainable=False, name="responses"
        )

    @property
    def variables(self) -> Sequence[Variable]:
        return [*self.network.variables, self.response_embeddings]

    def settings(self) -> dict[str, Any]:
        return {"spec": asdict(self.spec), "keys": self.keys}

    @classmethod
    def rebuilt(cls, options: ResponseSelectorOptions, settings: Mapping[str, Any]) -> Self:
        return cls(options, FeatureSpec(**settings["spec"]), settings["keys"], seed=0)

    @staticmethod
    def labels_in(settings: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        return {"keys": settings["keys"]}

    def inference(self) -> Callable[[PaddedTexts], Outputs]:
        embeddings = tf.constant(self.response_embeddings.numpy())
        return lambda texts: self.network.infer(texts, embeddings)

    def served(self) -> Sequence[Module]:
        return [self.network.encoder, self.network.output]

    def embed_responses(self, texts: ResponseTexts) -> None:
        """Compute the embeddings of all responses; texts: of the responses, read where texts are the labels."""
        network = self.network
        self.response_embeddings.assign(
            network.keys() if network.keys is not None else texts.embedded(network.infer_responses)
        )
        self.weights_changed()


class SelectorTrainee:
    """A selector under training."""

    name = TrainedSelector.kind

    def __init__(self, model: TrainedSelector, data: SelectorData, responses: ResponseTexts, seed: int) -> None:
        self._model = model
        network, options = model.network, model.options
        self._with_tokens = network.encoder.settings.reads_tokens
        self._texts = TextData(data.texts, model.spec)
        self._examples = data.texts
        self._labels = data.labels.astype(np.int32)
        self._response_texts = responses
        self._generator = np.random.default_rng(seed)
        encoders = [network.encoder, *([network.responses] if network.responses is not None else [])]
        bags = [bag for encoder in encoders for bag in (encoder.token_bag, encoder.sentence_bag)]
        self._trainer = Trainer(
            network, bags, learning_rate=options.learning_rate, penalty=options.regularization_constant, seed=seed
        )
        texts = text_signature(model.spec)
        self._step = compiled([texts, tf.TensorSpec([None], tf.int32), texts])(self._traced_step)

    def _traced_step(self, texts: TextTensors, labels: Tensor, responses: TextTensors) -> dict[str, Tensor]:
        rows = [texts.tokens, texts.sentences]
        if self._model.network.responses is not None:
            rows += [responses.tokens, responses.sentences]

        def loss(used: Sequence[Tensor], noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
            used_responses = UsedEmbeddings(*used[2:]) if len(used) > 2 else None
            used_texts = UsedEmbeddings(*used[:2])
            return self._model.network.loss(texts, used_texts, labels, responses, used_responses, noise)

        return self._trainer.step(rows, loss)

    def train_step(self, examples: Ints, learning_rate: float) -> Metrics:
        self._trainer.set_learning_rate(learning_rate)
        labels = self._labels[examples]
        drawn = np.zeros(0, np.int32)
        if self._model.network.responses is not None:
            candidates = self._candidates(labels)
            drawn = self._response_texts.draw(candidates, self._generator)
            labels = np.searchsorted(candidates, labels).astype(np.int32)
        texts = text_tensors(self._texts.batch(examples, with_tokens=self._with_tokens))
        responses = text_tensors(self._response_texts.data.batch(drawn, with_tokens=self._with_tokens))
        return {name: float(value) for name, value in self._step(texts, labels, responses).items()}

    def _candidates(self, labels: Ints) -> Ints:
        """Sorted indices of the responses that a step compares: all, or those of the batch and some drawn."""
        count = len(self._response_texts)
        if count <= ALL_LABELS:
            return np.arange(count, dtype=np.int32)
        drawn = self._generator.choice(count, DRAWN_LABELS, replace=False)
        return np.union1d(labels, drawn).astype(np.int32)

    def evaluate(self, examples: Ints) -> Metrics:
        self._model.embed_responses(self._response_texts)
        scores = self._model.predict([self._examples[i] for i in examples])["scores"]
        return {"accuracy": float((scores.argmax(1) == self._labels[examples]).mean())}

    def weights(self) -> Mapping[str, Array]:
        return read_weights(self._model.network.variables)

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        assign_weights(self._model.network.variables, weights, "the checkpoint")


def train_selector(
    data: SelectorData,
    spec: FeatureSpec,
    options: ResponseSelectorOptions,
    *,
    progress: ProgressCallback | None = None,
    start: Path | None = None,
) -> TrainedSelector:
    """Train a selector on messages with their response keys.

    start: the folder of an earlier model (`save`) to go on from, whose labels and features come first in the new ones.
    Raises ValueError when there is nothing to learn from, or `start` does not fit.
    """
    if not data.texts or not data.keys:
        raise ValueError("ResponseSelector has no examples of retrieval intents to learn from")
    seed = seed_of(options)
    model = TrainedSelector(options, spec, data.keys, seed)
    if start is not None:
        model.go_on_from(start)
    responses = ResponseTexts(data.key_texts, spec)
    fit(SelectorTrainee(model, data, responses, seed), data.labels.astype(np.int32), options, progress)
    model.embed_responses(responses)
    return model
