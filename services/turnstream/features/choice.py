"""Which features come from chosen featurizers: the key `featurizers` of a component.

Behaviour: https://rasa.com/docs/rasa/components#dietclassifier.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnstream.features.arrays import FeatureSpec, Floats, Ints, TextFeatures

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureChoice:
    """What is kept of a text's features, so that each text is featurized once, whoever reads some of it.

    tokens: [token vocabulary + 1]; sentences: [sentence vocabulary + 1]; dense: [dense width]. Id 0, padding, is never
    kept.
    """

    tokens: Mask
    sentences: Mask
    dense: Mask

    @staticmethod
    def of_ids(
        spec: FeatureSpec, tokens: Iterable[int], sentences: Iterable[int], dense: Iterable[int]
    ) -> "FeatureChoice":
        """The ids and dense columns that are kept, in any order."""
        return FeatureChoice(
            _mask(tokens, spec.token_vocabulary + 1),
            _mask(sentences, spec.sentence_vocabulary + 1),
            _mask(dense, spec.dense_width),
        )

    def of(self, features: TextFeatures) -> TextFeatures:
        """The features with what is not kept left out; of the dense ones it is 0."""
        ids, weights = self._kept_rows(features.ids, features.weights)
        sentence = self.sentences[features.sentence_ids]
        return TextFeatures(
            ids=ids,
            weights=weights,
            sentence_ids=features.sentence_ids[sentence],
            sentence_weights=features.sentence_weights[sentence],
            dense=features.dense * self.dense,
            sentence_dense=features.sentence_dense * self.dense,
        )

    def _kept_rows(self, ids: Ints, weights: Floats) -> tuple[Ints, Floats]:
        """What is kept moves to the left of each row, in its order; the rows become as narrow as that allows."""
        kept = self.tokens[ids]
        order = np.argsort(~kept, axis=1, kind="stable")[:, : int(kept.sum(1).max(initial=0))]
        ids = np.take_along_axis(np.where(kept, ids, 0), order, 1)
        return ids, np.take_along_axis(np.where(kept, weights, np.float32(0)), order, 1)

    def to_json(self) -> dict[str, Any]:
        """Runs of what is kept, as [first, last]: a featurizer's ids lie side by side but for what it learnt later."""
        return {"tokens": _runs(self.tokens), "sentences": _runs(self.sentences), "dense": _runs(self.dense)}

    @staticmethod
    def from_json(data: Any, spec: FeatureSpec) -> "FeatureChoice":
        """The inverse of `to_json`. Raises KeyError, TypeError, IndexError or ValueError where the data are none."""
        tokens, sentences, dense = (_within(data[key]) for key in ("tokens", "sentences", "dense"))
        return FeatureChoice.of_ids(spec, tokens, sentences, dense)


def _mask(kept: Iterable[int], size: int) -> Mask:
    mask = np.zeros(size, np.bool_)
    mask[np.fromiter(kept, np.int64)] = True
    return mask


def _runs(mask: Mask) -> list[list[int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]])))
    return [[first, end - 1] for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def _within(runs: Sequence[Sequence[int]]) -> list[int]:
    return [number for first, last in runs for number in range(first, last + 1)]
