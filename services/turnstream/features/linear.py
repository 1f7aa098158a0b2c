"""A linear classifier of texts, in numpy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from turnstream.features.arrays import Floats, TextFeatures


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """softmax(W x + b) of a text's sentence features x, the sparse ones by id - 1 and then the dense ones.

    Where each label was learnt by itself against all others (`is_one_vs_rest`): the sigmoids, scaled to sum 1.
    weights: [labels, features]; bias: [labels].
    """

    weights: Floats
    bias: Floats
    is_one_vs_rest: bool = False

    def probabilities(self, text: TextFeatures) -> Floats:
        """[labels], which sum to 1."""
        scores = self.bias + self.weights[:, text.sentence_ids - 1] @ text.sentence_weights
        if text.sentence_dense.size:
            scores = scores + self.weights[:, -text.sentence_dense.size :] @ text.sentence_dense
        if self.is_one_vs_rest:
            # Logarithms of the sigmoids, which the next lines scale to sum 1.
            scores = -np.logaddexp(0.0, -scores)
        exponents = np.exp(scores - scores.max())
        probabilities: Floats = (exponents / exponents.sum()).astype(np.float32)
        return probabilities

    def save(self, path: Path) -> None:
        np.savez(path, weights=self.weights, bias=self.bias, is_one_vs_rest=self.is_one_vs_rest)

    @staticmethod
    def load(path: Path) -> "LinearModel":
        """Raises ValueError, KeyError or OSError for a file that `save` did not write."""
        with np.load(path) as stored:
            # Files that were stored before one could choose say nothing.
            return LinearModel(stored["weights"], stored["bias"], bool(stored.get("is_one_vs_rest", False)))
