"""From a text to its tokens and features: the tokenizer and the featurizers of a pipeline, fitted on the NLU data."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    LexicalSyntacticFeaturizerOptions,
    RegexFeaturizerOptions,
    options_from_json,
    options_to_json,
)
from turnstream.assistant.domain import RETRIEVAL_SEPARATOR, Domain
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import NluData
from turnstream.assistant.problems import Problems
from turnstream.features.arrays import MAX_IDS_PER_TOKEN, MAX_TOKENS, FeatureSpec, Floats, TextFeatures
from turnstream.features.bert import LanguageModelError
from turnstream.features.choice import FeatureChoice
from turnstream.features.count_vectors import CountVectorsFeaturizer
from turnstream.features.lexical_syntactic import LexicalSyntacticFeaturizer
from turnstream.features.outside_models import TextModels
from turnstream.features.regex_featurizer import RegexFeaturizer
from turnstream.features.spacy_components import SpacyModelError
from turnstream.features.sparse import IdCounter, Source, SparseFeaturizer, SparseRows, TokenizedText
from turnstream.features.store import Attribute, FeatureStore
from turnstream.features.tokens import Token
from turnstream.features.whitespace_tokenizer import WhitespaceTokenizer

CACHED_TEXTS = 2048
FEATURIZER_OPTIONS = (RegexFeaturizerOptions, LexicalSyntacticFeaturizerOptions, CountVectorsFeaturizerOptions)
LONGEST_CACHED_TEXT = 512
"""In characters: longer texts hardly repeat, and would hold much memory."""
_SOURCES = {Attribute.TEXT: Source.MESSAGE, Attribute.ACTION_TEXT: Source.RESPONSE}


@dataclass(frozen=True, slots=True, eq=False)
class FeaturizedText:
    tokens: tuple[Token, ...]
    features: TextFeatures


@dataclass(frozen=True, slots=True)
class _Fitted:
    options: ComponentOptions
    featurizer: SparseFeaturizer


class FeaturePipeline:
    """Deterministic: the same data give the same ids, the same text the same features.

    `spec` covers all ids, those of responses' own words too; `message_spec` covers what a message can have;
    `store` has the features computed so far: of training all of them, afterwards the latest.
    """

    def __init__(
        self,
        models: TextModels,
        fitted: Sequence[_Fitted],
        spec: FeatureSpec,
        message_spec: FeatureSpec,
        most_texts: int | None = None,
    ) -> None:
        """most_texts: whose features are kept at once; None: of all, as training needs."""
        self.models = models
        self._fitted = tuple(fitted)
        self.spec = spec
        self.message_spec = message_spec
        self._most_texts = most_texts
        computing = {attribute: partial(self._computed, source=source) for attribute, source in _SOURCES.items()}
        self.store: FeatureStore[FeaturizedText] = FeatureStore(computing, most_texts)

    @staticmethod
    def fit(
        options: Sequence[ComponentOptions],
        nlu: NluData,
        domain: Domain,
        earlier: "FeaturePipeline | None" = None,
        said: Sequence[str] = (),
    ) -> "FeaturePipeline":
        """Learn the vocabularies from the examples, from the responses to retrieval intents, and from end-to-end
        stories: `said` are the texts of users, the domain has those of the assistant.

        With a pipeline fitted `earlier` by the same options, its ids stay and new ones follow: vocabularies only grow.
        Components that are neither tokenizers nor featurizers are left out of account. Raises ProjectError for an
        invalid regular expression of the NLU data and for a model that cannot be loaded, re.error for a `token_pattern`
        that is none.
        """
        problems = Problems()
        models = _models(options, problems)
        tokenizer = models.tokenizer or WhitespaceTokenizer()
        messages = [TokenizedText(text, tokenizer.tokenize(text)) for text in (*(e.text for e in nlu.examples), *said)]
        spoken = [*retrieval_texts(domain), *domain.e2e_actions]
        responses = [TokenizedText(text, tokenizer.tokenize(text)) for text in spoken]
        counter = IdCounter(earlier.spec.token_vocabulary, earlier.spec.sentence_vocabulary) if earlier else IdCounter()
        known = iter(earlier._fitted if earlier else ())
        fitted: list[_Fitted] = []
        for option in options:
            if isinstance(option, FEATURIZER_OPTIONS):
                entry = next(known, None)
                featurizer = _fit(option, nlu, messages, counter, problems, entry.featurizer if entry else None)
                fitted.append(_Fitted(option, featurizer))
        problems.raise_if_any()
        message_spec = FeatureSpec(counter.tokens, counter.sentences, models.width)
        if earlier and message_spec == earlier.spec:
            message_spec = earlier.message_spec
        if responses:
            for entry in fitted:
                if isinstance(entry.featurizer, CountVectorsFeaturizer):
                    entry.featurizer.fit_responses(responses, messages, counter)
        spec = FeatureSpec(counter.tokens, counter.sentences, models.width)
        if any(_is_shared(entry) for entry in fitted):
            message_spec = spec
        return FeaturePipeline(models, fitted, spec, message_spec)

    @property
    def has_featurizers(self) -> bool:
        return bool(self._fitted) or self.models.has_featurizers

    def tokenize(self, text: str) -> tuple[Token, ...]:
        """Empty where the pipeline has no tokenizer."""
        return self.models.tokenizer.tokenize(text) if self.models.tokenizer else ()

    def featurize(self, text: str) -> FeaturizedText:
        """Tokens and features of a user's message."""
        return self._featurized(Attribute.TEXT, text)

    def featurize_response(self, text: str) -> FeaturizedText:
        """Tokens and features of a response's text, which a response selector compares messages with."""
        return self._featurized(Attribute.ACTION_TEXT, text)

    def intent_words(self, intent: str) -> tuple[str, ...]:
        """The parts of an intent's name (see `intent_tokenization_flag`)."""
        return self.models.tokenizer.intent_words(intent) if self.models.tokenizer else (intent,)

    def patterns_of(self, text: str, tokens: Sequence[Token]) -> list[list[str]]:
        """For each token the names of the patterns of the RegexFeaturizers that match there."""
        names: list[list[str]] = [[] for _ in tokens]
        for entry in self._fitted:
            if isinstance(entry.featurizer, RegexFeaturizer):
                for place, found in enumerate(entry.featurizer.names_of(text, tokens)):
                    names[place] += found
        return names

    def choice(self, names: Sequence[str]) -> FeatureChoice | None:
        """What of a text's features comes from the featurizers of these names (or aliases). No names: None, all."""
        if not names:
            return None
        ids = [entry.featurizer.ids() for entry in self._fitted if entry.featurizer.name in names]
        tokens = chain.from_iterable(token_ids for token_ids, _ in ids)
        sentences = chain.from_iterable(sentence_ids for _, sentence_ids in ids)
        return FeatureChoice.of_ids(self.spec, tokens, sentences, self.models.columns(names))

    def selected(self, names: Sequence[str]) -> "FeaturePipeline":
        """The pipeline with the featurizers of these names (or aliases) alone; the ids stay. No names: itself.

        For who featurizes texts alone, so that the others do not run; where features are there, `choice` is cheaper.
        """
        if not names:
            return self
        kept = [entry for entry in self._fitted if entry.featurizer.name in names]
        return FeaturePipeline(self.models.selected(names), kept, self.spec, self.message_spec, self._most_texts)

    def to_json(self) -> dict[str, Any]:
        return {
            "models": self.models.to_json(),
            "featurizers": [
                {"options": options_to_json(entry.options), "state": entry.featurizer.to_json()}
                for entry in self._fitted
            ],
            "spec": list(astuple(self.spec)),
            "message_spec": list(astuple(self.message_spec)),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "FeaturePipeline":
        """The inverse of `to_json`. Raises ValueError where the data are none of it."""
        try:
            models = TextModels.from_json(data["models"])
            fitted = [_load(entry) for entry in data["featurizers"]]
            spec, message_spec = FeatureSpec(*data["spec"]), FeatureSpec(*data["message_spec"])
            return FeaturePipeline(models, fitted, spec, message_spec, CACHED_TEXTS)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"the feature pipeline is damaged: {error!r}") from error

    def _featurized(self, attribute: Attribute, text: str) -> FeaturizedText:
        if self._most_texts is not None and len(text) > LONGEST_CACHED_TEXT:
            return self._computed(text, _SOURCES[attribute])
        return self.store.features(attribute, text)

    def _computed(self, text: str, source: Source) -> FeaturizedText:
        tokens = self.tokenize(text)
        rows = SparseRows.for_tokens(len(tokens))
        for entry in self._fitted:
            entry.featurizer.add(text, tokens, rows, source)
        dense, sentence_dense = self.models.vectors(text, tokens[:MAX_TOKENS])
        return FeaturizedText(tokens, _to_features(rows, dense, sentence_dense))


def _models(options: Sequence[ComponentOptions], problems: Problems) -> TextModels:
    try:
        return TextModels(options)
    except (SpacyModelError, LanguageModelError) as error:
        problems.error(Location("config.yml"), f"{error}.")
        problems.raise_if_any()
        raise


def retrieval_texts(domain: Domain) -> list[str]:
    """The texts of all responses to retrieval intents (`utter_faq/ask_name`), in the order of the domain."""
    return [
        variation.text
        for name, variations in domain.responses.items()
        if RETRIEVAL_SEPARATOR in name
        for variation in variations
        if variation.text
    ]


def _fit(
    options: ComponentOptions,
    nlu: NluData,
    messages: Sequence[TokenizedText],
    counter: IdCounter,
    problems: Problems,
    earlier: SparseFeaturizer | None,
) -> SparseFeaturizer:
    match options, earlier:
        case RegexFeaturizerOptions(), RegexFeaturizer() | None:
            return RegexFeaturizer.fit(options, nlu, counter, problems, earlier)
        case LexicalSyntacticFeaturizerOptions(), LexicalSyntacticFeaturizer() | None:
            return LexicalSyntacticFeaturizer.fit(options, messages, counter, earlier)
        case CountVectorsFeaturizerOptions(), CountVectorsFeaturizer() | None:
            return CountVectorsFeaturizer.fit(options, messages, counter, earlier)
        case _:
            raise ValueError(f"{options.component_name} cannot go on from {type(earlier).__name__}")


def _load(entry: Mapping[str, Any]) -> _Fitted:
    options, state = options_from_json(entry["options"]), entry["state"]
    match options:
        case RegexFeaturizerOptions():
            return _Fitted(options, RegexFeaturizer.from_json(options, state))
        case LexicalSyntacticFeaturizerOptions():
            return _Fitted(options, LexicalSyntacticFeaturizer.from_json(options, state))
        case CountVectorsFeaturizerOptions():
            return _Fitted(options, CountVectorsFeaturizer.from_json(options, state))
        case _:
            raise ValueError(f"no featurizer: {options.component_name}")


def _is_shared(entry: _Fitted) -> bool:
    return isinstance(entry.options, CountVectorsFeaturizerOptions) and entry.options.use_shared_vocab


def _to_features(rows: SparseRows, dense: Floats, sentence_dense: Floats) -> TextFeatures:
    tokens = min(len(rows.token_ids), MAX_TOKENS)
    k = min(max((len(ids) for ids in rows.token_ids[:tokens]), default=0), MAX_IDS_PER_TOKEN)
    padding = [0] * k
    ids = np.array([(row + padding)[:k] for row in rows.token_ids[:tokens]], np.int32).reshape(tokens, k)
    weights = np.array([(row + padding)[:k] for row in rows.token_weights[:tokens]], np.float32).reshape(tokens, k)
    sentence: dict[int, float] = {}
    for feature, weight in zip(rows.sentence_ids, rows.sentence_weights, strict=True):
        sentence[feature] = sentence.get(feature, 0.0) + weight
    return TextFeatures(
        ids=ids,
        weights=weights,
        sentence_ids=np.fromiter(sentence, np.int32, len(sentence)),
        sentence_weights=np.fromiter(sentence.values(), np.float32, len(sentence)),
        dense=dense,
        sentence_dense=sentence_dense,
    )
