"""Tokens of a text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a text: characters `start` to `end` (exclusive) of the text that was tokenized.

    `pos` is the part of speech and `lemma` the base form, empty where the tokenizer tells none.
    """

    text: str
    start: int
    end: int
    pos: str = ""
    lemma: str = ""
