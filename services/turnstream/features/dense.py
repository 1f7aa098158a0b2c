"""What the dense featurizers share."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from turnstream.features.arrays import Floats
from turnstream.features.tokens import Token


class DenseFeaturizer(Protocol):
    width: int

    @property
    def name(self) -> str:
        """The alias in the config, or the component's name: what a model's `featurizers` selects by."""
        ...

    def vectors(self, text: str, tokens: Sequence[Token]) -> tuple[Floats, Floats]:
        """[tokens, width] and [width]: of each token, and of the text as a whole."""
        ...


def pooled(vectors: Floats, pooling: str, width: int) -> Floats:
    """[rows, width] -> [width], the mean or the maximum of the rows that are not zero; zero where all are."""
    seen = vectors[vectors.any(1)] if len(vectors) else vectors
    if not len(seen):
        return np.zeros(width, np.float32)
    result: Floats = (seen.mean(0) if pooling == "mean" else seen.max(0)).astype(np.float32)
    return result
