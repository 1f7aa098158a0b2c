"""Dialogue states as padded (id, weight) rows, what TED and UnexpecTED read.

A name counts by itself and by its words: `utter_ask_city` and `utter_ask_date` share `utter` and `ask`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from turnstream.assistant.domain import ACTION_LISTEN, Domain
from turnstream.dialogue.slots import slot_feature_size
from turnstream.dialogue.state import DialogueState
from turnstream.features.arrays import Floats, Ints

WORDS = re.compile(r"[^\W_]+")


class StateEncoder:
    """Ids of everything that a state can hold. Ids run from 1 to `size`; 0 is padding."""

    def __init__(self, names: Iterable[str]) -> None:
        self._ids = {name: index for index, name in enumerate(names, start=1)}
        self._named: dict[tuple[str, str], tuple[int, ...]] = {}

    @classmethod
    def of(cls, domain: Domain, *, words: bool = True, earlier: "StateEncoder | None" = None) -> "StateEncoder":
        """The encoder of a domain. words: whether names also count by their words.

        earlier: an encoder whose ids stay, the new ones following.
        Raises dialogue.slots.SlotClassError for a custom slot type that cannot be loaded.
        """
        entities = [label for entity in domain.entities.values() for label in _labels(entity)]
        spaces: dict[str, Sequence[str]] = {
            "intent": list(domain.intents),
            "entity": entities,
            "action": domain.action_names,
            "loop": list(domain.forms),
        }
        features = [f"{space}:{name}" for space, names in spaces.items() for name in names]
        if words:
            features += [f"{space}~{word}" for space, names in spaces.items() for word in _all_words(names)]
        for slot in domain.slots.values():
            features += [f"slot:{slot.name}:{i}" for i in range(slot_feature_size(slot))]
        return cls(dict.fromkeys([*(earlier._ids if earlier else ()), *features]))

    @property
    def size(self) -> int:
        """How many features there are."""
        return len(self._ids)

    def encode(self, states: Sequence[DialogueState]) -> tuple[Ints, Floats]:
        """ids, weights: [turns, k], k at least 1. Names that the encoder does not know are left out."""
        rows = [list(self._features(state)) for state in states]
        width = max([1, *(len(row) for row in rows)])
        ids = np.zeros((len(rows), width), np.int32)
        weights = np.zeros((len(rows), width), np.float32)
        for i, row in enumerate(rows):
            if row:
                ids[i, : len(row)], weights[i, : len(row)] = zip(*row, strict=True)
        return ids, weights

    def _features(self, state: DialogueState) -> Iterator[tuple[int, float]]:
        """A user message counts in the state that follows listening, as its later states repeat it."""
        if state.previous_action in (None, ACTION_LISTEN):
            if state.intent is not None:
                yield from self._name("intent", state.intent)
            for entity in state.entities:
                yield from self._name("entity", entity)
        if state.previous_action is not None:
            yield from self._name("action", state.previous_action)
        if state.active_loop is not None:
            yield from self._name("loop", state.active_loop)
        for slot in state.slots:
            for i, value in enumerate(slot.values):
                index = self._ids.get(f"slot:{slot.name}:{i}")
                if index is not None and value:
                    yield index, float(value)

    def _name(self, space: str, name: str) -> Iterator[tuple[int, float]]:
        key = (space, name)
        if key not in self._named:
            keys = [f"{space}:{name}", *(f"{space}~{word}" for word in _words(name))]
            self._named[key] = tuple(self._ids[k] for k in keys if k in self._ids)
        return ((index, 1.0) for index in self._named[key])

    def to_json(self) -> dict[str, Any]:
        """JSON from which `from_json` makes an equal encoder."""
        return {"features": list(self._ids)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "StateEncoder":
        """Raises ValueError when the data is not what `to_json` gave."""
        features = data.get("features")
        if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
            raise ValueError("a state encoder needs the list 'features'")
        if len(set(features)) != len(features):
            raise ValueError("a state encoder's features must differ")
        return cls(features)


def _labels(entity: Any) -> list[str]:
    roles = [f"{entity.name}#{role}" for role in entity.roles]
    return [entity.name, *roles, *(f"{entity.name}.{group}" for group in entity.groups)]


def _words(name: str) -> list[str]:
    return list(dict.fromkeys(word.lower() for word in WORDS.findall(name)))


def _all_words(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for name in names for word in _words(name)))
