"""Embeddings of labels that are known by name only: intents, response keys."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from turnstream.models.errors import UnsuitableOptions
from turnstream.models.layers.dense import Dense
from turnstream.models.layers.feed_forward import FeedForward
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.types import Floats, Tensor


class LabelEncoder(Module):
    """A row of `width` for each label, hidden layers, a dense layer to `embedding` units.

    words: of each label's name; a label's row is then the sum of its words' rows, so that `ask+greet` shares what
    `ask` and `greet` learn (StarSpace, Wu et al. 2017). Empty: each label has a row of its own.
    shared: the hidden layers of the texts, with `share_hidden_layers`. Raises UnsuitableOptions where they
    differ in width.
    """

    def __init__(
        self,
        labels: int,
        initializer: Initializer,
        *,
        width: int,
        hidden: Sequence[int],
        embedding: int,
        drop_rate: float,
        density: float,
        name: str,
        shared: FeedForward | None = None,
        words: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__()
        if shared is not None and shared.inputs != width:
            raise UnsuitableOptions(f"share_hidden_layers: labels are {width} wide, texts {shared.inputs}")
        self._counts = _word_counts(words) if words else None
        rows = self._counts.shape[1] if self._counts is not None else labels
        self._rows = tf.Variable(initializer.glorot_uniform(rows, width), name=f"{name}/embeddings")
        self._hidden = shared or FeedForward(
            width, hidden, initializer, drop_rate=drop_rate, density=density, name=f"{name}/hidden"
        )
        self._output = Dense(self._hidden.units, embedding, initializer, name=f"{name}/output")

    def __call__(self, noise: Noise | None = None, added: Tensor | None = None) -> Tensor:
        """[labels, embedding]. added: [labels, width], what is known of the labels beside their names."""
        rows = tf.convert_to_tensor(self._rows)
        if self._counts is not None:
            rows = tf.matmul(tf.constant(self._counts), rows)
        if added is not None:
            rows += added
        embeddings: Tensor = self._output(self._hidden(rows, noise))
        return embeddings


def _word_counts(words: Sequence[Sequence[str]]) -> Floats:
    """[labels, distinct words] how often each word is in each label, the words in the order of the labels."""
    columns: dict[str, int] = {}
    for word in (word for label in words for word in label):
        columns.setdefault(word, len(columns))
    counts = np.zeros((len(words), len(columns)), np.float32)
    for row, label in enumerate(words):
        for word in label:
            counts[row, columns[word]] += 1.0
    return counts
