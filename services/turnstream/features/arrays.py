"""Features of texts as numpy arrays, and their padded batches.

A sparse feature vector is a list of (id, weight) pairs. Token rows and the sentence row have vocabularies of their own;
id 0 is padding in both, with weight 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_TOKENS = 1024
"""Token rows of a text. Attention costs the square of the length; what comes after counts in the sentence row alone."""
MAX_IDS_PER_TOKEN = 256
"""One very long word must not widen the rows of all others without bound."""

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Sizes that a model is built for. Ids run from 1 to the size; `dense_width` may be 0."""

    token_vocabulary: int
    sentence_vocabulary: int
    dense_width: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TextFeatures:
    """Features of one text.

    ids, weights: [tokens, k], of the first `MAX_TOKENS` tokens; sentence_ids, sentence_weights: [m];
    dense: [tokens, width]; sentence_dense: [width].
    """

    ids: Ints
    weights: Floats
    sentence_ids: Ints
    sentence_weights: Floats
    dense: Floats
    sentence_dense: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatch:
    """Padded features of several texts; the names are those of every SavedModel signature.

    ids, weights: [batch, tokens, k]; lengths: [batch], tokens of each text; sentence_ids, sentence_weights: [batch, m];
    dense: [batch, tokens, width]; sentence_dense: [batch, width].
    """

    ids: Ints
    weights: Floats
    lengths: Ints
    sentence_ids: Ints
    sentence_weights: Floats
    dense: Floats
    sentence_dense: Floats


def no_text(spec: FeatureSpec) -> TextFeatures:
    """The features of nothing, where a model wants some."""
    ids, weights = np.zeros((0, 1), np.int32), np.zeros((0, 1), np.float32)
    dense, sentence_dense = np.zeros((0, spec.dense_width), np.float32), np.zeros(spec.dense_width, np.float32)
    return TextFeatures(ids, weights, ids.reshape(-1), weights.reshape(-1), dense, sentence_dense)


def pad(texts: Sequence[TextFeatures]) -> FeatureBatch:
    """Pad the features of texts to one batch; at least one token row and one id wide, so that no axis is empty."""
    batch = len(texts)
    tokens = max([1, *(t.ids.shape[0] for t in texts)])
    k = max([1, *(t.ids.shape[1] for t in texts)])
    m = max([1, *(t.sentence_ids.shape[0] for t in texts)])
    width = max([0, *(t.sentence_dense.shape[0] for t in texts)])
    padded = FeatureBatch(
        ids=np.zeros((batch, tokens, k), np.int32),
        weights=np.zeros((batch, tokens, k), np.float32),
        lengths=np.array([t.ids.shape[0] for t in texts], np.int32),
        sentence_ids=np.zeros((batch, m), np.int32),
        sentence_weights=np.zeros((batch, m), np.float32),
        dense=np.zeros((batch, tokens, width), np.float32),
        sentence_dense=np.zeros((batch, width), np.float32),
    )
    for row, text in enumerate(texts):
        n, used = text.ids.shape
        padded.ids[row, :n, :used] = text.ids
        padded.weights[row, :n, :used] = text.weights
        padded.sentence_ids[row, : text.sentence_ids.shape[0]] = text.sentence_ids
        padded.sentence_weights[row, : text.sentence_weights.shape[0]] = text.sentence_weights
        if text.sentence_dense.shape[0]:
            padded.dense[row, :n] = text.dense
            padded.sentence_dense[row] = text.sentence_dense
    return padded


def model_inputs(batch: FeatureBatch, spec: FeatureSpec) -> Mapping[str, NDArray[np.int32 | np.float32]]:
    """The batch as named tensors of a SavedModel signature; the dense ones only where the model has dense features."""
    inputs: dict[str, NDArray[np.int32 | np.float32]] = {
        "ids": batch.ids,
        "weights": batch.weights,
        "lengths": batch.lengths,
        "sentence_ids": batch.sentence_ids,
        "sentence_weights": batch.sentence_weights,
    }
    if spec.dense_width:
        inputs |= {"dense": batch.dense, "sentence_dense": batch.sentence_dense}
    return inputs
