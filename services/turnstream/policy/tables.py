"""Policies from the parts of a bundle."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import (
    MemoizationPolicyOptions,
    NetworkPolicyOptions,
    RulePolicyOptions,
    options_from_json,
)
from turnstream.assistant.domain import Domain
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.prediction.memory import MemoryTable
from turnstream.dialogue.prediction.rules import RuleTable
from turnstream.features.pipeline import FeaturePipeline
from turnstream.policy.model_policies import model_policy
from turnstream.policy.policies import MemoizationPolicy, Policy, RulePolicy

POLICIES_FILE = "policy/policies.json"
PIPELINE_FILE = "nlu/pipeline.json"


def read_policies(
    read_json: Callable[[str], Any], domain: Domain, models: Mapping[str, BundledModel]
) -> tuple[Policy, ...]:
    """The policies in the order of the configuration. Raises KeyError, TypeError, ValueError for damaged parts."""
    entries = read_json(POLICIES_FILE)["policies"]
    pipeline = cache(lambda: FeaturePipeline.from_json(read_json(PIPELINE_FILE)))
    return tuple(_policy(entry, read_json(entry["part"]), domain, models, pipeline) for entry in entries)


def _policy(
    entry: Mapping[str, Any],
    part: Mapping[str, Any],
    domain: Domain,
    models: Mapping[str, BundledModel],
    pipeline: Callable[[], FeaturePipeline],
) -> Policy:
    options = options_from_json(entry["options"])
    match options:
        case RulePolicyOptions():
            return RulePolicy(options, RuleTable.from_json(part))
        case MemoizationPolicyOptions():
            initial = Dialogue("", domain).history().states[0].slots
            return MemoizationPolicy(options, MemoryTable.from_json(part), initial)
        case NetworkPolicyOptions():
            return model_policy(options, part, models, pipeline)
        case _:
            raise ValueError(f"{options.component_name} is no policy")
