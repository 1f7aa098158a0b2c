"""The policies whose models the model server runs: TED and UnexpecTED."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import NetworkPolicyOptions, TEDPolicyOptions, UnexpecTEDIntentPolicyOptions
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_UNLIKELY_INTENT
from turnstream.dialogue.prediction.ensemble import PolicyPrediction
from turnstream.dialogue.state import DialogueState
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.states import StateEncoder
from turnstream.policy.dialogue_model import DialogueModel, named_scores
from turnstream.policy.end_to_end import EndToEndTEDPolicy, StoryTextPart
from turnstream.policy.policies import Outside, PolicyInput


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
        scores = await self._model.ask_about(states, "scores", len(self._actions), outside)
        return PolicyPrediction(self.name, self.priority, named_scores(self._actions, scores))


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
        similarities = await self._model.ask_about(before, "similarities", len(self._intents), outside)
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


ModelPolicy = TEDPolicy | EndToEndTEDPolicy | UnexpecTEDIntentPolicy | UntrainedPolicy


def model_policy(
    options: NetworkPolicyOptions,
    part: Mapping[str, Any],
    models: Mapping[str, BundledModel],
    pipeline: Callable[[], FeaturePipeline],
) -> ModelPolicy:
    """The policy from its part of a bundle; `pipeline` reads the bundle's, which texts in stories need.

    Raises KeyError and ValueError where the part is damaged.
    """
    if part["model"] is None:
        return UntrainedPolicy(options)
    model = DialogueModel(models[part["model"]], StateEncoder.from_json(part["encoder"]), options.history_window)
    if isinstance(options, UnexpecTEDIntentPolicyOptions):
        return UnexpecTEDIntentPolicy(options, model, part["intents"], part["thresholds"])
    if not isinstance(options, TEDPolicyOptions):
        raise ValueError(f"{options.component_name} is no policy")
    if "texts" in part:
        texts = StoryTextPart.from_json(part["texts"])
        return EndToEndTEDPolicy(options, model, part["actions"], texts, pipeline().selected(options.featurizers))
    return TEDPolicy(options, model, part["actions"])
