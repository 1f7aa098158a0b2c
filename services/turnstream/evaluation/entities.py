"""Entities compared token by token: what each token is, and what each extractor took it for."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from turnstream.dialogue.events import ExtractedEntity

NO_ENTITY = "no_entity"
Span = tuple[int, int]
"""First character, and the one after the last."""


class Marked(Protocol):
    """An entity with its place in the text, as annotated or as extracted."""

    @property
    def entity(self) -> str: ...
    @property
    def role(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...
    @property
    def start(self) -> int | None: ...
    @property
    def end(self) -> int | None: ...


M = TypeVar("M", bound=Marked)


def token_entities(tokens: Sequence[Span], entities: Iterable[M]) -> list[M | None]:
    """For each token the entity that it lies in, the longest where there are several.

    A token that an entity covers in part belongs to it.
    """
    placed = [e for e in entities if e.start is not None and e.end is not None]
    placed.sort(key=lambda e: (e.start or 0) - (e.end or 0))
    return [next((e for e in placed if _touch(token, e)), None) for token in tokens]


def token_labels(tokens: Sequence[Span], entities: Iterable[Marked]) -> list[str]:
    """For each token the label of its entity, or `no_entity`."""
    return [label_of(entity) if entity else NO_ENTITY for entity in token_entities(tokens, entities)]


def label_of(entity: Marked) -> str:
    """`city`, `city.to` with a role, `city.to.1` with a group as well."""
    return ".".join(part for part in (entity.entity, entity.role, entity.group) if part)


def _touch(token: Span, entity: Marked) -> bool:
    assert entity.start is not None
    assert entity.end is not None
    return entity.start < token[1] and token[0] < entity.end


def by_extractor(entities: Iterable[ExtractedEntity]) -> dict[str, list[ExtractedEntity]]:
    found: dict[str, list[ExtractedEntity]] = {}
    for entity in entities:
        found.setdefault(entity.extractor or "unknown", []).append(entity)
    return found
