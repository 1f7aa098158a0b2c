"""What `policy` holds of a bundle, and how its policies decide together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from turnstream.assistant.bundle import Bundle, BundleError
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_UNLIKELY_INTENT, Domain
from turnstream.dialogue.prediction.ensemble import (
    Decision,
    PolicyPrediction,
    can_still_win,
    decide,
    without_rejected,
)
from turnstream.dialogue.prediction.memory import by_intent
from turnstream.dialogue.state import DialogueHistory, DialogueState
from turnstream.policy import coexistence
from turnstream.policy.policies import Outside, Policy, PolicyInput, RulePolicy
from turnstream.policy.tables import read_policies
from turnstream.runtime.errors import Precondition


@dataclass(frozen=True, slots=True)
class Outcome:
    """`predictions` are those of the policies that were asked, in the order of the configuration."""

    decision: Decision
    predictions: tuple[PolicyPrediction, ...]


class LoadedPolicies:
    """The policies of one bundle in the order of its configuration. Keeps no state between predictions."""

    def __init__(self, policies: Sequence[Policy], domain: Domain) -> None:
        self._policies = tuple(policies)
        self._domain = domain
        tables = [policy.table for policy in policies if isinstance(policy, RulePolicy)]
        self._rule_only_slots = frozenset().union(*(table.rule_only_slots for table in tables))
        self._rule_only_loops = frozenset().union(*(table.rule_only_loops for table in tables))

    @staticmethod
    def load(bundle: Bundle) -> "LoadedPolicies":
        """Raises BundleError where the bundle's policy files are damaged."""
        try:
            policies = read_policies(bundle.read_json, bundle.domain, {model.name: model for model in bundle.models})
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{bundle.root}: its policy files are damaged ({error!r}). Train the assistant again."
            ) from error
        return LoadedPolicies(policies, bundle.domain)

    def is_text(self, action: str) -> bool:
        """Whether an action is the text of an end-to-end utterance."""
        return action in self._domain.e2e_actions

    async def predict(
        self,
        tracker_input: PolicyInput,
        outside: Outside,
        *,
        explain: bool = False,
    ) -> Outcome:
        """The next action. A model that cannot win any more is not asked, unless `explain`.

        Raises Precondition where the configuration has no policy; ModelServerUnavailable, DeadlinePassed, TryLater.
        """
        if not self._policies:
            raise Precondition(
                "The assistant has no policies. Name some under 'policies' in its config and train again."
            )
        if (routed := coexistence.decide(tracker_input.tracker, self._domain)) is not None:
            return Outcome(routed, (routed.winner,))
        visible, text = self._visible(tracker_input.visible_history)
        given = replace(tracker_input, visible_history=visible, latest_text=text)
        predictions: dict[int, PolicyPrediction] = {}
        for number, policy in self._cheap_first():
            by_text = policy.may_be_end_to_end and text is not None
            may_win = can_still_win(number, policy.priority, by_text, predictions)
            if policy.calls_model and not explain and not may_win:
                continue
            predictions[number] = without_rejected(await policy.predict(given, outside), given.tracker)
        ordered = tuple(predictions[number] for number in sorted(predictions))
        return Outcome(decide(ordered, given.tracker, self._domain.action_names), ordered)

    def _cheap_first(self) -> list[tuple[int, Policy]]:
        """Models last, those of higher priority first, so that as few as possible are asked."""
        numbered = list(enumerate(self._policies))
        return sorted(numbered, key=lambda pair: (pair[1].calls_model, -pair[1].priority if pair[1].calls_model else 0))

    def _visible(self, history: DialogueHistory) -> tuple[DialogueHistory, str | None]:
        """Without what only rules use, and without the states after `action_unlikely_intent`; the last by its intent.

        Beside it what the user has just said.
        """
        states = [self._without_rule_only(s) for s in history.states if s.previous_action != ACTION_UNLIKELY_INTENT]
        just_said = bool(states) and states[-1].previous_action == ACTION_LISTEN
        text = states[-1].user_text if just_said else None
        return by_intent(replace(history, states=tuple(states))), text

    def _without_rule_only(self, state: DialogueState) -> DialogueState:
        if state.active_loop in self._rule_only_loops:
            state = replace(state, active_loop=None)
        if any(slot.name in self._rule_only_slots for slot in state.slots):
            state = replace(state, slots=tuple(s for s in state.slots if s.name not in self._rule_only_slots))
        return state
