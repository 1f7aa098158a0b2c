"""spaCy's tokens, vectors and entities, behind the extra `spacy`.

Behaviour: https://rasa.com/docs/rasa/components#spacynlp, #spacytokenizer, #spacyfeaturizer, #spacyentityextractor.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from turnstream.assistant.components import SpacyFeaturizerOptions, SpacyNLPOptions, SpacyTokenizerOptions
from turnstream.features.arrays import Floats
from turnstream.features.dense import pooled
from turnstream.features.tokens import Token


class SpacyModelError(ValueError):
    """A spaCy model cannot be loaded; the text says why."""


@cache
def spacy_model(name: str) -> Any:
    """The model of a folder or an installed package. Raises SpacyModelError."""
    try:
        import spacy
    except ModuleNotFoundError as error:
        raise SpacyModelError("spaCy is not installed: pip install 'turnstream[spacy]'") from error
    try:
        return spacy.load(name)
    except (OSError, ValueError) as error:
        raise SpacyModelError(f"the spaCy model '{name}' cannot be loaded: {str(error).splitlines()[0]}") from error


class SpacyDocuments:
    """Texts as spaCy reads them; in lower case unless `case_sensitive`."""

    def __init__(self, options: SpacyNLPOptions) -> None:
        if not options.model:
            raise SpacyModelError("'model' must name a folder or an installed package: no model is downloaded")
        self._model = spacy_model(options.model)
        self._case_sensitive = options.case_sensitive
        self._read = lru_cache(maxsize=256)(self._parsed)

    def read(self, text: str) -> Any:
        """The spaCy document."""
        return self._read(text)

    def _parsed(self, text: str) -> Any:
        lower = text.lower()
        # A few letters have more characters in lower case: then offsets would be those of another text.
        return self._model(lower if not self._case_sensitive and len(lower) == len(text) else text)

    def as_written(self, text: str) -> Any:
        """The document of the text in its own case, which names are found by."""
        return self._model(text)

    @property
    def width(self) -> int:
        return int(self._model.vocab.vectors_length) or int(self._model("a").vector.shape[0])


class SpacyTokenizer:
    def __init__(self, options: SpacyTokenizerOptions, documents: SpacyDocuments) -> None:
        self._options = options
        self._documents = documents

    def tokenize(self, text: str) -> tuple[Token, ...]:
        """At least one token: a text without any word, an empty one too, is a token as a whole."""
        found = tuple(
            Token(each.text, each.idx, each.idx + len(each.text), each.tag_, each.lemma_)
            for each in self._documents.read(text)
            if each.text.strip()
        )
        return found or (Token(text, 0, len(text)),)

    def intent_words(self, intent: str) -> tuple[str, ...]:
        return self._options.words_of_intent(intent)


class SpacyFeaturizer:
    """Vectors of spaCy's tokens; the text's is their mean or maximum (`pooling`)."""

    def __init__(self, options: SpacyFeaturizerOptions, documents: SpacyDocuments) -> None:
        self._options = options
        self._documents = documents
        self.width = documents.width

    @property
    def name(self) -> str:
        return self._options.alias or self._options.component_name

    def vectors(self, text: str, tokens: Sequence[Token]) -> tuple[Floats, Floats]:
        by_place = {each.idx: each.vector for each in self._documents.read(text)}
        missing = np.zeros(self.width, np.float32)
        rows = [np.asarray(by_place.get(token.start, missing), np.float32) for token in tokens]
        found = np.stack(rows) if rows else np.zeros((0, self.width), np.float32)
        return found, pooled(found, self._options.pooling, self.width)
