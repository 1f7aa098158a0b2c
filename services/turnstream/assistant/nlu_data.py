"""NLU training data as plain typed values.

Format: https://rasa.com/docs/rasa/training-data-format#nlu-training-data.
"""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from turnstream.assistant.location import NOWHERE, Location


@dataclass(frozen=True, slots=True)
class EntityAnnotation:
    """A marked span of an example: characters `start` to `end` (exclusive) of the text without its markup."""

    start: int
    end: int
    entity: str
    value: str
    role: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A training message. `intent` is the name as written, `faq/ask_name` for a retrieval intent."""

    text: str
    intent: str | None = None
    entities: tuple[EntityAnnotation, ...] = ()
    metadata: Mapping[str, Any] | None = None
    location: Location = NOWHERE

    @property
    def base_intent(self) -> str | None:
        """The intent that a classifier learns: `faq` for `faq/ask_name`."""
        return self.intent.split("/", 1)[0] if self.intent else self.intent

    @property
    def is_retrieval(self) -> bool:
        return bool(self.intent) and "/" in (self.intent or "")


@dataclass(frozen=True, slots=True)
class RegexPattern:
    name: str
    pattern: str
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class LookupTable:
    name: str
    elements: tuple[str, ...]
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class NluData:
    """`synonyms` maps the spelling as written to the value that it stands for."""

    examples: tuple[Example, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    regexes: tuple[RegexPattern, ...] = ()
    lookups: tuple[LookupTable, ...] = ()

    @property
    def distinct(self) -> "NluData":
        """Without the examples that only repeat an earlier one: same text, intent, entities and metadata.

        Rasa trains and tests on these.
        """
        first: dict[Hashable, Example] = {}
        for example in self.examples:
            first.setdefault(_content(example), example)
        return replace(self, examples=tuple(first.values()))


def _content(example: Example) -> Hashable:
    metadata = json.dumps(example.metadata, sort_keys=True, default=str)
    return example.text, example.intent, example.entities, metadata
