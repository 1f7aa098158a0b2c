"""What an author's slot class finds in `rasa.shared.core.slots` where Rasa is not installed.

A class derives from one of these and overrides `_feature_dimensionality` and `_as_feature`, which are asked only where
the slot influences the conversation, or the public methods without the underscore.
"""

from typing import Any

from turnstream.dialogue import slot_features


class InvalidSlotTypeException(Exception):
    """A slot is of a type that there is not; by Rasa's name, so that a class may raise it."""


class InvalidSlotConfigError(Exception):
    """A slot cannot be as it was written in the domain."""


class Slot:
    """Base of custom slot classes; its features are those that the class says."""

    type_name: str | None = None

    def __init__(
        self,
        name: str,
        mappings: list[dict[str, Any]],
        initial_value: Any = None,
        value_reset_delay: int | None = None,
        influence_conversation: bool = True,
    ) -> None:
        self.name = name
        self.mappings = mappings
        self.initial_value = initial_value
        self._value = initial_value
        self._value_reset_delay = value_reset_delay
        self.influence_conversation = influence_conversation
        self._has_been_set = False

    @property
    def value(self) -> Any:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = value
        self._has_been_set = True

    @property
    def has_been_set(self) -> bool:
        return self._has_been_set

    def reset(self) -> None:
        self._value = self.initial_value
        self._has_been_set = False

    def value_reset_delay(self) -> int | None:
        return self._value_reset_delay

    def feature_dimensionality(self) -> int:
        return self._feature_dimensionality() if self.influence_conversation else 0

    def _feature_dimensionality(self) -> int:
        return 1

    def has_features(self) -> bool:
        return self.feature_dimensionality() != 0

    def as_feature(self) -> list[float]:
        return self._as_feature() if self.influence_conversation else []

    def _as_feature(self) -> list[float]:
        raise NotImplementedError(f"{type(self).__name__} needs as_feature()")

    def persistence_info(self) -> dict[str, Any]:
        return {
            "type": f"{type(self).__module__}.{type(self).__name__}",
            "initial_value": self.initial_value,
            "influence_conversation": self.influence_conversation,
            "mappings": self.mappings,
        }


class TextSlot(Slot):
    type_name = "text"

    def _as_feature(self) -> list[float]:
        return [*slot_features.text_features(self.value)]


class BooleanSlot(Slot):
    type_name = "bool"

    def _feature_dimensionality(self) -> int:
        return 2

    def _as_feature(self) -> list[float]:
        return [*slot_features.bool_features(self.value)]


class FloatSlot(Slot):
    type_name = "float"

    def __init__(
        self,
        name: str,
        mappings: list[dict[str, Any]],
        initial_value: float | None = None,
        value_reset_delay: int | None = None,
        max_value: float = 1.0,
        min_value: float = 0.0,
        influence_conversation: bool = True,
    ) -> None:
        super().__init__(name, mappings, initial_value, value_reset_delay, influence_conversation)
        if min_value >= max_value:
            raise InvalidSlotConfigError(f"min_value, {min_value}, must be below max_value, {max_value}.")
        self.max_value = max_value
        self.min_value = min_value

    def _feature_dimensionality(self) -> int:
        return 2

    def _as_feature(self) -> list[float]:
        return [*slot_features.float_features(self.value, self.min_value, self.max_value)]

    def persistence_info(self) -> dict[str, Any]:
        return {**super().persistence_info(), "max_value": self.max_value, "min_value": self.min_value}


class CategoricalSlot(Slot):
    type_name = "categorical"

    def __init__(
        self,
        name: str,
        mappings: list[dict[str, Any]],
        values: list[Any] | None = None,
        initial_value: Any = None,
        value_reset_delay: int | None = None,
        influence_conversation: bool = True,
    ) -> None:
        super().__init__(name, mappings, initial_value, value_reset_delay, influence_conversation)
        self.values = [*slot_features.lower_case(values or [])]

    def add_default_value(self) -> None:
        """`__other__`, for whatever is none of the values; called once the slot is made."""
        self.values = [*slot_features.with_other(self.values)]

    def _feature_dimensionality(self) -> int:
        return len(self.values)

    def _as_feature(self) -> list[float]:
        return [*slot_features.categorical_features(self.value, self.values)]

    def persistence_info(self) -> dict[str, Any]:
        return {**super().persistence_info(), "values": self.values}


class ListSlot(Slot):
    type_name = "list"

    @property
    def value(self) -> Any:
        return super().value

    @value.setter
    def value(self, value: Any) -> None:
        self._value = slot_features.as_list(value)
        self._has_been_set = True

    def _as_feature(self) -> list[float]:
        return [*slot_features.list_features(self.value)]


class AnySlot(Slot):
    type_name = "any"

    def __init__(
        self,
        name: str,
        mappings: list[dict[str, Any]],
        initial_value: Any = None,
        value_reset_delay: int | None = None,
        influence_conversation: bool = False,
    ) -> None:
        if influence_conversation:
            raise InvalidSlotConfigError("A slot of type 'any' cannot influence the conversation: derive from Slot.")
        super().__init__(name, mappings, initial_value, value_reset_delay, influence_conversation)


def bool_from_any(value: Any) -> bool:
    """Raises ValueError, or TypeError for what is neither a text nor a number."""
    truth = slot_features.truth_of(value)
    if truth is not None:
        return truth
    if isinstance(value, str):
        raise ValueError(f"{value!r} says neither true nor false")
    raise TypeError(f"{value!r} is no truth value")


OFFERED = {
    found.__name__: found
    for found in (
        Slot,
        TextSlot,
        BooleanSlot,
        FloatSlot,
        CategoricalSlot,
        ListSlot,
        AnySlot,
        InvalidSlotTypeException,
        InvalidSlotConfigError,
        bool_from_any,
    )
}
"""All that an author's class may import."""
