"""What the policies that look up learn, and how many states all policies need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnstream.assistant.components import (
    ComponentOptions,
    MemoizationPolicyOptions,
    NetworkPolicyOptions,
    PolicyOptions,
    RulePolicyOptions,
    UnexpecTEDIntentPolicyOptions,
    options_to_json,
)
from turnstream.assistant.domain import Domain
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.models.dialogue_data import is_user_turn
from turnstream.training.dialogues import TrainingDialogues
from turnstream.training.memory import learn_memories
from turnstream.training.rules import learn_rules

POLICIES_FILE = "policy/policies.json"

SHORTEST_WHOLE_DIALOGUE = 64
"""In states. A network that looks at the whole dialogue looks at this many at least."""


@dataclass(frozen=True, slots=True)
class ModelPolicy:
    """A policy whose model is still to be trained; `part` is the file of the bundle that is written with it."""

    options: NetworkPolicyOptions
    part: str


@dataclass(frozen=True)
class PolicyArtifacts:
    """The JSON files for a bundle by name, without those of `models`.

    `policy_window` is how many of the latest states a prediction needs at most.
    """

    files: Mapping[str, Any]
    models: tuple[ModelPolicy, ...]
    policy_window: int


def train_rule_and_memory_policies(
    policies: Sequence[ComponentOptions], dialogues: TrainingDialogues, domain: Domain, problems: Problems
) -> PolicyArtifacts:
    """Tables of rules and memories. Contradictions and the like are errors in `problems`, doubts are warnings.

    Whether the policies suit the domain is checked with the project (`assistant.check_config`).
    """
    files: dict[str, Any] = {}
    models: list[ModelPolicy] = []
    entries: list[dict[str, Any]] = []
    windows = [1]
    for number, options in enumerate(policies):
        match options:
            case RulePolicyOptions():
                part = f"policy/rules-{number}.json" if "policy/rules.json" in files else "policy/rules.json"
                rules = learn_rules(dialogues, domain, options, problems)
                files[part] = rules.to_json()
                # One more, so that a rule for the start of a conversation can tell whether this is one.
                windows.append(rules.longest + 1)
            case MemoizationPolicyOptions():
                part = f"policy/memory-{number}.json"
                memories = learn_memories(dialogues.stories, options.history_window)
                files[part] = memories.to_json()
                windows.append(memories.window)
            case NetworkPolicyOptions():
                part = f"policy/{model_name(options)}-{number}.json"
                if _can_learn(options, dialogues, domain):
                    models.append(ModelPolicy(options, part))
                    windows.append(_network_window(options, dialogues))
                else:
                    files[part] = {"model": None}
            case _:
                raise TypeError(f"{options.component_name} is no policy")
        entries.append({"options": options_to_json(options), "part": part})
    _check_priorities(policies, problems)
    files[POLICIES_FILE] = {"policies": entries}
    return PolicyArtifacts(files, tuple(models), max(windows))


def model_name(options: NetworkPolicyOptions) -> str:
    """The model of a policy in the bundle: `ted` or `unexpected_intent`."""
    return "unexpected_intent" if isinstance(options, UnexpecTEDIntentPolicyOptions) else "ted"


def _can_learn(options: NetworkPolicyOptions, dialogues: TrainingDialogues, domain: Domain) -> bool:
    """False for a project of rules alone, and for one without dialogues: the policy then predicts nothing."""
    if not isinstance(options, UnexpecTEDIntentPolicyOptions):
        return any(any(dialogue.predictable) for dialogue in dialogues.for_models)
    return any(
        state.intent in domain.intents and is_user_turn(dialogue.states, place)
        for dialogue in dialogues.for_models
        for place, state in enumerate(dialogue.states)
    )


def _network_window(options: NetworkPolicyOptions, dialogues: TrainingDialogues) -> int:
    """One more than the model sees: UnexpecTED looks at what came before the message."""
    if options.history_window is not None:
        return options.history_window + 1
    # Longer dialogues than in training tell a model nothing, and a turn's cost must not grow with the conversation.
    longest = max((len(dialogue.states) for dialogue in dialogues.for_models), default=0)
    return max(SHORTEST_WHOLE_DIALOGUE, longest) + 1


def _check_priorities(policies: Sequence[ComponentOptions], problems: Problems) -> None:
    by_priority: dict[int, list[str]] = {}
    for options in policies:
        if isinstance(options, PolicyOptions):
            by_priority.setdefault(options.priority, []).append(options.component_name)
    for priority, names in by_priority.items():
        if len(names) > 1:
            what = f"{' and '.join(names)} have the same priority {priority}."
            problems.warning(Location("config.yml"), what, "At equal confidence the one listed first wins.")
