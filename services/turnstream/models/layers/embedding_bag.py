"""The first layer of every model: sparse features to dense vectors."""

from typing import NamedTuple

import tensorflow as tf

from turnstream.models.layers.dropout import dropout
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.types import Tensor


class SparseRows(NamedTuple):
    """Sparse rows of one batch, in coordinates of the batch.

    vocabulary: [used] int32, distinct ids of the batch; row, column: [entries] int64, the row and the index into
    `vocabulary` of each entry, sorted by row; weights: [entries]; count: [], the number of rows.
    """

    vocabulary: Tensor
    row: Tensor
    column: Tensor
    weights: Tensor
    count: Tensor


class EmbeddingBag(Module):
    """y = sum_i weight_i * E[id_i]: a dense layer on sparse features (`nn.EmbeddingBag` of PyTorch; fastText).

    Row 0 of E is padding and stays 0. Input dropout removes single entries and leaves the others as they
    are (sparse input dropout of DIET).
    """

    def __init__(self, vocabulary: int, units: int, initializer: Initializer, *, name: str) -> None:
        super().__init__()
        self.units = units
        values = initializer.glorot_uniform(vocabulary + 1, units)
        values[0] = 0.0
        self.embeddings = tf.Variable(values, name=f"{name}/embeddings")

    def used_rows(self, rows: SparseRows) -> Tensor:
        """[used, units]: the embeddings that a batch needs; training differentiates by these and not by the matrix."""
        return tf.gather(self.embeddings, rows.vocabulary)

    def combine(self, used: Tensor, rows: SparseRows, drop_rate: float, noise: Noise | None) -> Tensor:
        """[count, units] from the embeddings of `used_rows`."""
        weights = dropout(rows.weights, drop_rate, noise, scaled=False)
        shape = tf.stack([tf.cast(rows.count, tf.int64), tf.cast(tf.shape(used)[0], tf.int64)])
        matrix = tf.SparseTensor(tf.stack([rows.row, rows.column], axis=1), weights, shape)
        return tf.sparse.sparse_dense_matmul(matrix, used)

    def __call__(self, ids: Tensor, weights: Tensor) -> Tensor:
        """ids, weights: [rows, k] padded -> [rows, units]."""
        return combined(self.embeddings, ids, weights)


def combined(table: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
    """table: [vocabulary + 1, units]; ids, weights: [rows, k] padded -> [rows, units]."""
    return tf.squeeze(tf.matmul(weights[:, tf.newaxis, :], tf.gather(table, ids)), axis=1)
