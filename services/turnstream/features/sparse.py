"""What the sparse featurizers share: where their ids come from, and the rows that they fill."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from turnstream.features.tokens import Token


class Source(Enum):
    """Whose text it is. Responses have words that no message has; those must not reach a classifier of messages."""

    MESSAGE = "message"
    RESPONSE = "response"


@dataclass(slots=True)
class IdCounter:
    """Hands out ids from 1 in the two vocabularies. Started at the sizes of a fitted pipeline, it appends to it."""

    tokens: int = 0
    sentences: int = 0

    def next_token(self) -> int:
        self.tokens += 1
        return self.tokens

    def next_sentence(self) -> int:
        self.sentences += 1
        return self.sentences


@dataclass(slots=True)
class SparseRows:
    """Features of one text while it is featurized: ids and weights of each token, and of the text as a whole."""

    token_ids: list[list[int]]
    token_weights: list[list[float]]
    sentence_ids: list[int] = field(default_factory=list)
    sentence_weights: list[float] = field(default_factory=list)

    @staticmethod
    def for_tokens(count: int) -> "SparseRows":
        return SparseRows([[] for _ in range(count)], [[] for _ in range(count)])


@dataclass(frozen=True, slots=True)
class TokenizedText:
    text: str
    tokens: tuple[Token, ...]


class SparseFeaturizer(Protocol):
    @property
    def name(self) -> str:
        """The alias in the config, or the component's name: what a model's `featurizers` selects by."""
        ...

    def ids(self) -> tuple[Iterable[int], Iterable[int]]:
        """Its ids of token rows, and those of the sentence row."""
        ...

    def add(self, text: str, tokens: Sequence[Token], rows: SparseRows, source: Source) -> None:
        """Append this featurizer's ids and weights to the rows."""
        ...

    def to_json(self) -> Mapping[str, Any]:
        """The fitted state; the options are stored beside it."""
        ...
