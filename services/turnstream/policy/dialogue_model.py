"""Asking a dialogue model at the model server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnstream.assistant.bundle import BundledModel
from turnstream.dialogue.state import DialogueState
from turnstream.features.states import StateEncoder
from turnstream.policy.policies import Outside
from turnstream.runtime.errors import InternalError

LONGEST_HISTORY = 1024
"""In states. Attention costs the square of the length, so a longer dialogue counts from here on."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class DialogueModel:
    """A dialogue model of the model server; its inputs are those of `numbered`."""

    model: BundledModel
    encoder: StateEncoder
    max_history: int | None

    def latest(self, states: Sequence[DialogueState]) -> Sequence[DialogueState]:
        """As many of the states as the model looks at."""
        return states[-min(self.max_history or LONGEST_HISTORY, LONGEST_HISTORY) :]

    async def ask_about(
        self, states: Sequence[DialogueState], output: str, size: int, outside: Outside
    ) -> NDArray[np.float32]:
        """The output row `[size]` for these states. Raises InternalError where the model gives another shape."""
        outputs = await self.ask(numbered(self.encoder, [self.latest(states)]), (output,), outside)
        self.check_shape(output, outputs, (1, size))
        found: NDArray[np.float32] = outputs[output][0]
        return found

    async def ask(self, inputs: Arrays, outputs: tuple[str, ...], outside: Outside) -> Arrays:
        """Raises ModelServerUnavailable, UnknownModel, DeadlinePassed, TryLater."""
        return await outside.models.predict(
            self.model.name, inputs, version=self.model.version, timeout_s=outside.predict_timeout_s, outputs=outputs
        )

    def check_shape(self, name: str, outputs: Arrays, expected: tuple[int, int]) -> None:
        """Raises InternalError."""
        found = outputs[name].shape
        if found != expected:
            raise InternalError(f"model {self.model.name!r} gave '{name}' of shape {found}, not {expected}")


def numbered(encoder: StateEncoder, dialogues: Sequence[Sequence[DialogueState]]) -> dict[str, NDArray[Any]]:
    """The states of dialogues as `ids` and `weights` [batch, turns, k] and `lengths` [batch]; all of equal length."""
    encoded = [encoder.encode(states) for states in dialogues]
    width = max(ids.shape[1] for ids, _ in encoded)
    wider = [[(0, 0), (0, width - ids.shape[1])] for ids, _ in encoded]
    return {
        "ids": np.stack([np.pad(ids, more) for (ids, _), more in zip(encoded, wider, strict=True)]),
        "weights": np.stack([np.pad(weights, more) for (_, weights), more in zip(encoded, wider, strict=True)]),
        "lengths": np.array([len(ids) for ids, _ in encoded], np.int32),
    }


def named_scores(names: Sequence[str], scores: NDArray[Any]) -> dict[str, float]:
    """The scores above 0 by name."""
    return {name: float(score) for name, score in zip(names, scores, strict=True) if score > 0}
