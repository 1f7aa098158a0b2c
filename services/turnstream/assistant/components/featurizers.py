"""Options of the featurizers and of the language models that some of them need."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from turnstream.assistant.components.base import ComponentOptions, register
from turnstream.assistant.problems import nearest

WINDOW_FEATURES = (
    "BOS",
    "EOS",
    "low",
    "upper",
    "title",
    "digit",
    "prefix5",
    "prefix2",
    "suffix5",
    "suffix3",
    "suffix2",
    "suffix1",
    "pos",
    "pos2",
)
SEQUENCE_KEYS = {"return_sequence": "Features of the message and of its tokens are always there."}
"""A key of Rasa 1 that many configs carry along."""


@register
@dataclass(frozen=True)
class RegexFeaturizerOptions(ComponentOptions):
    component_name = "RegexFeaturizer"
    ignored_keys: ClassVar[Mapping[str, str]] = {
        **SEQUENCE_KEYS,
        "number_additional_patterns": "Vocabularies grow without a reserve.",
    }

    case_sensitive: bool = True
    use_word_boundaries: bool = True
    use_lookup_tables: bool = True
    use_regexes: bool = True
    alias: str | None = None


@register
@dataclass(frozen=True)
class LexicalSyntacticFeaturizerOptions(ComponentOptions):
    """`features` are one list for each place of a sliding window around a token; its middle is the token itself."""

    component_name = "LexicalSyntacticFeaturizer"
    ignored_keys: ClassVar[Mapping[str, str]] = SEQUENCE_KEYS

    features: tuple[tuple[str, ...], ...] = (
        ("low", "title", "upper"),
        ("BOS", "EOS", "low", "upper", "title", "digit"),
        ("low", "title", "upper"),
    )
    alias: str | None = None

    def find_faults(self) -> Iterator[tuple[str, str]]:
        if len(self.features) % 2 == 0:
            yield "features", "'features' must have an odd number of lists: before, the token itself, after."
        for name in dict.fromkeys(name for window in self.features for name in window):
            if name not in WINDOW_FEATURES:
                yield "features", f"unknown feature '{name}'. {nearest(name, WINDOW_FEATURES)}".strip()


@register
@dataclass(frozen=True)
class CountVectorsFeaturizerOptions(ComponentOptions):
    """`min_df`, `max_df`: a whole number counts messages, a fraction is a share of them."""

    component_name = "CountVectorsFeaturizer"
    ignored_keys: ClassVar[Mapping[str, str]] = {
        **SEQUENCE_KEYS,
        "token_pattern": "Set it on the tokenizer.",
        "additional_vocabulary_size": "Vocabularies grow without a reserve.",
    }

    use_shared_vocab: bool = False
    analyzer: Literal["word", "char", "char_wb"] = "word"
    strip_accents: Literal["ascii", "unicode"] | None = None
    stop_words: str | tuple[str, ...] | None = None
    min_df: int | float = 1
    max_df: int | float = 1.0
    min_ngram: int = 1
    max_ngram: int = 1
    max_features: int | None = None
    lowercase: bool = True
    OOV_token: str | None = None
    OOV_words: tuple[str, ...] = ()
    use_lemma: bool = True
    alias: str | None = None

    def find_faults(self) -> Iterator[tuple[str, str]]:
        if self.min_ngram < 1:
            yield "min_ngram", f"'min_ngram' must be at least 1, not {self.min_ngram}."
        if self.max_ngram < self.min_ngram:
            yield "max_ngram", f"'max_ngram' ({self.max_ngram}) is less than 'min_ngram' ({self.min_ngram})."
        if isinstance(self.stop_words, str) and self.stop_words != "english":
            yield "stop_words", f"'stop_words' must be 'english' or a list, not '{self.stop_words}'."


@register
@dataclass(frozen=True)
class SpacyNLPOptions(ComponentOptions):
    component_name = "SpacyNLP"
    refusal = "SpacyNLP needs a downloaded spaCy model: remove it and use WhitespaceTokenizer."

    model: str | None = None
    case_sensitive: bool = False


@register
@dataclass(frozen=True)
class SpacyFeaturizerOptions(ComponentOptions):
    component_name = "SpacyFeaturizer"
    refusal = "SpacyFeaturizer needs a downloaded spaCy model: use CountVectorsFeaturizer."

    pooling: Literal["mean", "max"] = "mean"
    alias: str | None = None


@register
@dataclass(frozen=True)
class MitieNLPOptions(ComponentOptions):
    component_name = "MitieNLP"
    refusal = "MitieNLP needs a downloaded MITIE model: remove it and use WhitespaceTokenizer."

    model: str = "data/total_word_feature_extractor.dat"


@register
@dataclass(frozen=True)
class MitieFeaturizerOptions(ComponentOptions):
    component_name = "MitieFeaturizer"
    refusal = "MitieFeaturizer needs a downloaded MITIE model: use CountVectorsFeaturizer."

    pooling: Literal["mean", "max"] = "mean"
    alias: str | None = None


@register
@dataclass(frozen=True)
class ConveRTFeaturizerOptions(ComponentOptions):
    component_name = "ConveRTFeaturizer"
    refusal = "ConveRTFeaturizer needs a downloaded model: use CountVectorsFeaturizer."

    model_url: str | None = None
    alias: str | None = None


@register
@dataclass(frozen=True)
class LanguageModelFeaturizerOptions(ComponentOptions):
    """`model_weights` is a folder, or an installed package, with a model of the BERT family; nothing is downloaded."""

    component_name = "LanguageModelFeaturizer"
    refusal = "LanguageModelFeaturizer needs a downloaded language model: use CountVectorsFeaturizer."

    model_name: str = "bert"
    model_weights: str | None = None
    cache_dir: str | None = None
    alias: str | None = None


@register
@dataclass(frozen=True)
class HFTransformersNLPOptions(ComponentOptions):
    component_name = "HFTransformersNLP"
    refusal = "HFTransformersNLP was removed in Rasa 3 and needs a downloaded model: use CountVectorsFeaturizer."

    model_name: str = "bert"
    model_weights: str | None = None
    cache_dir: str | None = None


SplitByComma = bool | Mapping[str, bool]


def window_features_default() -> tuple[tuple[str, ...], ...]:
    """The CRF's own default window, which also looks at affixes and regular expressions."""
    around = ("low", "title", "upper")
    token = ("low", "bias", "prefix5", "prefix2", "suffix5", "suffix3", "suffix2", "upper", "title", "digit", "pattern")
    return (around, token, around)


CRF_WINDOW_FEATURES = (
    *(name for name in WINDOW_FEATURES if name not in ("BOS", "EOS")),
    "bias",
    "pattern",
    "text_dense_features",
    "word3",
    "word2",
)


@register
@dataclass(frozen=True)
class CRFEntityExtractorOptions(ComponentOptions):
    """`features` are one list for each place of a sliding window around a token; its middle is the token itself."""

    component_name = "CRFEntityExtractor"
    ignored_keys: ClassVar[Mapping[str, str]] = SEQUENCE_KEYS

    BILOU_flag: bool = True
    split_entities_by_comma: SplitByComma = True
    features: tuple[tuple[str, ...], ...] = field(default_factory=window_features_default)
    max_iterations: int = 50
    L1_c: float = 0.1
    L2_c: float = 0.1
    featurizers: tuple[str, ...] = ()

    def find_faults(self) -> Iterator[tuple[str, str]]:
        if len(self.features) % 2 == 0:
            yield "features", "'features' must have an odd number of lists: before, the token itself, after."
        for name in dict.fromkeys(name for window in self.features for name in window):
            if name not in CRF_WINDOW_FEATURES:
                yield "features", f"unknown feature '{name}'. {nearest(name, CRF_WINDOW_FEATURES)}".strip()
        if self.max_iterations < 1:
            yield "max_iterations", f"'max_iterations' must be at least 1, not {self.max_iterations}."
