"""Options of the intent classifiers and entity extractors that train no neural network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from turnstream.assistant.components.base import ComponentOptions, register


@register
@dataclass(frozen=True)
class KeywordIntentClassifierOptions(ComponentOptions):
    component_name = "KeywordIntentClassifier"

    case_sensitive: bool = True


@register
@dataclass(frozen=True)
class FallbackClassifierOptions(ComponentOptions):
    component_name = "FallbackClassifier"

    threshold: float = 0.3
    ambiguity_threshold: float = 0.1

    def find_faults(self) -> Iterator[tuple[str, str]]:
        for key, value in (("threshold", self.threshold), ("ambiguity_threshold", self.ambiguity_threshold)):
            if not 0.0 <= value <= 1.0:
                yield key, f"'{key}' must be between 0 and 1, not {value}."


@register
@dataclass(frozen=True)
class LogisticRegressionClassifierOptions(ComponentOptions):
    component_name = "LogisticRegressionClassifier"

    class_weight: Literal["balanced"] | Mapping[str, float] | None = "balanced"
    max_iter: int = 100
    solver: Literal["lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga"] = "lbfgs"
    tol: float = 1e-4
    random_state: int | None = 42
    ranking_length: int = 10

    def find_faults(self) -> Iterator[tuple[str, str]]:
        for key, value in (("max_iter", self.max_iter), ("tol", self.tol), ("random_state", self.random_state or 0)):
            if value < 0:
                yield key, f"'{key}' must not be negative, not {value}."


@register
@dataclass(frozen=True)
class SklearnIntentClassifierOptions(ComponentOptions):
    component_name = "SklearnIntentClassifier"
    ignored_keys: ClassVar[Mapping[str, str]] = {"kernel": "The key is 'kernels'."}
    refusal = "SklearnIntentClassifier needs dense features of a downloaded model: use DIETClassifier."

    C: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0, 100.0)
    gamma: tuple[float, ...] = (0.1,)
    kernels: tuple[str, ...] = ("linear",)
    max_cross_validation_folds: int = 5
    scoring_function: str = "f1_weighted"
    num_threads: int = 1


@register
@dataclass(frozen=True)
class MitieIntentClassifierOptions(ComponentOptions):
    component_name = "MitieIntentClassifier"
    ignored_keys: ClassVar[Mapping[str, str]] = {"num_threads": "Threads are not set in the pipeline."}
    refusal = "MitieIntentClassifier needs a downloaded MITIE model: use DIETClassifier."


@register
@dataclass(frozen=True)
class RegexEntityExtractorOptions(ComponentOptions):
    component_name = "RegexEntityExtractor"

    case_sensitive: bool = False
    use_lookup_tables: bool = True
    use_regexes: bool = True
    use_word_boundaries: bool = True

    def find_faults(self) -> Iterator[tuple[str, str]]:
        if not (self.use_lookup_tables or self.use_regexes):
            yield "use_regexes", "'use_regexes' and 'use_lookup_tables' are both false: nothing can be extracted."


@register
@dataclass(frozen=True)
class EntitySynonymMapperOptions(ComponentOptions):
    component_name = "EntitySynonymMapper"


@register
@dataclass(frozen=True)
class DucklingEntityExtractorOptions(ComponentOptions):
    """`timeout` is in seconds; `url` is the Duckling server's, without `/parse`."""

    component_name = "DucklingEntityExtractor"

    url: str | None = None
    dimensions: tuple[str, ...] | None = None
    locale: str | None = None
    timezone: str | None = None
    timeout: float = 3.0


@register
@dataclass(frozen=True)
class SpacyEntityExtractorOptions(ComponentOptions):
    component_name = "SpacyEntityExtractor"
    refusal = "SpacyEntityExtractor needs a downloaded spaCy model: use DIETClassifier or RegexEntityExtractor."

    dimensions: tuple[str, ...] | None = None


@register
@dataclass(frozen=True)
class MitieEntityExtractorOptions(ComponentOptions):
    component_name = "MitieEntityExtractor"
    refusal = "MitieEntityExtractor needs a downloaded MITIE model: use DIETClassifier or RegexEntityExtractor."
