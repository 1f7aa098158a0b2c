"""What TED and UnexpecTED share: training, bulk inference, export."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from turnstream.models.dialogue_data import DialogueBatch, TedData, padded_dialogues, take
from turnstream.models.export import Outputs
from turnstream.models.layers.embedding_bag import EmbeddingBag, SparseRows
from turnstream.models.module import compiled
from turnstream.models.randomness import Noise
from turnstream.models.ted_network import DialogueNetwork, DialogueTensors, PaddedDialogues
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import Metrics
from turnstream.models.types import Array, Floats, Ints, Tensor
from turnstream.models.weights import assign_weights, read_weights

DialogueLoss = Callable[[DialogueTensors, Sequence[Tensor], Noise], tuple[Tensor, dict[str, Tensor]]]

DIALOGUE_INPUTS = (
    tf.TensorSpec([None, None, None], tf.int32, "ids"),
    tf.TensorSpec([None, None, None], tf.float32, "weights"),
    tf.TensorSpec([None], tf.int32, "lengths"),
)


def dialogue_inputs(infer: Callable[[PaddedDialogues], Outputs]) -> Any:
    """A compiled function of a dialogue model's documented inputs: `ids` int32 and `weights` float32 [batch, turns, k],
    `lengths` int32 [batch], all sizes open.
    """

    @compiled(DIALOGUE_INPUTS)
    def serve(ids: Tensor, weights: Tensor, lengths: Tensor) -> Outputs:
        return infer(PaddedDialogues(ids, weights, lengths))

    return serve.get_concrete_function()


EncodedDialogue = tuple[Ints, Floats]


class DialogueInputs:
    """Encoded dialogues, (ids, weights) [turns, k] each, as a dialogue model takes them."""

    def length(self, item: EncodedDialogue) -> int:
        """In turns."""
        return int(item[0].shape[0])

    def arrays(self, items: Sequence[EncodedDialogue]) -> Mapping[str, Array]:
        """Padded to the longest."""
        return padded_dialogues(items)

    def function(self, infer: Callable[[PaddedDialogues], Outputs]) -> Any:
        """A compiled function of the documented inputs, by name."""
        return dialogue_inputs(infer)


class DialogueTask(Protocol):
    """What is learnt from dialogues. `signature` is that of a batch; `bags` are the embedding bags that it reads."""

    signature: Any
    bags: list[EmbeddingBag]

    def batch(self, examples: Ints) -> Any:
        """The examples [batch] in the structure of `signature`."""

    def rows(self, batch: Any) -> list[SparseRows]:
        """What a batch reads of each bag."""

    def loss(self, batch: Any, used: Sequence[Tensor], noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """used: the embeddings that a batch reads of each bag."""


def dialogue_signature() -> DialogueTensors:
    """What a compiled training step takes, all sizes open."""
    floats, ints = tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.int32)
    longs = tf.TensorSpec([None], tf.int64)
    rows = SparseRows(ints, longs, longs, floats, tf.TensorSpec([], tf.int32))
    return DialogueTensors(ints, rows, ints, ints, tf.TensorSpec([None, None], tf.float32))


def dialogue_tensors(batch: DialogueBatch, label_sets: Floats) -> DialogueTensors:
    """Numpy arrays in the structure of `dialogue_signature`."""
    states = batch.states
    rows = SparseRows(states.vocabulary, states.row, states.column, states.weights, states.count)
    return DialogueTensors(batch.lengths, rows, batch.index, batch.labels, label_sets)


class StateTask:
    """Dialogues whose states are known by names alone; `loss` is a method of the network."""

    def __init__(self, network: DialogueNetwork, data: TedData, loss: DialogueLoss) -> None:
        self.signature = dialogue_signature()
        self.bags = [network.bag]
        self.loss = loss
        self._data = data

    def batch(self, examples: Ints) -> DialogueTensors:
        return dialogue_tensors(take(self._data, examples), self._label_sets(examples))

    def rows(self, batch: DialogueTensors) -> list[SparseRows]:
        return [batch.states]

    def _label_sets(self, examples: Ints) -> Floats:
        if not self._data.label_sets:
            return np.zeros((len(examples), 0), np.float32)
        sets = np.zeros((len(examples), len(self._data.names)), np.float32)
        for row, example in enumerate(examples):
            sets[row, list(self._data.label_sets[example])] = 1.0
        return sets


class DialogueTrainee:
    """TED or UnexpecTED under training."""

    def __init__(self, name: str, network: DialogueNetwork, task: DialogueTask, trainer: Trainer) -> None:
        self.name = name
        self._network = network
        self._task = task
        self._trainer = trainer
        self._step = compiled([task.signature])(self._traced_step)
        self._test = compiled([task.signature])(self._traced_test)

    def _traced_step(self, batch: Any) -> dict[str, Tensor]:
        return self._trainer.step(self._task.rows(batch), lambda used, noise: self._task.loss(batch, used, noise))

    def _traced_test(self, batch: Any) -> dict[str, Tensor]:
        used = [bag.used_rows(rows) for bag, rows in zip(self._task.bags, self._task.rows(batch), strict=True)]
        value, metrics = self._task.loss(batch, used, Noise(0, self._trainer.optimizer.steps))
        return {**metrics, "loss": value}

    def train_step(self, examples: Ints, learning_rate: float) -> Metrics:
        self._trainer.set_learning_rate(learning_rate)
        return {name: float(value) for name, value in self._step(self._task.batch(examples)).items()}

    def evaluate(self, examples: Ints) -> Metrics:
        """Metrics with dropout still on, as in training; the best first."""
        return {name: float(value) for name, value in self._test(self._task.batch(examples)).items()}

    def weights(self) -> Mapping[str, Array]:
        return read_weights(self._network.variables)

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        assign_weights(self._network.variables, weights, "the checkpoint")


def balance_labels(data: TedData) -> Ints:
    """[examples]: what balanced batches balance: the last label; whole dialogues have no label of their own."""
    whole = any((labels[:-1] >= 0).any() for labels in data.labels)
    if whole:
        return np.zeros(len(data.labels), np.int32)
    return np.array([labels[-1] for labels in data.labels], np.int32)
