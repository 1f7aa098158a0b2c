"""What policies see of a slot's value, for each type of slot (https://rasa.com/docs/rasa/domain#slot-types).

A value is stored as it came; only its features interpret it. All zeros mean unset.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from turnstream.assistant.domain import Domain, Slot
from turnstream.assistant.problems import Problems
from turnstream.dialogue import slot_features
from turnstream.dialogue.slot_classes import SlotClassError, instantiate
from turnstream.dialogue.slot_features import Features

__all__ = [
    "SlotClassError",
    "SlotReader",
    "check_slot_classes",
    "featurize_slot",
    "slot_feature_size",
    "slot_reader",
    "stored_value",
]


@dataclass(frozen=True, slots=True)
class SlotReader:
    """How one slot stores and shows its values; `size` is 0 for a slot that policies do not see."""

    size: int
    features: Callable[[Any], Features]
    stored: Callable[[Any], Any]


def featurize_slot(slot: Slot, value: Any) -> Features:
    """The features of a value; empty for a slot without influence or of type `any`.

    Raises SlotClassError for a custom slot type whose class cannot be loaded or fails.
    """
    return slot_reader(slot).features(value)


def slot_feature_size(slot: Slot) -> int:
    """Length of what `featurize_slot` returns."""
    return slot_reader(slot).size


def stored_value(slot: Slot, value: Any) -> Any:
    """What a tracker holds after the slot was set: the value as it came, but a list slot makes a lone value a list."""
    return slot_reader(slot).stored(value)


def slot_reader(slot: Slot) -> SlotReader:
    """Build the reader once for a slot that is asked often; a custom class is loaded and created here."""
    reader = _built_in(slot) if slot.type in _BUILT_IN else _custom(slot)
    if slot.influence_conversation:
        return reader
    return SlotReader(0, _nothing, reader.stored)


def check_slot_classes(domain: Domain, problems: Problems) -> None:
    """An error for each slot whose custom class cannot be used, or fails on the initial value."""
    for slot in domain.slots.values():
        try:
            slot_reader(slot).features(slot.initial_value)
        except SlotClassError as error:
            problems.error(slot.location, f"The slot '{slot.name}': {error}")


def _built_in(slot: Slot) -> SlotReader:
    return _BUILT_IN[slot.type](slot)


def _text(slot: Slot) -> SlotReader:
    return SlotReader(1, slot_features.text_features, _unchanged)


def _list(slot: Slot) -> SlotReader:
    return SlotReader(1, slot_features.list_features, slot_features.as_list)


def _bool(slot: Slot) -> SlotReader:
    return SlotReader(2, slot_features.bool_features, _unchanged)


def _float(slot: Slot) -> SlotReader:
    low, high = slot.min_value, slot.max_value
    return SlotReader(2, lambda value: slot_features.float_features(value, low, high), _unchanged)


def _categorical(slot: Slot) -> SlotReader:
    values = slot_features.with_other(slot.values)
    return SlotReader(len(values), lambda value: slot_features.categorical_features(value, values), _unchanged)


def _any(slot: Slot) -> SlotReader:
    return SlotReader(0, _nothing, _unchanged)


def _custom(slot: Slot) -> SlotReader:
    instance = instantiate(slot)

    def checked(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:
            raise SlotClassError(f"slot '{slot.name}': its class {slot.type} failed: {error!r}") from error

    def stored(value: Any) -> Any:
        instance.value = value
        return instance.value

    def features(value: Any) -> Features:
        checked(lambda: stored(value))
        return tuple(float(number) for number in checked(instance.as_feature))

    return SlotReader(int(checked(instance.feature_dimensionality)), features, lambda v: checked(lambda: stored(v)))


def _unchanged(value: Any) -> Any:
    return value


def _nothing(value: Any) -> Features:
    return ()


_BUILT_IN: Mapping[str, Callable[[Slot], SlotReader]] = {
    "text": _text,
    "list": _list,
    "bool": _bool,
    "float": _float,
    "categorical": _categorical,
    "any": _any,
}
