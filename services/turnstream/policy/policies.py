"""The policies that look up rather than learn, and what every policy is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from turnstream.assistant.components import (
    AugmentedMemoizationPolicyOptions,
    MemoizationPolicyOptions,
    RulePolicyOptions,
)
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_UNLIKELY_INTENT
from turnstream.dialogue.events import LoopInterrupted
from turnstream.dialogue.prediction.ensemble import PolicyPrediction
from turnstream.dialogue.prediction.memory import MemoryTable
from turnstream.dialogue.prediction.rules import RuleFallback, RuleTable
from turnstream.dialogue.state import DialogueHistory, SlotFeature
from turnstream.dialogue.tracker import Tracker


class ModelAsker(Protocol):
    """What a policy needs of `inference.client.ModelClient`."""

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, NDArray[Any]],
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float,
        outputs: Sequence[str] = (),
    ) -> dict[str, NDArray[Any]]: ...


@dataclass(frozen=True, slots=True)
class Outside:
    """`predict_timeout_s` bounds one call of the model server."""

    models: ModelAsker
    predict_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """What is known before an action. Histories hold at least the states that the bundle's policies look at.

    `history` is for rules; in `visible_history` the turns, slots and loops that only rules use are missing.
    `latest_text` is what the user has just said, which the last visible state does not show.
    """

    tracker: Tracker
    history: DialogueHistory
    visible_history: DialogueHistory
    latest_text: str | None = None


class Policy(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def priority(self) -> int: ...

    @property
    def calls_model(self) -> bool:
        """Whether a prediction costs a call of the model server."""

    @property
    def may_be_end_to_end(self) -> bool:
        """Whether a prediction may follow from the text of the message."""

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction: ...


class RulePolicy:
    """Rules, forms, the built-in intents and the fallback; see `dialogue.prediction.rules`."""

    name = "RulePolicy"
    calls_model = False
    may_be_end_to_end = True

    def __init__(self, options: RulePolicyOptions, table: RuleTable) -> None:
        self.priority = options.priority
        self.table = table
        self._by_nlu_confidence = options.use_nlu_confidence_as_score
        self._fallback = RuleFallback(
            options.core_fallback_action_name, options.core_fallback_threshold, options.enable_fallback_prediction
        )

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction:
        decision = self.table.decide(given.tracker, given.history.states)
        return PolicyPrediction(
            self.name,
            self.priority,
            self._fallback.scores(decision, _confidence(given.tracker, self._by_nlu_confidence)),
            source=decision.description,
            is_end_to_end=decision.is_end_to_end,
            is_no_user_prediction=decision.is_no_user_prediction,
            hide_rule_turn=self.table.hides(decision),
            mandatory_events=(LoopInterrupted(is_interrupted=True),) if decision.interrupts_loop else (),
        )


class MemoizationPolicy:
    """Memorised stories; an AugmentedMemoizationPolicy also finds them after something else was said.

    `initial` are the features of the slots' initial values.
    """

    calls_model = False
    may_be_end_to_end = False

    def __init__(
        self, options: MemoizationPolicyOptions, table: MemoryTable, initial: Sequence[SlotFeature] = ()
    ) -> None:
        self.name = options.component_name
        self.priority = options.priority
        self.table = table
        self._initial = tuple(initial)
        self._forgets = isinstance(options, AugmentedMemoizationPolicyOptions)
        self._by_nlu_confidence = options.use_nlu_confidence_as_score

    async def predict(self, given: PolicyInput, outside: Outside) -> PolicyPrediction:
        history = given.visible_history
        memory = self.table.recall(history)
        if memory is None and self._forgets:
            answered = given.tracker.latest_action_name not in (ACTION_LISTEN, ACTION_UNLIKELY_INTENT)
            memory = self.table.recall_shorter(history, self._initial, is_answered=answered)
        if memory is None:
            return PolicyPrediction(self.name, self.priority)
        scores = {memory.action: _confidence(given.tracker, self._by_nlu_confidence)}
        return PolicyPrediction(self.name, self.priority, scores, source=memory.story)


def _confidence(tracker: Tracker, by_nlu: bool) -> float:
    """What is looked up is certain, unless it is to be as certain as the intent of the latest message."""
    message = tracker.latest_message
    if not by_nlu or message is None:
        return 1.0
    confidence = message.parse_data.intent.confidence
    return 1.0 if confidence is None else confidence
