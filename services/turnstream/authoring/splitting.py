"""Stories in two parts, one to learn from and one to test on, cut out of their files as they stand."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

import yaml

SECTION = "stories"


@dataclass(frozen=True, slots=True)
class SplitStories:
    """A file's text in two parts; both begin as the file does, and what is no story is in the first."""

    learned: str
    tested: str
    learned_count: int
    tested_count: int


class NotSplittable(Exception):
    """A file whose stories cannot be cut out line by line; the message says why."""


def split_stories(text: str, fraction: float, seed: int) -> SplitStories | None:
    """Put `fraction` (0 to 1) of the stories into the first part; None where the file has no stories.

    Neither part is empty, unless there is one story only: that is in the first. Raises NotSplittable.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    stories = _section(root)
    if stories is None or not stories.value:
        return None
    lines = text.splitlines(keepends=True)
    starts = [item.start_mark.line for item in stories.value]
    if stories.flow_style or len(set(starts)) < len(starts) or stories.start_mark.line in _key_lines(root):
        raise NotSplittable("its stories are not written one below the other")
    ends = [*starts[1:], stories.end_mark.line if stories.end_mark.column == 0 else len(lines)]
    chosen = _chosen(len(starts), fraction, seed)
    before, after = lines[: starts[0]], lines[ends[-1] :]
    learned = [line for n in chosen for line in lines[starts[n] : ends[n]]]
    others = [n for n in range(len(starts)) if n not in chosen]
    tested = [line for n in others for line in lines[starts[n] : ends[n]]]
    head = _head(root, lines)
    key = f"{SECTION}:\n" if tested else f"{SECTION}: []\n"
    first = "".join((*before, *learned, *after))
    return SplitStories(first, "".join((*head, key, *tested)), len(chosen), len(others))


def _chosen(count: int, fraction: float, seed: int) -> list[int]:
    numbers = list(range(count))
    random.Random(seed).shuffle(numbers)
    return sorted(numbers[: max(1, min(round(count * fraction), count - 1))])


def _section(root: yaml.Node | None) -> yaml.SequenceNode | None:
    for key, value in _pairs(root):
        if key.value == SECTION and isinstance(value, yaml.SequenceNode):
            return value
    return None


def _pairs(root: yaml.Node | None) -> Iterable[tuple[yaml.Node, yaml.Node]]:
    return root.value if isinstance(root, yaml.MappingNode) else ()


def _key_lines(root: yaml.Node | None) -> set[int]:
    return {key.start_mark.line for key, _ in _pairs(root)}


def _head(root: yaml.Node | None, lines: list[str]) -> list[str]:
    """The line with the version, where there is one."""
    return [lines[key.start_mark.line] for key, _ in _pairs(root) if key.value == "version"]
