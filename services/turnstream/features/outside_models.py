"""The parts of a pipeline that need a model from outside: spaCy's, or a language model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from turnstream.assistant.components import (
    ComponentOptions,
    LanguageModelFeaturizerOptions,
    SpacyFeaturizerOptions,
    SpacyNLPOptions,
    SpacyTokenizerOptions,
    TokenizerOptions,
    WhitespaceTokenizerOptions,
    options_from_json,
    options_to_json,
)
from turnstream.features.arrays import Floats
from turnstream.features.dense import DenseFeaturizer
from turnstream.features.language_model import LanguageModelFeaturizer
from turnstream.features.spacy_components import SpacyDocuments, SpacyFeaturizer, SpacyTokenizer
from turnstream.features.tokens import Token
from turnstream.features.whitespace_tokenizer import WhitespaceTokenizer

DENSE_OPTIONS = (SpacyFeaturizerOptions, LanguageModelFeaturizerOptions)


class Tokenizer(Protocol):
    def tokenize(self, text: str) -> tuple[Token, ...]: ...

    def intent_words(self, intent: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class _Dense:
    options: ComponentOptions
    featurizer: DenseFeaturizer


class TextModels:
    """The tokenizer and the dense featurizers of a pipeline. Raises ValueError for a model that cannot be loaded."""

    def __init__(self, options: Sequence[ComponentOptions]) -> None:
        self._options = [o for o in options if isinstance(o, (TokenizerOptions, SpacyNLPOptions, *DENSE_OPTIONS))]
        spacy = next((o for o in self._options if isinstance(o, SpacyNLPOptions)), None)
        self._documents = SpacyDocuments(spacy) if spacy is not None else None
        chosen = next((o for o in self._options if isinstance(o, TokenizerOptions)), None)
        self.tokenizer = self._tokenizer(chosen) if chosen is not None else None
        self._dense = [_Dense(o, self._featurizer(o)) for o in self._options if isinstance(o, DENSE_OPTIONS)]
        self._unused: frozenset[str] = frozenset()

    @property
    def documents(self) -> SpacyDocuments:
        """Raises ValueError where the pipeline has no SpacyNLP."""
        if self._documents is None:
            raise ValueError("SpacyNLP is missing")
        return self._documents

    @property
    def width(self) -> int:
        """Of the dense features of a token, and of a text."""
        return sum(entry.featurizer.width for entry in self._dense)

    @property
    def has_featurizers(self) -> bool:
        return bool(self._dense)

    def columns(self, names: Sequence[str]) -> list[int]:
        """Where the vectors of the featurizers of these names (or aliases) stand in the dense features."""
        columns: list[int] = []
        start = 0
        for entry in self._dense:
            end = start + entry.featurizer.width
            columns += range(start, end) if entry.featurizer.name in names else ()
            start = end
        return columns

    def vectors(self, text: str, tokens: Sequence[Token]) -> tuple[Floats, Floats]:
        """[tokens, width] and [width]; zeros in place of what is not selected."""
        pairs = [self._vectors_of(entry, text, tokens) for entry in self._dense]
        if not pairs:
            return np.zeros((len(tokens), 0), np.float32), np.zeros(0, np.float32)
        return np.concatenate([rows for rows, _ in pairs], 1), np.concatenate([row for _, row in pairs])

    def _vectors_of(self, entry: _Dense, text: str, tokens: Sequence[Token]) -> tuple[Floats, Floats]:
        width = entry.featurizer.width
        if entry.featurizer.name in self._unused or not text:
            return np.zeros((len(tokens), width), np.float32), np.zeros(width, np.float32)
        return entry.featurizer.vectors(text, tokens)

    def selected(self, names: Sequence[str]) -> "TextModels":
        """The same, with the vectors of the featurizers of these names (or aliases) alone."""
        kept = TextModels.__new__(TextModels)
        kept.__dict__.update(self.__dict__)
        kept._unused = frozenset(entry.featurizer.name for entry in self._dense) - set(names)
        return kept

    def to_json(self) -> list[dict[str, Any]]:
        return [options_to_json(options) for options in self._options]

    @staticmethod
    def from_json(data: Sequence[Mapping[str, Any]]) -> "TextModels":
        """Raises ValueError where the data are none of `to_json`, or a model cannot be loaded."""
        return TextModels([options_from_json(entry) for entry in data])

    def _tokenizer(self, options: TokenizerOptions) -> Tokenizer:
        match options:
            case WhitespaceTokenizerOptions():
                return WhitespaceTokenizer(options)
            case SpacyTokenizerOptions():
                return SpacyTokenizer(options, self.documents)
            case _:
                raise ValueError(f"no tokenizer: {options.component_name}")

    def _featurizer(self, options: ComponentOptions) -> DenseFeaturizer:
        if isinstance(options, LanguageModelFeaturizerOptions):
            return LanguageModelFeaturizer(options)
        assert isinstance(options, SpacyFeaturizerOptions)
        return SpacyFeaturizer(options, self.documents)
