"""A dense layer, whole or with missing connections."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from turnstream.models.module import Module
from turnstream.models.randomness import Initializer
from turnstream.models.types import Tensor


class Dense(Module):
    """y = f(x W + b), where about a fraction `density` of W exists.

    The weights that exist lie in `groups` blocks, as in grouped convolutions (Xie et al. 2017): inputs g, g + groups,
    g + 2 groups, ... are connected to the g-th stretch of the outputs, so that a layer after a layer mixes everything
    (channel shuffle, Zhang et al. 2018). A density of 0.2 costs a quarter of the arithmetic of a whole layer, where
    single missing weights (Bunk et al. 2020) save none. `groups` is the largest common divisor of inputs and units
    that keeps at least `density`. With `parts`, units are that many layers side by side, each with its own initial
    scale, and each block is connected to a stretch of each of them.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        initializer: Initializer,
        *,
        density: float = 1.0,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] | None = None,
        parts: int = 1,
        name: str,
    ) -> None:
        super().__init__()
        if not 0.0 < density <= 1.0:
            raise ValueError(f"{name}: a connection density must be in (0, 1], not {density}")
        self.units = units
        self.groups = groups_of(inputs, units, density)
        self._inputs = inputs
        rows, columns = inputs // self.groups, units // self.groups
        self._parts = parts
        blocks = [initializer.glorot_uniform(rows, columns // parts) for _ in range(self.groups * parts)]
        joined = [np.concatenate(blocks[i * parts : (i + 1) * parts], axis=1) for i in range(self.groups)]
        self.kernel = tf.Variable(np.stack(joined) if self.groups > 1 else joined[0], name=f"{name}/kernel")
        self.bias = tf.Variable(np.zeros(units, np.float32), name=f"{name}/bias") if bias else None
        self._activation = activation

    def __call__(self, values: Tensor) -> Tensor:
        """[rows, inputs] -> [rows, units]."""
        if self.groups == 1:
            return self._finish(tf.matmul(values, self.kernel))
        return self._finish(join(tf.matmul(self.split(values), self.kernel), self._parts))

    def split(self, values: Tensor) -> Tensor:
        """[rows, inputs] -> [groups, rows, inputs / groups], what each block reads."""
        shape = [-1, self._inputs // self.groups, self.groups]
        return tf.transpose(tf.reshape(values, shape), [2, 0, 1])

    def on_groups(self, values: Tensor) -> Tensor:
        """[groups, rows, inputs / groups] -> [groups, rows, units / groups], without joining the groups."""
        result = tf.matmul(values, self.kernel)
        if self.bias is not None:
            result += tf.reshape(self.bias, [self.groups, 1, self.units // self.groups])
        return self._activation(result) if self._activation else result

    def _finish(self, result: Tensor) -> Tensor:
        if self.bias is not None:
            result = tf.nn.bias_add(result, self.bias)
        return self._activation(result) if self._activation else result


def join(values: Tensor, parts: int = 1) -> Tensor:
    """[groups, rows, parts * units] -> [rows, parts * groups * units]: all groups of a part side by side."""
    groups, width = values.shape[0], values.shape[2]
    apart = tf.reshape(values, [groups, -1, parts, width // parts])
    return tf.reshape(tf.transpose(apart, [1, 2, 0, 3]), [-1, groups * width])


def groups_of(inputs: int, units: int, density: float) -> int:
    """The most groups that divide both sizes and keep at least a fraction `density` of the weights."""
    most = int(1.0 / density + 1e-6)
    return max(groups for groups in range(1, most + 1) if inputs % groups == 0 and units % groups == 0)
