"""Dividing examples so that each part has its share of every intent."""

import random
from collections.abc import Sequence

from turnstream.assistant.nlu_data import Example

SEED = 42


def stratified_folds(examples: Sequence[Example], folds: int, seed: int = SEED) -> list[list[Example]]:
    """Parts of nearly equal size; intents with fewer examples than parts are in some of them only."""
    parts: list[list[Example]] = [[] for _ in range(folds)]
    place = 0
    for group in _by_intent(examples, seed):
        for example in group:
            parts[place % folds].append(example)
            place += 1
    return parts


def split(examples: Sequence[Example], fraction: float, seed: int = SEED) -> tuple[list[Example], list[Example]]:
    """`fraction` (0 to 1) of each intent's examples, at least one, and the rest."""
    first: list[Example] = []
    second: list[Example] = []
    for group in _by_intent(examples, seed):
        count = max(1, round(len(group) * fraction))
        first += group[:count]
        second += group[count:]
    return first, second


def _by_intent(examples: Sequence[Example], seed: int) -> list[list[Example]]:
    groups: dict[str | None, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.intent, []).append(example)
    shuffler = random.Random(seed)
    for group in groups.values():
        shuffler.shuffle(group)
    return list(groups.values())
