"""Features of a token's form and of its neighbours'.

Behaviour: https://rasa.com/docs/rasa/components#lexicalsyntacticfeaturizer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from turnstream.assistant.components import LexicalSyntacticFeaturizerOptions
from turnstream.features.sparse import IdCounter, Source, SparseRows, TokenizedText
from turnstream.features.tokens import Token

_FORMS: Mapping[str, Callable[[str], str]] = {
    "low": lambda text: str(text.islower()),
    "title": lambda text: str(text.istitle()),
    "upper": lambda text: str(text.isupper()),
    "digit": lambda text: str(text.isdigit()),
    "prefix2": lambda text: text[:2],
    "prefix5": lambda text: text[:5],
    "suffix1": lambda text: text[-1:],
    "suffix2": lambda text: text[-2:],
    "suffix3": lambda text: text[-3:],
    "suffix5": lambda text: text[-5:],
}
_TAGS: Mapping[str, Callable[[Token], str]] = {"pos": lambda token: token.pos, "pos2": lambda token: token.pos[:2]}
"""Of tokenizers that tag parts of speech."""
_POSITIONS = ("BOS", "EOS")
_CACHED_WORDS = 8192

Key = tuple[int, str, str]
"""(place in the window, feature, its value)."""


class LexicalSyntacticFeaturizer:
    """One id for each value of each feature at each place of a window around the token; no sentence features."""

    def __init__(self, options: LexicalSyntacticFeaturizerOptions, ids: Mapping[Key, int]) -> None:
        self._options = options
        self._ids = dict(ids)
        self._before = len(options.features) // 2
        self._by_word: dict[tuple[int, str], tuple[int, ...]] = {}
        self._positional = tuple(tuple(f for f in window if f in _POSITIONS) for window in options.features)
        self._tagged = tuple(tuple(f for f in window if f in _TAGS) for window in options.features)

    @staticmethod
    def fit(
        options: LexicalSyntacticFeaturizerOptions,
        texts: Iterable[TokenizedText],
        counter: IdCounter,
        earlier: "LexicalSyntacticFeaturizer | None" = None,
    ) -> "LexicalSyntacticFeaturizer":
        """What `earlier` knows is kept with its ids."""
        featurizer = LexicalSyntacticFeaturizer(options, earlier._ids if earlier else {})
        kept = list(texts)
        distinct = {tuple(token.text for token in text.tokens) for text in kept}
        keys = featurizer._keys(distinct) | featurizer._tag_keys(kept)
        found = sorted(keys - featurizer._ids.keys())
        featurizer._ids |= {key: counter.next_token() for key in found}
        return featurizer

    @property
    def name(self) -> str:
        return self._options.alias or self._options.component_name

    def ids(self) -> tuple[Iterable[int], Iterable[int]]:
        return self._ids.values(), ()

    def add(self, text: str, tokens: Sequence[Token], rows: SparseRows, source: Source) -> None:
        if source is not Source.MESSAGE:
            return
        last = len(tokens) - 1
        for place in range(len(tokens)):
            ids = rows.token_ids[place]
            before = len(ids)
            for window in range(len(self._options.features)):
                neighbour = place + window - self._before
                if 0 <= neighbour <= last:
                    ids.extend(self._form_ids(window, tokens[neighbour].text))
                    for feature in self._tagged[window]:
                        if found := self._ids.get((window, feature, _TAGS[feature](tokens[neighbour]))):
                            ids.append(found)
                    for feature in self._positional[window]:
                        value = str(neighbour == (0 if feature == "BOS" else last))
                        if found := self._ids.get((window, feature, value)):
                            ids.append(found)
            rows.token_weights[place].extend([1.0] * (len(ids) - before))

    def to_json(self) -> Mapping[str, Any]:
        return {"ids": [[*key, found] for key, found in self._ids.items()]}

    @staticmethod
    def from_json(options: LexicalSyntacticFeaturizerOptions, data: Mapping[str, Any]) -> "LexicalSyntacticFeaturizer":
        ids = {(window, feature, value): found for window, feature, value, found in data["ids"]}
        return LexicalSyntacticFeaturizer(options, ids)

    def _form_ids(self, window: int, word: str) -> tuple[int, ...]:
        cached = self._by_word.get((window, word))
        if cached is None:
            if len(self._by_word) >= _CACHED_WORDS:
                self._by_word.clear()
            forms = [f for f in self._options.features[window] if f in _FORMS]
            found = (self._ids.get((window, form, _FORMS[form](word))) for form in forms)
            cached = self._by_word[(window, word)] = tuple(i for i in found if i)
        return cached

    def _keys(self, texts: Iterable[Sequence[str]]) -> set[Key]:
        """Every value of every feature that the texts have at each place of the window."""
        seen: set[tuple[int, str]] = set()
        keys: set[Key] = set()
        for words in texts:
            for window in range(len(self._options.features)):
                shift = window - self._before
                first, end = max(0, shift), min(len(words), len(words) + shift)
                seen.update((window, word) for word in words[first:end])
                neighbours = range(first, end)
                for feature in self._positional[window]:
                    edge = 0 if feature == "BOS" else len(words) - 1
                    keys.update((window, feature, str(n == edge)) for n in (*neighbours[:2], *neighbours[-2:]))
        for window, word in seen:
            keys.update((window, f, _FORMS[f](word)) for f in self._options.features[window] if f in _FORMS)
        return keys

    def _tag_keys(self, texts: Iterable[TokenizedText]) -> set[Key]:
        keys: set[Key] = set()
        for text in texts:
            for window, features in enumerate(self._tagged):
                shift = window - self._before
                seen = text.tokens[max(0, shift) : max(0, len(text.tokens) + shift)] if features else ()
                keys.update((window, f, tag) for token in seen for f in features if (tag := _TAGS[f](token)))
        return keys
