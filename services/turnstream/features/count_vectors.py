"""Counts of words, or of n-grams of words or characters.

Behaviour: https://rasa.com/docs/rasa/components#countvectorsfeaturizer; vocabulary limits as in scikit-learn's
CountVectorizer. Messages and responses have vocabularies of their own unless `use_shared_vocab`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.components import CountVectorsFeaturizerOptions
from turnstream.features.grams import GramAnalyzer
from turnstream.features.sparse import IdCounter, Source, SparseRows, TokenizedText
from turnstream.features.tokens import Token

_NUMBER = re.compile(r"\b[0-9]+\b")
_CACHED_WORDS = 8192

Row = tuple[tuple[int, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Ids of n-grams in token rows and in the sentence row; `terms` are those of both."""

    tokens: dict[str, int] = field(default_factory=dict)
    sentences: dict[str, int] = field(default_factory=dict)

    @property
    def terms(self) -> set[str]:
        return self.tokens.keys() | self.sentences.keys()

    def to_json(self) -> list[list[Any]]:
        terms = dict.fromkeys([*self.sentences, *self.tokens])
        return [[term, self.tokens.get(term, 0), self.sentences.get(term, 0)] for term in terms]

    @staticmethod
    def from_json(rows: Iterable[Sequence[Any]]) -> "Vocabulary":
        rows = list(rows)
        return Vocabulary({r[0]: r[1] for r in rows if r[1]}, {r[0]: r[2] for r in rows if r[2]})


class CountVectorsFeaturizer:
    def __init__(self, options: CountVectorsFeaturizerOptions, messages: Vocabulary, responses: Vocabulary) -> None:
        self._options = options
        self._analyzer = GramAnalyzer(options)
        self._vocabularies = {Source.MESSAGE: messages, Source.RESPONSE: responses}
        self._earlier = dict(self._vocabularies)
        """What stays in the vocabularies when they are fitted."""
        self._rows: dict[Source, dict[str, tuple[Row, Row]]] = {source: {} for source in Source}
        self._oov_token, self._oov_words = _oov(options)
        self._known: dict[Source, set[str]] = {}
        self._remember_terms()

    @staticmethod
    def fit(
        options: CountVectorsFeaturizerOptions,
        messages: Sequence[TokenizedText],
        counter: IdCounter,
        earlier: "CountVectorsFeaturizer | None" = None,
    ) -> "CountVectorsFeaturizer":
        """Learn the vocabulary of messages; that of responses is empty until `fit_responses`.

        What `earlier` knows is kept with its ids, whether or not the messages have it.
        """
        known = [earlier._vocabularies[source] for source in Source] if earlier else [Vocabulary(), Vocabulary()]
        featurizer = CountVectorsFeaturizer(options, *known)
        featurizer._learn(Source.MESSAGE, messages, counter)
        return featurizer

    def fit_responses(
        self, responses: Sequence[TokenizedText], messages: Sequence[TokenizedText], counter: IdCounter
    ) -> None:
        """Learn the vocabulary of responses; a term that messages have too keeps its id.

        With `use_shared_vocab`, both learn from both.
        """
        vocabulary, earlier = self._vocabularies[Source.MESSAGE], self._vocabularies[Source.RESPONSE]
        self._vocabularies[Source.RESPONSE] = Vocabulary(
            {**vocabulary.tokens, **earlier.tokens}, {**vocabulary.sentences, **earlier.sentences}
        )
        texts = [*messages, *responses] if self._options.use_shared_vocab else responses
        kept = self._learn(Source.RESPONSE, texts, counter)
        if self._options.use_shared_vocab:
            self._vocabularies[Source.MESSAGE] = kept
            self._remember_terms()

    @property
    def name(self) -> str:
        return self._options.alias or self._options.component_name

    def ids(self) -> tuple[Iterable[int], Iterable[int]]:
        vocabularies = self._vocabularies.values()
        tokens = (found for vocabulary in vocabularies for found in vocabulary.tokens.values())
        return tokens, (found for vocabulary in vocabularies for found in vocabulary.sentences.values())

    def add(self, text: str, tokens: Sequence[Token], rows: SparseRows, source: Source) -> None:
        for place, token in enumerate(tokens):
            (ids, weights), (sentence_ids, sentence_weights) = self._word_rows(self._word(token), source)
            rows.token_ids[place].extend(ids)
            rows.token_weights[place].extend(weights)
            if self._analyzer.is_sum_of_tokens:
                rows.sentence_ids.extend(sentence_ids)
                rows.sentence_weights.extend(sentence_weights)
        if not self._analyzer.is_sum_of_tokens:
            joined = " ".join(self._prepared(self._word(token), source) for token in tokens)
            ids, weights = _row(self._analyzer.grams(joined), self._vocabularies[source].sentences)
            rows.sentence_ids.extend(ids)
            rows.sentence_weights.extend(weights)

    def to_json(self) -> Mapping[str, Any]:
        return {source.value: vocabulary.to_json() for source, vocabulary in self._vocabularies.items()}

    @staticmethod
    def from_json(options: CountVectorsFeaturizerOptions, data: Mapping[str, Any]) -> "CountVectorsFeaturizer":
        messages, responses = (Vocabulary.from_json(data[source.value]) for source in Source)
        return CountVectorsFeaturizer(options, messages, responses)

    def _remember_terms(self) -> None:
        """The known words, which only the OOV token asks for."""
        if self._oov_token:
            self._known = {source: vocabulary.terms for source, vocabulary in self._vocabularies.items()}

    def _word_rows(self, word: str, source: Source) -> tuple[Row, Row]:
        cache = self._rows[source]
        found = cache.get(word)
        if found is None:
            if len(cache) >= _CACHED_WORDS:
                cache.clear()
            grams = self._analyzer.grams(self._prepared(word, source))
            vocabulary = self._vocabularies[source]
            found = cache[word] = (_row(grams, vocabulary.tokens), _row(grams, vocabulary.sentences))
        return found

    def _word(self, token: Token) -> str:
        return (self._options.use_lemma and token.lemma) or token.text

    def _prepared(self, word: str, source: Source, *, fitting: bool = False) -> str:
        word = _NUMBER.sub("__NUMBER__", word)
        if self._options.lowercase:
            word = word.lower()
        if self._oov_token:
            if fitting:
                return self._oov_token if word in self._oov_words else word
            if self._oov_token in self._known[source] and word not in self._known[source]:
                return self._oov_token
        return word

    def _learn(self, source: Source, texts: Iterable[TokenizedText], counter: IdCounter) -> Vocabulary:
        documents = [[self._prepared(self._word(t), source, fitting=True) for t in text.tokens] for text in texts]
        joined = [self._analyzer.grams(" ".join(words)) for words in documents if any(words)]
        kept = _within_limits(joined, self._options)
        in_tokens = {gram for word in {w for words in documents for w in words} for gram in self._analyzer.grams(word)}
        before = self._vocabularies[source]
        # A list in order, so that the same data give the same ids.
        terms = sorted(kept)
        tokens = {t: before.tokens.get(t) or counter.next_token() for t in terms if t in in_tokens}
        sentences = {t: before.sentences.get(t) or counter.next_sentence() for t in terms}
        earlier = self._earlier[source]
        learned = self._vocabularies[source] = Vocabulary(earlier.tokens | tokens, earlier.sentences | sentences)
        self._remember_terms()
        for cache in self._rows.values():
            cache.clear()
        return learned


def _row(grams: Iterable[str], ids: Mapping[str, int]) -> Row:
    counts = Counter(gram for gram in grams if gram in ids)
    return tuple(ids[gram] for gram in counts), tuple(float(count) for count in counts.values())


def _oov(options: CountVectorsFeaturizerOptions) -> tuple[str, frozenset[str]]:
    if not options.OOV_token or options.analyzer != "word":
        return "", frozenset()
    if options.lowercase:
        return options.OOV_token.lower(), frozenset(word.lower() for word in options.OOV_words)
    return options.OOV_token, frozenset(options.OOV_words)


def _within_limits(documents: Sequence[Sequence[str]], options: CountVectorsFeaturizerOptions) -> set[str]:
    """The terms whose document frequency is within `min_df` and `max_df`, the `max_features` most frequent of them."""
    frequencies = Counter(term for document in documents for term in set(document))
    at_least = options.min_df if isinstance(options.min_df, int) else options.min_df * len(documents)
    at_most = options.max_df if isinstance(options.max_df, int) else options.max_df * len(documents)
    kept = {term for term, count in frequencies.items() if at_least <= count <= at_most}
    if options.max_features is None or len(kept) <= options.max_features:
        return kept
    totals = Counter(term for document in documents for term in document)
    return set(sorted(kept, key=lambda term: (-totals[term], term))[: options.max_features])
