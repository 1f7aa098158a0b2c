"""Bulk inference: a model over a data set in batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from turnstream.models.types import Array

ItemT = TypeVar("ItemT")


def predict_all(
    function: Any,
    items: Sequence[ItemT],
    arguments: Callable[[Sequence[ItemT]], Mapping[str, Array]],
    lengths: Sequence[int],
    batch_size: int,
    outputs: Sequence[str] = (),
) -> dict[str, Array]:
    """Call a serving function on all items, batches of items of similar length, results in the order given.

    arguments: the inputs for some items; outputs: the names to keep, all when empty. Outputs with a row for each token
    are padded with 0 to the longest. Raises ValueError on a name that the model does not give, or without items.
    """
    if not items:
        raise ValueError("there is nothing to predict")
    order = np.argsort(np.asarray(lengths), kind="stable")
    parts: dict[str, list[Array]] = {}
    for start in range(0, len(order), batch_size):
        results = function(**arguments([items[i] for i in order[start : start + batch_size]]))
        if unknown := sorted(set(outputs) - set(results)):
            raise ValueError(f"the model has no outputs {unknown}; it has {sorted(results)}")
        for name in outputs or results:
            parts.setdefault(name, []).append(results[name].numpy())
    return {name: _in_order(pieces, order) for name, pieces in parts.items()}


def _in_order(pieces: Sequence[Array], order: Array) -> Array:
    width = max(piece.shape[-1] for piece in pieces)
    padding = [[*[(0, 0)] * (piece.ndim - 1), (0, width - piece.shape[-1])] for piece in pieces]
    joined = np.concatenate([np.pad(piece, more) for piece, more in zip(pieces, padding, strict=True)])
    restored = np.empty_like(joined)
    restored[order] = joined
    return restored
