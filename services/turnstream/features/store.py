"""Features by what they are of, an attribute and its value, each computed once.

Training computes features for whole data sets, in which most texts and names repeat; a live conversation shows the same
messages, intents and actions to its models at every turn.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

import numpy as np

FeaturesT = TypeVar("FeaturesT")


class Attribute(Enum):
    TEXT = "text"
    INTENT = "intent"
    ENTITY = "entity"
    ACTION_NAME = "action_name"
    ACTION_TEXT = "action_text"
    LOOP = "active_loop"


class NotStored(LookupError):
    """Features were asked for that nobody has added."""


Key = tuple[Attribute, str]


class FeatureStore(Generic[FeaturesT]):
    """Computes features when they are first asked for, or takes those that were computed elsewhere.

    compute: how to, by attribute; others are refused. limit: how many are kept, the latest used ones; None: all, as
    training needs. Raises ValueError for a limit below 1.
    """

    def __init__(self, compute: Mapping[Attribute, Callable[[str], FeaturesT]], limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"a store of features must keep at least one, not {limit}")
        self._compute = dict(compute)
        self._limit = limit
        self._features: OrderedDict[Key, FeaturesT] = OrderedDict()
        self.collisions = 0
        """How often something was added that was there already."""
        self.computed = 0
        """How often features were computed."""

    def __len__(self) -> int:
        return len(self._features)

    def __contains__(self, key: Key) -> bool:
        return key in self._features

    def features(self, attribute: Attribute, value: str) -> FeaturesT:
        """Computed where they are not kept. Raises ValueError for an attribute that the store has no way to compute."""
        key = (attribute, value)
        found = self._features.get(key)
        if found is not None:
            self._features.move_to_end(key)
            return found
        return self._keep(key, self._computed(attribute, value))

    def add(self, attribute: Attribute, values: Iterable[str]) -> None:
        """Compute what is new. Raises ValueError for an unknown attribute."""
        for value in values:
            if (attribute, value) in self._features:
                self.collisions += 1
            else:
                self._keep((attribute, value), self._computed(attribute, value))

    def put(self, attribute: Attribute, value: str, features: FeaturesT) -> None:
        """Take features that were computed elsewhere. Raises ValueError for an unknown attribute, and where the store
        has other features for the same value: one of them is wrong.
        """
        self._check(attribute)
        key = (attribute, value)
        if key not in self._features:
            self._keep(key, features)
            return
        self.collisions += 1
        if _digest(self._features[key]) != _digest(features):
            raise ValueError(f"{attribute.value} {value!r} has other features already")

    def stored(self, attribute: Attribute, value: str) -> FeaturesT:
        """Without computing any. Raises NotStored, ValueError for an unknown attribute."""
        self._check(attribute)
        found = self._features.get((attribute, value))
        if found is None:
            raise NotStored(f"there are no features of {attribute.value} {value!r}")
        return found

    def values(self, attribute: Attribute) -> tuple[str, ...]:
        """What the store has features of. Raises ValueError for an unknown attribute."""
        self._check(attribute)
        return tuple(value for kind, value in self._features if kind is attribute)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all values with their features, whatever the order in which they came."""
        ordered = sorted(self._features.items(), key=lambda item: (item[0][0].value, item[0][1]))
        return _digest([(attribute.value, value, features) for (attribute, value), features in ordered])

    def _computed(self, attribute: Attribute, value: str) -> FeaturesT:
        self._check(attribute)
        self.computed += 1
        return self._compute[attribute](value)

    def _keep(self, key: Key, features: FeaturesT) -> FeaturesT:
        self._features[key] = features
        if self._limit is not None and len(self._features) > self._limit:
            self._features.popitem(last=False)
        return features

    def _check(self, attribute: Attribute) -> None:
        if attribute not in self._compute:
            known = ", ".join(sorted(kind.value for kind in self._compute))
            raise ValueError(f"this store has no features of {attribute.value}, only of {known or 'nothing'}")


def _digest(features: Any) -> str:
    digest = hashlib.sha256()
    for part in _parts(features):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _parts(features: Any) -> Iterator[bytes]:
    if isinstance(features, np.ndarray):
        yield f"{features.dtype} {features.shape}".encode()
        yield features.tobytes()
    elif is_dataclass(features):
        for field in fields(features):
            yield from _parts(getattr(features, field.name))
    elif isinstance(features, tuple | list):
        yield str(len(features)).encode()
        for item in features:
            yield from _parts(item)
    else:
        yield repr(features).encode()
