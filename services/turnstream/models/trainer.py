"""One compiled training step for models whose first layer reads sparse features."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from turnstream.models.layers.embedding_bag import EmbeddingBag, SparseRows
from turnstream.models.module import Module
from turnstream.models.optimizer import Adam
from turnstream.models.randomness import Noise
from turnstream.models.types import Tensor

PENALIZED = ("/kernel", "/embeddings", "/transitions")


class Trainer:
    """Adam on a model; of its embedding bags only the rows that a batch uses are differentiated.

    penalty: `regularization_constant`, on the bags' embeddings, of which there are far more than examples can tell
    about; penalizes_layers: on the kernels behind them, too. What texts go through is several layers deep, each of
    which would shrink it again, so that small data sets are hardly learnt, and dropout keeps it from learning by heart;
    policies have no dropout by default.
    """

    def __init__(
        self,
        model: Module,
        bags: Sequence[EmbeddingBag],
        *,
        learning_rate: float,
        penalty: float,
        seed: int,
        penalizes_layers: bool = False,
    ) -> None:
        self._seed = seed
        self._rate = learning_rate
        self._bags = bags
        self._tables = [bag.embeddings for bag in bags]
        tables = {id(table) for table in self._tables}
        self._variables = [v for v in model.trainable_variables if id(v) not in tables]
        layers = [v for v in self._variables if v.name.removesuffix(":0").endswith(PENALIZED)]
        penalized = [*self._tables, *(layers if penalizes_layers else ())]
        penalties = {id(variable): penalty for variable in penalized}
        self.optimizer = Adam([*self._tables, *self._variables], learning_rate, penalties)

    def set_learning_rate(self, rate: float) -> None:
        """The rate of the following steps."""
        if rate != self._rate:
            self.optimizer.learning_rate.assign(rate)
            self._rate = rate

    def step(
        self,
        rows: Sequence[SparseRows],
        loss: Callable[[Sequence[Tensor], Noise], tuple[Tensor, dict[str, Tensor]]],
    ) -> dict[str, Tensor]:
        """Trace one step. rows: for each bag what the batch reads; loss: from the used rows to loss and metrics."""
        self.optimizer.begin_step()
        noise = Noise(self._seed, self.optimizer.steps)
        used = [bag.used_rows(row) for bag, row in zip(self._bags, rows, strict=True)]
        with tf.GradientTape() as tape:
            tape.watch(used)
            value, metrics = loss(used, noise)
        gradients = tape.gradient(value, [*used, *self._variables])
        self.optimizer.apply(self._variables, gradients[len(used) :])
        by_row = [
            None if gradient is None else tf.IndexedSlices(gradient, row.vocabulary)
            for gradient, row in zip(gradients, rows, strict=False)
        ]
        self.optimizer.apply(self._tables, by_row)
        return {"loss": value, **metrics}
