"""Every pipeline component and policy that a config may name: its keys, their defaults, and what is refused.

A component that needs an outside model is known by name so that its keys are checked; `training_refusal` then says
what to do instead.
"""

from turnstream.assistant.components.base import (
    ComponentOptions,
    PolicyOptions,
    known_components,
    options_from_json,
    options_to_json,
    read_options,
)
from turnstream.assistant.components.classifiers import (
    DucklingEntityExtractorOptions,
    EntitySynonymMapperOptions,
    FallbackClassifierOptions,
    KeywordIntentClassifierOptions,
    LogisticRegressionClassifierOptions,
    MitieEntityExtractorOptions,
    MitieIntentClassifierOptions,
    RegexEntityExtractorOptions,
    SklearnIntentClassifierOptions,
    SpacyEntityExtractorOptions,
)
from turnstream.assistant.components.custom import CustomComponentOptions, read_custom_component
from turnstream.assistant.components.featurizers import (
    ConveRTFeaturizerOptions,
    CountVectorsFeaturizerOptions,
    CRFEntityExtractorOptions,
    HFTransformersNLPOptions,
    LanguageModelFeaturizerOptions,
    LexicalSyntacticFeaturizerOptions,
    MitieFeaturizerOptions,
    MitieNLPOptions,
    RegexFeaturizerOptions,
    SpacyFeaturizerOptions,
    SpacyNLPOptions,
)
from turnstream.assistant.components.networks import (
    DIETClassifierOptions,
    NetworkOptions,
    NetworkPolicyOptions,
    ResponseSelectorOptions,
    TEDPolicyOptions,
    UnexpecTEDIntentPolicyOptions,
)
from turnstream.assistant.components.outside import training_refusal
from turnstream.assistant.components.policies import (
    AugmentedMemoizationPolicyOptions,
    MemoizationPolicyOptions,
    RulePolicyOptions,
)
from turnstream.assistant.components.routers import IntentBasedRouterOptions
from turnstream.assistant.components.tokenizers import (
    ConveRTTokenizerOptions,
    JiebaTokenizerOptions,
    LanguageModelTokenizerOptions,
    MitieTokenizerOptions,
    SpacyTokenizerOptions,
    TokenizerOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.problems import Problems, nearest

RASA = "rasa"
REMOVED_COMPONENTS = {
    "KerasPolicy": "Use TEDPolicy.",
    "SklearnPolicy": "Use TEDPolicy.",
    "EmbeddingPolicy": "Use TEDPolicy.",
    "FallbackPolicy": "Use RulePolicy with core_fallback_threshold, and FallbackClassifier in the pipeline.",
    "TwoStageFallbackPolicy": "Use RulePolicy with a rule for action_two_stage_fallback, and FallbackClassifier.",
    "MappingPolicy": "Use RulePolicy with a rule for each intent.",
    "FormPolicy": "Use RulePolicy with rules for each form.",
    "EmbeddingIntentClassifier": "Use DIETClassifier.",
    "DucklingHTTPExtractor": "Use DucklingEntityExtractor.",
}

OTHER_ENGINE = "Remove it: it belongs to the engine that runs the flows, see calm_endpoint in docs/coexistence.md."
OTHER_ENGINES_COMPONENTS = (
    "FlowPolicy",
    "EnterpriseSearchPolicy",
    "IntentlessPolicy",
    "LLMCommandGenerator",
    "SingleStepLLMCommandGenerator",
    "MultiStepLLMCommandGenerator",
    "CompactLLMCommandGenerator",
    "SearchReadyLLMCommandGenerator",
    "NLUCommandAdapter",
)


def read_component(config: ComponentConfig, problems: Problems) -> ComponentOptions | None:
    """Read a component's keys; None and errors in `problems` where the name, a key or a value is wrong."""
    cls = known_components().get(_own_name(config.name))
    if cls is not None:
        return read_options(cls, config, problems)
    if config.name in REMOVED_COMPONENTS:
        problems.error(config.location, f"'{config.name}' was removed in Rasa 3.", REMOVED_COMPONENTS[config.name])
    elif config.name in OTHER_ENGINES_COMPONENTS:
        problems.error(config.location, f"'{config.name}' is not run here.", OTHER_ENGINE)
    elif config.name == "LLMBasedRouter":
        problems.error(config.location, "LLMBasedRouter needs a language model.", "Use IntentBasedRouter.")
    elif "." in config.name:
        return read_custom_component(config, problems)
    else:
        hint = nearest(config.name, known_components())
        problems.error(config.location, f"There is no component or policy '{config.name}'.", hint)
    return None


def default_options(name: str) -> ComponentOptions | None:
    """The defaults of a component or policy; None for a class of the author's own and for an unknown name."""
    cls = known_components().get(_own_name(name))
    return cls() if cls is not None else None


def _own_name(name: str) -> str:
    """Rasa's components may be named by their module path, too."""
    return name.rpartition(".")[2] if name.startswith(f"{RASA}.") else name


__all__ = [
    "REMOVED_COMPONENTS",
    "AugmentedMemoizationPolicyOptions",
    "CRFEntityExtractorOptions",
    "ComponentOptions",
    "ConveRTFeaturizerOptions",
    "ConveRTTokenizerOptions",
    "CountVectorsFeaturizerOptions",
    "CustomComponentOptions",
    "DIETClassifierOptions",
    "DucklingEntityExtractorOptions",
    "EntitySynonymMapperOptions",
    "FallbackClassifierOptions",
    "HFTransformersNLPOptions",
    "IntentBasedRouterOptions",
    "JiebaTokenizerOptions",
    "KeywordIntentClassifierOptions",
    "LanguageModelFeaturizerOptions",
    "LanguageModelTokenizerOptions",
    "LexicalSyntacticFeaturizerOptions",
    "LogisticRegressionClassifierOptions",
    "MemoizationPolicyOptions",
    "MitieEntityExtractorOptions",
    "MitieFeaturizerOptions",
    "MitieIntentClassifierOptions",
    "MitieNLPOptions",
    "MitieTokenizerOptions",
    "NetworkOptions",
    "NetworkPolicyOptions",
    "PolicyOptions",
    "RegexEntityExtractorOptions",
    "RegexFeaturizerOptions",
    "ResponseSelectorOptions",
    "RulePolicyOptions",
    "SklearnIntentClassifierOptions",
    "SpacyEntityExtractorOptions",
    "SpacyFeaturizerOptions",
    "SpacyNLPOptions",
    "SpacyTokenizerOptions",
    "TEDPolicyOptions",
    "TokenizerOptions",
    "UnexpecTEDIntentPolicyOptions",
    "WhitespaceTokenizerOptions",
    "default_options",
    "known_components",
    "options_from_json",
    "options_to_json",
    "read_component",
    "read_options",
    "training_refusal",
]
