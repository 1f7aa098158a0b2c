"""Whether a config can be trained: its components, their order, and what the domain and the data need of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from turnstream.assistant.components import (
    ComponentOptions,
    CRFEntityExtractorOptions,
    DIETClassifierOptions,
    DucklingEntityExtractorOptions,
    EntitySynonymMapperOptions,
    FallbackClassifierOptions,
    IntentBasedRouterOptions,
    KeywordIntentClassifierOptions,
    LogisticRegressionClassifierOptions,
    MitieEntityExtractorOptions,
    MitieIntentClassifierOptions,
    PolicyOptions,
    RegexEntityExtractorOptions,
    RegexFeaturizerOptions,
    ResponseSelectorOptions,
    RulePolicyOptions,
    SklearnIntentClassifierOptions,
    SpacyEntityExtractorOptions,
    SpacyNLPOptions,
    SpacyTokenizerOptions,
    TokenizerOptions,
    default_options,
    known_components,
    read_component,
    training_refusal,
)
from turnstream.assistant.components.featurizers import (
    ConveRTFeaturizerOptions,
    CountVectorsFeaturizerOptions,
    LanguageModelFeaturizerOptions,
    LexicalSyntacticFeaturizerOptions,
    MitieFeaturizerOptions,
    SpacyFeaturizerOptions,
)
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.project import Project
from turnstream.assistant.suggested import with_suggestions

FEATURIZERS = (
    RegexFeaturizerOptions,
    LexicalSyntacticFeaturizerOptions,
    CountVectorsFeaturizerOptions,
    SpacyFeaturizerOptions,
    MitieFeaturizerOptions,
    ConveRTFeaturizerOptions,
    LanguageModelFeaturizerOptions,
)
CLASSIFIERS = (
    DIETClassifierOptions,
    KeywordIntentClassifierOptions,
    LogisticRegressionClassifierOptions,
    SklearnIntentClassifierOptions,
    MitieIntentClassifierOptions,
)
EXTRACTORS = (
    DIETClassifierOptions,
    CRFEntityExtractorOptions,
    RegexEntityExtractorOptions,
    DucklingEntityExtractorOptions,
    SpacyEntityExtractorOptions,
    MitieEntityExtractorOptions,
)
NEEDS_TOKENIZER = (*FEATURIZERS, CRFEntityExtractorOptions)
NEEDS_FEATURES = (
    DIETClassifierOptions,
    ResponseSelectorOptions,
    LogisticRegressionClassifierOptions,
    SklearnIntentClassifierOptions,
)
NEEDS_SPACY = (SpacyTokenizerOptions, SpacyFeaturizerOptions, SpacyEntityExtractorOptions)
PATTERN_READERS = (RegexFeaturizerOptions, RegexEntityExtractorOptions)
PARTS_OF_SPEECH = ("pos", "pos2")
NEEDS_INTENT = (FallbackClassifierOptions, IntentBasedRouterOptions)


@dataclass(frozen=True, slots=True)
class Component:
    """A component as written and as read; `options` are the defaults, or of no kind, where it `is_faulty`."""

    config: ComponentConfig
    options: ComponentOptions
    is_faulty: bool = False

    @property
    def is_unknown(self) -> bool:
        """What it would be cannot be told: a name that is not known, a class that cannot be loaded."""
        return self.is_faulty and type(self.options) is ComponentOptions


def check_components(config: ModelConfig, problems: Problems) -> list[Component]:
    """Errors for components that cannot be trained or stand in the wrong place; returns the policies."""
    config = with_suggestions(config)
    pipeline = _read(config.pipeline or (), problems)
    policies = _read(config.policies or (), problems)
    for component in pipeline:
        if isinstance(component.options, PolicyOptions):
            _error(component, "is a policy: move it to 'policies'.", problems)
    for component in policies:
        if not isinstance(component.options, PolicyOptions) and not component.is_unknown:
            _error(component, "is no policy: move it to 'pipeline'.", problems)
    _check_order(pipeline, problems)
    for component in (*pipeline, *policies):
        _check_choice(component, pipeline, problems)
        _check_tags(component, pipeline, problems)
    return [component for component in policies if not component.is_faulty]


def _read(configs: Iterable[ComponentConfig], problems: Problems) -> list[Component]:
    found = []
    for config in configs:
        options = read_component(config, problems)
        # What was refused still stands in its place: what follows must not be refused for its want.
        found.append(Component(config, options or default_options(config.name) or ComponentOptions(), options is None))
    every = [component.options for component in found]
    for component in found:
        if not component.is_faulty and (refusal := training_refusal(component.options, every)):
            problems.error(component.config.location, refusal)
    return found


def _error(component: Component, message: str, problems: Problems) -> None:
    problems.error(component.config.location, f"{component.config.name} {message}")


def _check_order(pipeline: Sequence[Component], problems: Problems) -> None:
    aliases: set[str] = set()
    for index, component in enumerate(pipeline):
        before = [other.options for other in pipeline[:index]]
        may_be_unknown = any(other.is_unknown for other in pipeline[:index])
        options = component.options
        if isinstance(options, TokenizerOptions) and any(isinstance(o, TokenizerOptions) for o in before):
            _error(component, "is a second tokenizer: a pipeline has one.", problems)
        for needy, given, what in (
            (NEEDS_TOKENIZER, (TokenizerOptions,), "a tokenizer, such as WhitespaceTokenizer,"),
            (NEEDS_FEATURES, FEATURIZERS, "a featurizer, such as CountVectorsFeaturizer,"),
            (NEEDS_INTENT, CLASSIFIERS, "an intent classifier, such as DIETClassifier,"),
        ):
            if isinstance(options, needy) and not may_be_unknown and not any(isinstance(o, given) for o in before):
                _error(component, f"needs {what} before it in the pipeline.", problems)
        is_without = not may_be_unknown and not any(isinstance(o, EXTRACTORS) for o in before)
        if isinstance(options, EntitySynonymMapperOptions) and is_without:
            what = f"{component.config.name} has no effect: no entity extractor is before it in the pipeline."
            problems.warning(component.config.location, what)
        is_too_early = not any(isinstance(o, SpacyNLPOptions) for o in before)
        if isinstance(options, NEEDS_SPACY) and is_too_early and _names_spacy(pipeline):
            _error(component, "needs SpacyNLP before it in the pipeline.", problems)
        alias = getattr(options, "alias", None)
        if alias is not None and alias in aliases:
            _error(component, f"has the alias '{alias}' of another featurizer: choose another.", problems)
        aliases.update([alias] if alias is not None else [])


def _check_choice(component: Component, pipeline: Sequence[Component], problems: Problems) -> None:
    """A component may choose among the featurizers, by their aliases or names."""
    chosen = getattr(component.options, "featurizers", ())
    known = [
        getattr(other.options, "alias", None) or other.options.component_name
        for other in pipeline
        if isinstance(other.options, FEATURIZERS)
    ]
    where = component.config.option_locations.get("featurizers", component.config.location)
    for name in chosen:
        if name not in known:
            what = f"{component.config.name}: 'featurizers' names '{name}', which is none of the pipeline."
            problems.error(where, what, nearest(name, known))


def _check_tags(component: Component, pipeline: Sequence[Component], problems: Problems) -> None:
    """Parts of speech come from spaCy's tokenizer alone."""
    if not isinstance(component.options, LexicalSyntacticFeaturizerOptions) or any(c.is_unknown for c in pipeline):
        return
    if any(isinstance(other.options, SpacyTokenizerOptions) for other in pipeline):
        return
    where = component.config.option_locations.get("features", component.config.location)
    for name in dict.fromkeys(name for window in component.options.features for name in window):
        if name in PARTS_OF_SPEECH:
            what = f"{component.config.name}: feature '{name}' needs the SpacyTokenizer, which tags parts of speech."
            problems.error(where, what, "Remove it.")


def _names_spacy(pipeline: Sequence[Component]) -> bool:
    """Where no SpacyNLP is named, what needs it was refused for the model that is not here."""
    return any(isinstance(component.options, SpacyNLPOptions) for component in pipeline)


def check_selectors(project: Project, problems: Problems) -> None:
    """A warning for a selector of a retrieval intent that no example has: it could select nothing."""
    known = sorted({example.base_intent or "" for example in project.nlu.examples if example.is_retrieval})
    for config in project.config.pipeline or ():
        name = config.options.get("retrieval_intent")
        if isinstance(name, str) and name not in known:
            where = config.option_locations.get("retrieval_intent", config.location)
            what = f"{config.name}: no example has the retrieval intent '{name}', so nothing is selected."
            problems.warning(where, what, nearest(name, known))


def check_data_is_read(project: Project, problems: Problems) -> None:
    """A warning for synonyms and patterns in the data that no component of the pipeline reads."""
    names = {config.name.rpartition(".")[2] for config in project.config.pipeline or ()}
    if project.config.pipeline is None or not names <= known_components().keys():
        return  # The suggested pipeline reads all; what a component of the author's own reads is not known.
    nlu = project.nlu
    if nlu.synonyms and EntitySynonymMapperOptions.component_name not in names:
        what = "Synonyms have no effect: the pipeline has no EntitySynonymMapper."
        problems.warning(project.config.location, what)
    if names.isdisjoint(reader.component_name for reader in PATTERN_READERS):
        for kind, patterns in (("regular expression", nlu.regexes), ("lookup table", nlu.lookups)):
            for pattern in patterns[:1]:
                what = f"The {kind} '{pattern.name}' has no effect"
                missing = "the pipeline has no RegexFeaturizer and no RegexEntityExtractor"
                problems.warning(pattern.location, f"{what}: {missing}.")


def check_policies(project: Project, policies: Sequence[Component], problems: Problems) -> None:
    """Errors where the policies lack what the domain and the data need."""
    config, domain = project.config, project.domain
    rule_policies = [component for component in policies if isinstance(component.options, RulePolicyOptions)]
    names_rule_policy = any(c.name == RulePolicyOptions.component_name for c in config.policies or ())
    has_rule_policy = bool(rule_policies) or names_rule_policy
    if config.policies == () and (project.stories or project.rules or domain.forms):
        hint = "Add policies, or remove the key to get the suggested ones."
        problems.error(config.location, "'policies' is empty: the assistant could not answer.", hint)
    elif domain.forms and not has_rule_policy:
        form = next(iter(domain.forms.values()))
        problems.error(form.location, f"The form '{form.name}' needs the RulePolicy.", "Add it to 'policies'.")
    elif project.rules and not has_rule_policy:
        location = project.rules[0].location
        problems.warning(location, "Rules have no effect without the RulePolicy.", "Add it to 'policies'.")
    for component in rule_policies:
        _check_fallback(component, project, problems)


def _check_fallback(component: Component, project: Project, problems: Problems) -> None:
    options = component.options
    if not isinstance(options, RulePolicyOptions) or not options.enable_fallback_prediction:
        return
    name = options.core_fallback_action_name
    if name not in project.domain.action_names:
        location = component.config.option_locations.get("core_fallback_action_name", component.config.location)
        known = project.domain.action_names
        problems.error(location, f"The fallback action '{name}' is not in the domain.", nearest(name, known))
