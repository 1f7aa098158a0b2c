"""A trained linear-chain CRF (Lafferty et al. 2001) that tags sequences, in numpy.

score(y | x) = sum_t weights[x_t, y_t] + sum_t transitions[y_t, y_{t+1}], the model that CRFsuite trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearChain:
    """tags: names; transitions: [from, to]; weights: for each feature by name its weight for each tag [tags]."""

    tags: tuple[str, ...]
    transitions: Matrix
    weights: Mapping[str, Matrix]

    def tag(self, sequence: Sequence[Mapping[str, float]]) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """The most probable tags, and for each its marginal probability. sequence: features of each token by name."""
        if not sequence:
            return (), ()
        scores = self._scores(sequence)
        path = self._viterbi(scores)
        marginals = self._marginals(scores)
        return tuple(self.tags[i] for i in path), tuple(float(marginals[t, i]) for t, i in enumerate(path))

    def _scores(self, sequence: Sequence[Mapping[str, float]]) -> Matrix:
        scores = np.zeros((len(sequence), len(self.tags)))
        for row, features in zip(scores, sequence, strict=True):
            for name, weight in features.items():
                if (known := self.weights.get(name)) is not None:
                    row += weight * known
        return scores

    def _viterbi(self, scores: Matrix) -> list[int]:
        best = scores[0]
        came_from: list[NDArray[np.int64]] = []
        for row in scores[1:]:
            paths = best[:, np.newaxis] + self.transitions
            came_from.append(paths.argmax(0))
            best = paths.max(0) + row
        path = [int(best.argmax())]
        for previous in reversed(came_from):
            path.append(int(previous[path[-1]]))
        return path[::-1]

    def _marginals(self, scores: Matrix) -> Matrix:
        forward, backward = np.array(scores), np.zeros_like(scores)
        for t in range(1, len(scores)):
            forward[t] += _log_sum(forward[t - 1][:, np.newaxis] + self.transitions, 0)
        for t in range(len(scores) - 2, -1, -1):
            backward[t] = _log_sum(self.transitions + scores[t + 1] + backward[t + 1], 1)
        joint = forward + backward
        marginals: Matrix = np.exp(joint - _log_sum(joint, 1)[:, np.newaxis])
        return marginals

    def to_json(self) -> dict[str, Any]:
        weights = {name: {int(i): float(row[i]) for i in np.flatnonzero(row)} for name, row in self.weights.items()}
        return {"tags": list(self.tags), "transitions": self.transitions.tolist(), "weights": weights}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "LinearChain":
        """Raises KeyError, TypeError or ValueError for data that `to_json` did not give."""
        tags = tuple(data["tags"])
        weights: dict[str, Matrix] = {}
        for name, known in data["weights"].items():
            weights[name] = np.zeros(len(tags))
            for index, weight in known.items():
                weights[name][int(index)] = weight
        transitions = np.array(data["transitions"], np.float64).reshape(len(tags), len(tags))
        return LinearChain(tags, transitions, weights)


def _log_sum(values: Matrix, axis: int) -> Matrix:
    peak = values.max(axis, keepdims=True)
    summed: Matrix = np.log(np.exp(values - peak).sum(axis)) + peak.squeeze(axis)
    return summed
