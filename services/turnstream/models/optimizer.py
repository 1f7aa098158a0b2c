"""Adam (Kingma and Ba 2015) with weight penalties."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from turnstream.models.module import Module
from turnstream.models.types import Tensor, Variable

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7


class Adam(Module):
    """m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= rate * m / (1-b1^t) / (sqrt(v / (1-b2^t)) + 1e-7).

    penalties: the factor l of an L2 penalty l * |w|^2 by the id() of each variable that has one. All of a variable
    moves in each step, also the rows of an embedding matrix that the step does not use: their momentum goes on, and the
    penalty takes what is rarely used to 0, so that a rare feature adds no noise where it turns up again.
    """

    def __init__(
        self,
        variables: Sequence[Variable],
        learning_rate: float,
        penalties: Mapping[int, float],
    ) -> None:
        super().__init__()
        self._variables = list(variables)
        self.learning_rate = tf.Variable(learning_rate, dtype=tf.float32, name="learning_rate")
        self.steps = tf.Variable(0, dtype=tf.int64, name="steps")
        self._powers = [tf.Variable(1.0, name="beta_1_power"), tf.Variable(1.0, name="beta_2_power")]
        self._means = [tf.Variable(np.zeros(v.shape, np.float32)) for v in self._variables]
        self._squares = [tf.Variable(np.zeros(v.shape, np.float32)) for v in self._variables]
        self._slots = {id(v): i for i, v in enumerate(self._variables)}
        self._penalties = dict(penalties)

    def begin_step(self) -> None:
        """Count a step; call once before `apply`."""
        self.steps.assign_add(1)
        self._powers[0].assign(self._powers[0] * BETA_1)
        self._powers[1].assign(self._powers[1] * BETA_2)

    def apply(self, variables: Sequence[Variable], gradients: Sequence[Tensor | None]) -> None:
        """Change variables by their gradients, or by those of some rows (`tf.IndexedSlices`, each row once).

        A gradient of None leaves its variable alone.
        """
        for variable, gradient in zip(variables, gradients, strict=True):
            if gradient is None:
                continue
            slot = self._slots[id(variable)]
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=self._means[slot].handle,
                v=self._squares[slot].handle,
                beta1_power=self._powers[0],
                beta2_power=self._powers[1],
                lr=self.learning_rate,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=EPSILON,
                grad=self._with_penalty(variable, gradient),
            )

    def _with_penalty(self, variable: Variable, gradient: Tensor) -> Tensor:
        penalty = self._penalties.get(id(variable), 0.0)
        if isinstance(gradient, tf.IndexedSlices):
            rest = variable * (2.0 * penalty) if penalty else tf.zeros_like(variable)
            return tf.tensor_scatter_nd_add(rest, gradient.indices[:, tf.newaxis], gradient.values)
        return gradient + variable * (2.0 * penalty) if penalty else gradient
