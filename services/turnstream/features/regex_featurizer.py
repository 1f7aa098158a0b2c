"""Features that say which regular expressions and lookup tables match.

Behaviour: https://rasa.com/docs/rasa/components#regexfeaturizer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from turnstream.assistant.components import RegexFeaturizerOptions
from turnstream.assistant.nlu_data import NluData
from turnstream.assistant.problems import Problems
from turnstream.features.patterns import Pattern, PatternMatcher, read_patterns
from turnstream.features.sparse import IdCounter, Source, SparseRows
from turnstream.features.tokens import Token

Key = tuple[str, bool, int]
"""(name, whether it is a lookup table, how many of the same name stand before it)."""


class RegexFeaturizer:
    """One id for each pattern: in the row of each token that a match touches, and in the sentence row.

    `ids`: for each pattern its ids in token rows and in sentence rows.
    """

    def __init__(
        self,
        options: RegexFeaturizerOptions,
        patterns: Sequence[Pattern],
        ids: Sequence[tuple[int, int]],
    ) -> None:
        self._options = options
        self._patterns = tuple(patterns)
        self._ids = tuple((token, sentence) for token, sentence in ids)
        self._matcher = PatternMatcher(patterns, case_sensitive=options.case_sensitive)

    @staticmethod
    def fit(
        options: RegexFeaturizerOptions,
        nlu: NluData,
        counter: IdCounter,
        problems: Problems,
        earlier: "RegexFeaturizer | None" = None,
    ) -> "RegexFeaturizer":
        """Invalid regular expressions become errors in `problems`.

        A pattern that `earlier` knows by its name keeps its ids, also when it is written otherwise now; the ids of
        those that are gone stay unused.
        """
        patterns = read_patterns(
            nlu,
            problems,
            use_regexes=options.use_regexes,
            use_lookup_tables=options.use_lookup_tables,
            use_word_boundaries=options.use_word_boundaries,
        )
        known = earlier._ids_by_name() if earlier else {}
        ids = [
            known[key] if key in known else (counter.next_token(), counter.next_sentence()) for key in _keys(patterns)
        ]
        return RegexFeaturizer(options, patterns, ids)

    def _ids_by_name(self) -> dict[Key, tuple[int, int]]:
        return dict(zip(_keys(self._patterns), self._ids, strict=True))

    @property
    def name(self) -> str:
        return self._options.alias or self._options.component_name

    def ids(self) -> tuple[Iterable[int], Iterable[int]]:
        return [token for token, _ in self._ids], [sentence for _, sentence in self._ids]

    def add(self, text: str, tokens: Sequence[Token], rows: SparseRows, source: Source) -> None:
        touched = self._touched(text, tokens)
        for pattern, place in sorted(touched):
            rows.token_ids[place].append(self._ids[pattern][0])
            rows.token_weights[place].append(1.0)
        for pattern in sorted({pattern for pattern, _ in touched}):
            rows.sentence_ids.append(self._ids[pattern][1])
            rows.sentence_weights.append(1.0)

    def names_of(self, text: str, tokens: Sequence[Token]) -> list[list[str]]:
        """For each token the names of the patterns that match there."""
        names: list[list[str]] = [[] for _ in tokens]
        for pattern, place in sorted(self._touched(text, tokens)):
            names[place].append(self._patterns[pattern].name)
        return names

    def _touched(self, text: str, tokens: Sequence[Token]) -> set[tuple[int, int]]:
        """(index of a pattern, index of a token that a match of it touches)."""
        touched: set[tuple[int, int]] = set()
        starts, ends = [token.start for token in tokens], [token.end for token in tokens]
        for pattern, start, end in self._matcher.spans(text):
            touched.update((pattern, i) for i in range(bisect_right(ends, start), bisect_left(starts, end)))
        return touched

    def to_json(self) -> Mapping[str, Any]:
        return {
            "ids": [list(pair) for pair in self._ids],
            "patterns": [pattern.to_json() for pattern in self._patterns],
        }

    @staticmethod
    def from_json(options: RegexFeaturizerOptions, data: Mapping[str, Any]) -> "RegexFeaturizer":
        patterns = [Pattern.from_json(pattern) for pattern in data["patterns"]]
        return RegexFeaturizer(options, patterns, data["ids"])


def _keys(patterns: Sequence[Pattern]) -> list[Key]:
    """Names repeat: the n-th pattern of a name and kind is the n-th one of the earlier data too."""
    kinds = [(pattern.name, pattern.expression is None) for pattern in patterns]
    return [(*kind, kinds[:place].count(kind)) for place, kind in enumerate(kinds)]
