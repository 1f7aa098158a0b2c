"""Options of the policies that look up rather than learn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from turnstream.assistant.components.base import PolicyOptions, register
from turnstream.assistant.domain import ACTION_DEFAULT_FALLBACK

NLU_FALLBACK_KEYS = (
    "nlu_threshold",
    "ambiguity_threshold",
    "fallback_nlu_action_name",
    "deny_suggestion_intent_name",
)
CORE_FALLBACK_KEYS = ("fallback_action_name", "fallback_core_action_name")
"""Keys of the fallback policies of Rasa 2, which many configs carry over to the RulePolicy."""


@register
@dataclass(frozen=True, kw_only=True)
class MemoizationPolicyOptions(PolicyOptions):
    """`max_history` counts states (one a prediction); None is the whole dialogue."""

    component_name = "MemoizationPolicy"

    priority: int = 3
    max_history: int | None = None
    enable_feature_string_compression: bool = True
    use_nlu_confidence_as_score: bool = False
    featurizer: tuple[Mapping[str, Any], ...] = ()

    @property
    def history_window(self) -> int | None:
        """The states that count: `max_history`, or that of a configured MaxHistoryTrackerFeaturizer."""
        configured = [f.get("max_history") for f in self.featurizer]
        return self.max_history if self.max_history is not None else next(iter(configured), None)

    def find_faults(self) -> Iterator[tuple[str, str]]:
        if self.max_history is not None and self.max_history < 1:
            yield "max_history", f"'max_history' must be at least 1 or null, not {self.max_history}."


@register
@dataclass(frozen=True, kw_only=True)
class AugmentedMemoizationPolicyOptions(MemoizationPolicyOptions):
    component_name = "AugmentedMemoizationPolicy"


@register
@dataclass(frozen=True, kw_only=True)
class RulePolicyOptions(PolicyOptions):
    component_name = "RulePolicy"
    ignored_keys: ClassVar[Mapping[str, str]] = {
        "max_history": "Rules are always matched in full.",
        "enable_feature_string_compression": "Rules are not compressed.",
        **dict.fromkeys(
            NLU_FALLBACK_KEYS, "Set the threshold on FallbackClassifier, and write a rule for nlu_fallback."
        ),
        "core_threshold": "It is called 'core_fallback_threshold' today.",
        **dict.fromkeys(CORE_FALLBACK_KEYS, "It is called 'core_fallback_action_name' today."),
    }

    priority: int = 4
    core_fallback_threshold: float = 0.3
    core_fallback_action_name: str = ACTION_DEFAULT_FALLBACK
    enable_fallback_prediction: bool = True
    restrict_rules: bool = True
    check_for_contradictions: bool = True
    use_nlu_confidence_as_score: bool = False

    def find_faults(self) -> Iterator[tuple[str, str]]:
        if not 0.0 <= self.core_fallback_threshold <= 1.0:
            yield (
                "core_fallback_threshold",
                f"'core_fallback_threshold' must be between 0 and 1, not {self.core_fallback_threshold}.",
            )
