"""The policies whose models the model server runs: TED and UnexpecTED."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import NetworkPolicyOptions, TEDPolicyOptions, UnexpecTEDIntentPolicyOptions
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_UNLIKELY_INTENT
from turnstream.dialogue.prediction.ensemble import PolicyPrediction
from turnstream.dialogue.state import DialogueState
from turnstream.features.states import StateEncoder
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.runtime.errors import InternalError

LONGEST_HISTORY = 1024
"""In states. Attention costs the square of the length, so a longer dialogue counts from here on."""


@dataclass(frozen=True, slots=True)
class DialogueModel:
    """A dialogue model of the model server: inputs `ids` and `weights` `[1, turns, k]`, `lengths` `[1]`."""

    model: BundledModel
    encoder: StateEncoder
    max_history: int | None

    async def ask(
        self, states: Sequence[DialogueState], output: str, size: int, outside: Outside
    ) -> NDArray[np.float32]:
        """The output row `[size]` for these states. Raises InternalError where the model gives another shape."""
        window = min(self.max_history or LONGEST_HISTORY, LONGEST_HISTORY)
        ids, weights = self.encoder.encode(states[-window:])
        inputs = {
            "ids": ids[np.newaxis],
            "weights": weights[np.newaxis],
            "lengths": np.array([len(ids)], np.int32),
        }
        outputs = await outside.models.predict(
            self.model.name,
            inputs,
            version=self.model.version,
            timeout_s=outside.predict_timeout_s,
            outputs=(output,),
        )
        row = outputs[output]
        if row.shape != (1, size):
            raise InternalError(f"model {self.model.name!r} gave '{output}' of shape {row.shape}, not (1, {size})")
        found: NDArray[np.float32] = row[0]
        return found


class TEDPolicy:
    """Transformer embedding dialogue policy (https://arxiv.org/abs/1910.00486).

    `actions` name the scores `[1, actions]` of the model, which are confidences already.
    """

    calls_model = True
    may_be_end_to_end = False

    def __init__(self, options: TEDPolicyOptions, model: DialogueModel, actions: Sequence[str]) -> None:
        self.name = options.component_name
        self.priority = options.priority
        self._model = model
        self._actions = tuple(actions)

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction:
        states = given.visible_history.states
        if not states:
            return PolicyPrediction(self.name, self.priority)
        scores = await self._model.ask(states, "scores", len(self._actions), outside)
        named = {action: float(score) for action, score in zip(self._actions, scores, strict=True) if score > 0}
        return PolicyPrediction(self.name, self.priority, named)


class UnexpecTEDIntentPolicy:
    """Predicts `action_unlikely_intent` where the latest intent is far from what stories say.

    `thresholds` are the similarities below which an intent is unlikely; one without a threshold is never so.
    """

    calls_model = True
    may_be_end_to_end = False

    def __init__(
        self,
        options: UnexpecTEDIntentPolicyOptions,
        model: DialogueModel,
        intents: Sequence[str],
        thresholds: Mapping[str, float],
    ) -> None:
        self.name = options.component_name
        self.priority = options.priority
        self._model = model
        self._intents = tuple(intents)
        ignored = frozenset(options.ignore_intents_list)
        self._thresholds = {name: value for name, value in thresholds.items() if name not in ignored}

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction:
        unknown = PolicyPrediction(self.name, self.priority)
        states = given.visible_history.states
        # Only a message that was just said can be unlikely.
        if not states or given.tracker.latest_action_name != ACTION_LISTEN:
            return unknown
        intent = states[-1].intent
        if intent is None or intent not in self._thresholds or intent not in self._intents:
            return unknown
        # The model was trained on what comes before a message; before the first, that is nothing.
        before = states[:-1] or (DialogueState(),)
        similarities = await self._model.ask(before, "similarities", len(self._intents), outside)
        if float(similarities[self._intents.index(intent)]) >= self._thresholds[intent]:
            return unknown
        return PolicyPrediction(self.name, self.priority, {ACTION_UNLIKELY_INTENT: 1.0})


class UntrainedPolicy:
    """A policy that had nothing to learn from; predicts nothing."""

    calls_model = False
    may_be_end_to_end = False

    def __init__(self, options: NetworkPolicyOptions) -> None:
        self.name = options.component_name
        self.priority = options.priority

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction:
        return PolicyPrediction(self.name, self.priority)


def model_policy(
    options: NetworkPolicyOptions, part: Mapping[str, Any], models: Mapping[str, BundledModel]
) -> TEDPolicy | UnexpecTEDIntentPolicy | UntrainedPolicy:
    """The policy from its part of a bundle. Raises KeyError and ValueError where that is damaged."""
    if part["model"] is None:
        return UntrainedPolicy(options)
    model = DialogueModel(models[part["model"]], StateEncoder.from_json(part["encoder"]), options.history_window)
    if isinstance(options, UnexpecTEDIntentPolicyOptions):
        return UnexpecTEDIntentPolicy(options, model, part["intents"], part["thresholds"])
    if isinstance(options, TEDPolicyOptions):
        return TEDPolicy(options, model, part["actions"])
    raise ValueError(f"{options.component_name} is no policy")
