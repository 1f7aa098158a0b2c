"""A message on its way through the components of NLU."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from turnstream.dialogue.events import ExtractedEntity, IntentScore
from turnstream.features.arrays import TextFeatures
from turnstream.features.tokens import Token


@dataclass(frozen=True, slots=True, eq=False)
class Understanding:
    """`intent` is None until a classifier spoke; `ranking` is empty where none gave one."""

    text: str
    tokens: tuple[Token, ...]
    features: TextFeatures
    intent: IntentScore | None = None
    ranking: tuple[IntentScore, ...] = ()
    entities: tuple[ExtractedEntity, ...] = ()

    def with_entities(self, found: Sequence[ExtractedEntity]) -> "Understanding":
        return replace(self, entities=(*self.entities, *found))
