"""Fitting what needs no network of the NLU pipeline, and preparing the data for what does."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from turnstream.assistant.components import (
    ComponentOptions,
    CRFEntityExtractorOptions,
    CustomComponentOptions,
    DIETClassifierOptions,
    DucklingEntityExtractorOptions,
    EntitySynonymMapperOptions,
    FallbackClassifierOptions,
    KeywordIntentClassifierOptions,
    LogisticRegressionClassifierOptions,
    RegexEntityExtractorOptions,
    ResponseSelectorOptions,
    SpacyEntityExtractorOptions,
    options_to_json,
)
from turnstream.assistant.components.custom import load_class
from turnstream.assistant.domain import Domain
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import NluData
from turnstream.assistant.problems import Problem, Problems
from turnstream.features.arrays import FeatureSpec
from turnstream.features.choice import FeatureChoice
from turnstream.features.patterns import Pattern, read_patterns
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.training_data import CrfData, DietData, IntentData, SelectorData
from turnstream.training.finetuning import ModelStart, Start
from turnstream.training.keywords import fit_keywords
from turnstream.training.nlu_labels import KnownLabels, crf_data, diet_data, intent_data, selector_data
from turnstream.training.synonyms import fit_synonyms

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DietTraining:
    """A DIETClassifier to train and export as `model`. `spec` is what the network is built for.

    `data` is None where there is nothing to learn: then no model is exported.
    """

    model: str
    options: DIETClassifierOptions
    data: DietData | None
    spec: FeatureSpec
    start: ModelStart | None = None

    def entry(self) -> Json:
        data = self.data
        return {
            "options": options_to_json(self.options),
            "model": self.model if data else None,
            "intents": list(data.intent_names) if data else [],
            "taggers": {tagger.name: list(tagger.tags) for tagger in data.taggers} if data else {},
        }


@dataclass(frozen=True, slots=True)
class SelectorTraining:
    """A ResponseSelector to train and export as `model`; `data` is None where there is nothing to learn.

    `name` is its retrieval intent, or `default` for all. `choice` is what it sees of the features; None: all.
    """

    name: str
    model: str
    options: ResponseSelectorOptions
    data: SelectorData | None
    spec: FeatureSpec
    start: ModelStart | None = None
    choice: FeatureChoice | None = None

    def entry(self) -> Json:
        return {
            "name": self.name,
            "options": options_to_json(self.options),
            "model": self.model if self.data else None,
            "intent_response_keys": list(self.data.keys) if self.data else [],
            "features": self.choice.to_json() if self.choice else None,
        }


@dataclass(frozen=True, slots=True)
class LinearTraining:
    """A LogisticRegressionClassifier or CRFEntityExtractor to train and write as `file`.

    `data` is None where there is nothing to learn: then nothing is written.
    """

    file: str
    options: LogisticRegressionClassifierOptions | CRFEntityExtractorOptions
    data: IntentData | CrfData | None
    spec: FeatureSpec

    def entry(self) -> Json:
        entry = {"options": options_to_json(self.options), "file": self.file if self.data else None}
        return entry | {"intents": list(self.data.names)} if isinstance(self.data, IntentData) else entry


@dataclass(frozen=True, slots=True)
class CustomTraining:
    """A component of the author's own; what it learns goes into `folder`."""

    folder: str
    options: CustomComponentOptions

    def entry(self) -> Json:
        return {"options": options_to_json(self.options), "folder": self.folder}


@dataclass(frozen=True, slots=True)
class NluArtifacts:
    """What training puts in the bundle: `nlu/pipeline.json`, `nlu/components.json`, `selection/selectors.json`."""

    pipeline: FeaturePipeline
    components: tuple[Mapping[str, Any], ...]
    diets: tuple[DietTraining, ...]
    selectors: tuple[SelectorTraining, ...]
    linear: tuple[LinearTraining, ...]
    custom: tuple[CustomTraining, ...]
    retrieval_intents: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()

    def pipeline_json(self) -> Json:
        return self.pipeline.to_json()

    def components_json(self) -> Json:
        return {"components": [dict(entry) for entry in self.components]}

    def selectors_json(self) -> Json:
        return {
            "selectors": [selector.entry() for selector in self.selectors],
            "retrieval_intents": list(self.retrieval_intents),
            "spec": list(astuple(self.pipeline.spec)),
        }


def fit_nlu(
    options: Sequence[ComponentOptions],
    nlu: NluData,
    domain: Domain,
    start: Start | None = None,
    said: Sequence[str] = (),
) -> NluArtifacts:
    """Fit the pipeline on the NLU data; the components were checked before (`assistant.check_config`).

    said: what users say in end-to-end stories. start: an earlier bundle, whose vocabularies and labels stay. Raises
    ProjectError for invalid regular expressions, and for labels of `start` that the data has lost.
    """
    problems = Problems()
    pipeline = FeaturePipeline.fit(options, nlu, domain, start.pipeline() if start else None, said)
    fitting = _Fitting(nlu, domain, pipeline, problems, start)
    for option in options:
        fitting.add(option)
    problems.raise_if_any()
    return NluArtifacts(
        pipeline=fitting.pipeline,
        components=tuple(fitting.components),
        diets=tuple(fitting.diets),
        selectors=tuple(fitting.selectors),
        linear=tuple(fitting.linear),
        custom=tuple(fitting.custom),
        retrieval_intents=tuple(sorted({e.base_intent or "" for e in nlu.examples if e.is_retrieval})),
        warnings=tuple(problems.warnings),
    )


@dataclass(slots=True)
class _Fitting:
    nlu: NluData
    domain: Domain
    pipeline: FeaturePipeline
    problems: Problems
    start: Start | None
    components: list[Json] = field(default_factory=list)
    diets: list[DietTraining] = field(default_factory=list)
    selectors: list[SelectorTraining] = field(default_factory=list)
    linear: list[LinearTraining] = field(default_factory=list)
    custom: list[CustomTraining] = field(default_factory=list)

    def add(self, options: ComponentOptions) -> None:
        match options:
            case DIETClassifierOptions():
                self._add_diet(options)
            case ResponseSelectorOptions():
                self._add_selector(options)
            case LogisticRegressionClassifierOptions():
                learnt = intent_data(options, self.nlu, self.pipeline, self.problems)
                self._add_linear(options, "logistic_regression", "npz", learnt)
            case CRFEntityExtractorOptions():
                self._add_linear(options, "crf", "json", crf_data(options, self.nlu, self.pipeline, self.problems))
            case CustomComponentOptions():
                self._add_custom(options)
            case KeywordIntentClassifierOptions():
                keywords = fit_keywords(self.nlu, options.case_sensitive, self.problems)
                self._add_component(options, keywords=[list(pair) for pair in keywords.items()])
            case RegexEntityExtractorOptions():
                self._add_component(options, patterns=[pattern.to_json() for pattern in self._patterns(options)])
            case EntitySynonymMapperOptions():
                self._add_component(options, synonyms=fit_synonyms(self.nlu, self.problems))
            case FallbackClassifierOptions() | DucklingEntityExtractorOptions() | SpacyEntityExtractorOptions():
                self._add_component(options)
            case _:
                pass  # Tokenizers and featurizers are in the pipeline; the rest was refused before.

    def _add_component(self, options: ComponentOptions, **fitted: Any) -> None:
        self.components.append({"options": options_to_json(options), **fitted})

    def _add_diet(self, options: DIETClassifierOptions) -> None:
        model = f"diet-{len(self.diets) + 1}" if self.diets else "diet"
        data = diet_data(options, self.nlu, self.pipeline, self.problems, KnownLabels(model, self.start))
        training = DietTraining(model, options, data, self.pipeline.message_spec, self._start_of(model))
        self.diets.append(training)
        self.components.append(training.entry())

    def _add_custom(self, options: CustomComponentOptions) -> None:
        component = load_class(options.path)
        for fault in component.find_faults(options.options):
            self.problems.error(Location("config.yml"), f"{options.path}: {fault}")
        training = CustomTraining(f"nlu/custom-{len(self.custom) + 1}", options)
        self.custom.append(training)
        self.components.append(training.entry())

    def _add_linear(
        self,
        options: LogisticRegressionClassifierOptions | CRFEntityExtractorOptions,
        name: str,
        suffix: str,
        data: IntentData | CrfData | None,
    ) -> None:
        file = f"nlu/{name}-{len(self.linear) + 1}.{suffix}"
        training = LinearTraining(file, options, data, self.pipeline.message_spec)
        self.linear.append(training)
        self.components.append(training.entry())

    def _add_selector(self, options: ResponseSelectorOptions) -> None:
        name = options.retrieval_intent or "default"
        model = f"selector-{name}"
        known = KnownLabels(model, self.start)
        data = selector_data(options, self.nlu, self.domain, self.pipeline, self.problems, known)
        start, choice = self._start_of(model), self.pipeline.choice(options.featurizers)
        self.selectors.append(SelectorTraining(name, model, options, data, self.pipeline.spec, start, choice))

    def _start_of(self, model: str) -> ModelStart | None:
        return self.start.model(model) if self.start else None

    def _patterns(self, options: RegexEntityExtractorOptions) -> tuple[Pattern, ...]:
        return read_patterns(
            self.nlu,
            self.problems,
            use_regexes=options.use_regexes,
            use_lookup_tables=options.use_lookup_tables,
            use_word_boundaries=options.use_word_boundaries,
            names=frozenset(entity.entity for example in self.nlu.examples for entity in example.entities),
        )
