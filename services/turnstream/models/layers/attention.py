"""Multi-head attention over sequences that are laid out without padding."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from turnstream.models.errors import UnsuitableOptions
from turnstream.models.layers.dense import Dense
from turnstream.models.layers.dropout import dropout
from turnstream.models.layers.layout import Layout
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.types import Tensor

MASKED = -1e9


@dataclass(frozen=True, slots=True)
class RelativeAttention:
    """Which of keys and values see relative positions, up to `max_position` rows apart."""

    keys: bool = False
    values: bool = False
    max_position: int = 5


class MultiHeadAttention(Module):
    """softmax(Q K^T / sqrt(d)) V in `heads` heads, then a dense layer (Vaswani et al. 2017).

    With relative positions, keys and values are k_j + r_{j-i} and v_j + s_{j-i}, r and s shared by the heads and
    clipped to `max_position` (Shaw et al. 2018). Unidirectional: row i sees rows 0 to i only. `density` is that of the
    last dense layer.
    """

    def __init__(
        self,
        units: int,
        heads: int,
        initializer: Initializer,
        *,
        drop_rate: float = 0.0,
        density: float = 1.0,
        unidirectional: bool = False,
        relative: RelativeAttention | None = None,
        name: str,
    ) -> None:
        super().__init__()
        if heads < 1 or units % heads:
            raise UnsuitableOptions(f"{name}: {units} units cannot be split into {heads} attention heads")
        self._heads = heads
        self._size = units // heads
        self._drop_rate = drop_rate
        self._unidirectional = unidirectional
        self._relative = relative or RelativeAttention()
        # Whole: a head whose queries and keys see some of the units alone is slow to learn from its neighbours.
        self._project = Dense(units, 3 * units, initializer, bias=False, parts=3, name=f"{name}/qkv")
        self._output = Dense(units, units, initializer, density=density, name=f"{name}/output")
        span = 2 * self._relative.max_position + 1
        self._key_positions = self._positions(span, initializer, f"{name}/key_positions", self._relative.keys)
        self._value_positions = self._positions(span, initializer, f"{name}/value_positions", self._relative.values)

    def _positions(self, span: int, initializer: Initializer, name: str, wanted: bool) -> tf.Variable | None:
        return tf.Variable(initializer.glorot_uniform(span, self._size), name=name) if wanted else None

    def __call__(self, rows: Tensor, layout: Layout, noise: Noise | None = None, *, last_only: bool = False) -> Tensor:
        """[rows, units] -> [rows, units], or with `last_only` [batch, units]: what the last rows see."""
        parts = [3, self._heads, self._size]
        projected = tf.reshape(layout.pad(self._project(rows)), [layout.batch, layout.longest, *parts])
        query, key, value = tf.unstack(tf.transpose(projected, [2, 0, 3, 1, 4]))
        steps = tf.range(layout.longest)[tf.newaxis, :]
        if last_only:
            steps = layout.lengths[:, tf.newaxis] - 1
            query = _rows_at(query, layout)
        seen = self._attend(query, key, value, steps, layout, noise)
        seen = tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [layout.batch, -1, self._heads * self._size])
        return self._output(tf.squeeze(seen, 1) if last_only else layout.pack(seen))

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, steps: Tensor, layout: Layout, noise: Noise | None
    ) -> Tensor:
        """query: [batch, heads, queries, size]; key, value: [batch, heads, longest, size] -> as query.

        steps: [batch or 1, queries], the positions of the queries.
        """
        distance = tf.range(layout.longest) - steps[:, :, tf.newaxis]
        limit = self._relative.max_position
        offsets = tf.clip_by_value(distance, -limit, limit) + limit
        scores = tf.matmul(query, key, transpose_b=True)
        if self._key_positions is not None:
            scores += self._by_position(query, self._key_positions, offsets)
        allowed = layout.mask[:, tf.newaxis, tf.newaxis, :]
        if self._unidirectional:
            allowed = tf.logical_and(allowed, (distance <= 0)[:, tf.newaxis])
        scores = scores * (1.0 / float(np.sqrt(self._size))) + tf.where(allowed, 0.0, MASKED)
        weights = dropout(tf.nn.softmax(scores), self._drop_rate, noise)
        seen = tf.matmul(weights, value)
        if self._value_positions is not None:
            kinds = tf.one_hot(offsets, 2 * limit + 1)
            kinds = tf.broadcast_to(kinds, [layout.batch, tf.shape(query)[2], layout.longest, 2 * limit + 1])
            seen += tf.einsum("bhqj,bqjr,rd->bhqd", weights, kinds, self._value_positions)
        return seen

    def _by_position(self, query: Tensor, positions: Tensor, offsets: Tensor) -> Tensor:
        """[batch, heads, queries, longest]: the product of each query and the position vector of each row."""
        products = tf.einsum("bhqd,rd->bhqr", query, positions)
        kinds = tf.one_hot(offsets, positions.shape[0])
        kinds = tf.broadcast_to(kinds, tf.concat([tf.shape(query)[:1], tf.shape(kinds)[1:]], 0))
        return tf.einsum("bhqr,bqjr->bhqj", products, kinds)


def _rows_at(query: Tensor, layout: Layout) -> Tensor:
    """[batch, heads, longest, size] -> [batch, heads, 1, size] at the last position of each sequence."""
    last = tf.one_hot(layout.lengths - 1, layout.longest)
    return tf.matmul(last[:, tf.newaxis, tf.newaxis, :], query)
