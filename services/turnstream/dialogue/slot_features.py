"""Numbers that policies see for a value of each built-in type of slot (https://rasa.com/docs/rasa/domain#slot-types).

All zeros mean unset.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from turnstream.assistant.domain import CATEGORICAL_OTHER

Features = tuple[float, ...]


def text_features(value: Any) -> Features:
    return (0.0 if value is None else 1.0,)


def list_features(value: Any) -> Features:
    try:
        return (1.0 if len(value) > 0 else 0.0,)
    except TypeError:
        return (0.0,)


def as_list(value: Any) -> Any:
    """A lone value that is set becomes a list of one."""
    return [value] if value and not isinstance(value, list) else value


def bool_features(value: Any) -> Features:
    truth = truth_of(value)
    return (0.0, 0.0) if truth is None else (1.0, float(truth))


def truth_of(value: Any) -> bool | None:
    """True for true, 1 and such texts; False for false and any other number; None for what is no truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value == 1
    if not isinstance(value, str):
        return None
    if value.isnumeric():
        try:
            return float(value) == 1
        except ValueError:
            return None
    return {"true": True, "false": False}.get(value.strip().lower())


def float_features(value: Any, low: float, high: float) -> Features:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return (0.0, 0.0)
    # The order of the comparisons makes the largest value of one that is no number ("nan").
    return (1.0, (max(low, min(high, number)) - low) / (abs(high - low) or 1.0))


def with_other(values: Iterable[Any]) -> tuple[str, ...]:
    """The values of a categorical slot in lower case, in the author's order, `__other__` among them."""
    lower = lower_case(values)
    return lower if CATEGORICAL_OTHER in lower else (*lower, CATEGORICAL_OTHER)


def lower_case(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(value).lower() for value in values if value is not None)


def categorical_features(value: Any, categories: Sequence[str]) -> Features:
    """One number for each of `categories` (lower case); what is none of them is `__other__`, where that is one."""
    vector = [0.0] * len(categories)
    if value is not None:
        name = str(value).lower()
        name = name if name in categories else CATEGORICAL_OTHER
        if name in categories:
            vector[categories.index(name)] = 1.0
    return tuple(vector)
