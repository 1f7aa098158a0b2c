"""Dialogue states as padded (id, weight) rows, what TED and UnexpecTED read.

A name counts by itself and by its words: `utter_ask_city` and `utter_ask_date` share `utter` and `ask`.
What a user said in words of their own is no row: see `features.story_texts`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from turnstream.assistant.domain import ACTION_LISTEN, Domain
from turnstream.dialogue.slots import slot_feature_size
from turnstream.dialogue.state import DialogueState
from turnstream.features.arrays import Floats, Ints
from turnstream.features.store import Attribute, FeatureStore

WORDS = re.compile(r"[^\W_]+")
KEPT_NAMES = 16_384
"""Names are those of a domain, but a client may send others, without bound."""
_SPACES = {
    Attribute.INTENT: "intent",
    Attribute.ENTITY: "entity",
    Attribute.ACTION_NAME: "action",
    Attribute.LOOP: "loop",
}


def follows_message(state: DialogueState) -> bool:
    """Whether the assistant has done nothing since the user spoke; later states repeat the message."""
    return state.previous_action in (None, ACTION_LISTEN) and state.previous_action_text is None


class StateEncoder:
    """Ids of everything that a state can hold. Ids run from 1 to `size`; 0 is padding.

    action_texts: what the assistant says end to end; these have the ids that follow `size`.
    """

    def __init__(self, names: Iterable[str], action_texts: Iterable[str] = ()) -> None:
        self._ids = {name: index for index, name in enumerate(names, start=1)}
        self._action_texts = {text: index for index, text in enumerate(action_texts, start=len(self._ids) + 1)}
        self.store = FeatureStore({kind: partial(self._ids_of, space) for kind, space in _SPACES.items()}, KEPT_NAMES)

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

    def with_action_texts(self, texts: Iterable[str]) -> "StateEncoder":
        """The encoder of a model that has a vector for each of these texts."""
        return StateEncoder(self._ids, texts)

    @property
    def size(self) -> int:
        """How many features there are, without the texts."""
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
        if follows_message(state):
            if state.intent is not None:
                yield from self._name(Attribute.INTENT, state.intent)
            for entity in state.entities:
                yield from self._name(Attribute.ENTITY, entity)
        if state.previous_action is not None:
            yield from self._name(Attribute.ACTION_NAME, state.previous_action)
        elif state.previous_action_text in self._action_texts:
            yield self._action_texts[state.previous_action_text], 1.0
        if state.active_loop is not None:
            yield from self._name(Attribute.LOOP, state.active_loop)
        for slot in state.slots:
            for i, value in enumerate(slot.values):
                index = self._ids.get(f"slot:{slot.name}:{i}")
                if index is not None and value:
                    yield index, float(value)

    def _name(self, kind: Attribute, name: str) -> Iterator[tuple[int, float]]:
        return ((index, 1.0) for index in self.store.features(kind, name))

    def _ids_of(self, space: str, name: str) -> tuple[int, ...]:
        keys = [f"{space}:{name}", *(f"{space}~{word}" for word in _words(name))]
        return tuple(self._ids[key] for key in keys if key in self._ids)

    def to_json(self) -> dict[str, Any]:
        """JSON from which `from_json` makes an equal encoder."""
        texts = {"action_texts": list(self._action_texts)} if self._action_texts else {}
        return {"features": list(self._ids), **texts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "StateEncoder":
        """Raises ValueError when the data is not what `to_json` gave."""
        features = data.get("features")
        if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
            raise ValueError("a state encoder needs the list 'features'")
        if len(set(features)) != len(features):
            raise ValueError("a state encoder's features must differ")
        return cls(features, data.get("action_texts", ()))


def _labels(entity: Any) -> list[str]:
    roles = [f"{entity.name}#{role}" for role in entity.roles]
    return [entity.name, *roles, *(f"{entity.name}.{group}" for group in entity.groups)]


def _words(name: str) -> list[str]:
    return list(dict.fromkeys(word.lower() for word in WORDS.findall(name)))


def _all_words(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for name in names for word in _words(name)))
