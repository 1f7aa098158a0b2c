"""Entity annotations in a text: `[Berlin](city)`, `[SF](city:San Francisco)`, `[Berlin]{"entity": "city", ...}`.

Format: https://rasa.com/docs/rasa/training-data-format#entities.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.assistant.problems import Problems, nearest

ANNOTATION_KEYS = ("entity", "value", "role", "group")
_ANNOTATION = re.compile(
    r"\[(?P<text>[^\]]+?)\]"
    r"(?:\((?P<entity>[^:)]+?)(?::(?P<value>[^)]+))?\)|(?P<object>\{[^}]+?\})|(?P<objects>\[\s*\{.*?\}\s*\]))"
)


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text without its markup, and the marked spans in it."""

    text: str
    entities: tuple[EntityAnnotation, ...] = ()


def parse_annotations(text: str, location: Location, problems: Problems) -> AnnotatedText:
    """Take the markup out of `text`; an annotation that cannot be read is an error and left out."""
    if "[" not in text:
        return AnnotatedText(text)
    parts: list[str] = []
    entities: list[EntityAnnotation] = []
    length = position = 0
    for match in _ANNOTATION.finditer(text):
        before, inner = text[position : match.start()], match.group("text")
        start = length + len(before)
        length = start + len(inner)
        parts += (before, inner)
        position = match.end()
        entities.extend(_entities(match, inner, start, location, problems))
    return AnnotatedText("".join(parts) + text[position:], tuple(entities))


def _entities(
    match: re.Match[str], inner: str, start: int, location: Location, problems: Problems
) -> Iterator[EntityAnnotation]:
    end = start + len(inner)
    if match.group("entity") is not None:
        yield EntityAnnotation(start, end, match.group("entity").strip(), match.group("value") or inner)
        return
    written = match.group("object") or match.group("objects")
    try:
        data = json.loads(written)
    except ValueError:
        hint = 'Write it as JSON: [text]{"entity": "name"}.'
        problems.error(location, f"The annotation {written} cannot be read.", hint)
        return
    for item in data if isinstance(data, list) else [data]:
        properties = _properties(item, location, problems)
        if properties is not None:
            value = properties.get("value", inner)
            role, group = properties.get("role"), properties.get("group")
            yield EntityAnnotation(start, end, properties["entity"], value, role, group)


def _properties(item: Any, location: Location, problems: Problems) -> dict[str, str] | None:
    if not isinstance(item, dict):
        problems.error(location, f"The annotation {json.dumps(item)} must be a mapping.")
        return None
    wrong = False
    for key, value in item.items():
        if key not in ANNOTATION_KEYS:
            problems.warning(location, f"Unknown key '{key}' in an annotation.", nearest(key, ANNOTATION_KEYS))
        elif not isinstance(value, str):
            problems.error(location, f"'{key}' in an annotation must be a text, not {value!r}.", f'Write "{value}".')
            wrong = True
    if "entity" not in item:
        problems.error(location, f"The annotation {json.dumps(item, ensure_ascii=False)} names no 'entity'.")
        return None
    return None if wrong else item


class Mark(Protocol):
    """A marked span; without a place in the text where `start` or `end` is None."""

    @property
    def entity(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def start(self) -> int | None: ...
    @property
    def end(self) -> int | None: ...
    @property
    def role(self) -> str | None: ...
    @property
    def group(self) -> str | None: ...


def annotated(text: str, marks: Iterable[Mark]) -> str:
    """The text with its entities marked: what `parse_annotations` reads.

    Marks without a place in the text, and those within another, are left out.
    """
    parts: list[str] = []
    position = 0
    for start, end, mark in sorted(_placed(marks), key=lambda placed: (placed[0], -placed[1])):
        if position <= start < end <= len(text):
            parts += (text[position:start], _marked(text[start:end], mark))
            position = end
    return "".join(parts) + text[position:]


def _placed(marks: Iterable[Mark]) -> Iterator[tuple[int, int, Mark]]:
    return ((m.start, m.end, m) for m in marks if m.start is not None and m.end is not None)


def _marked(words: str, mark: Mark) -> str:
    value = None if mark.value == words else mark.value
    found = {"value": value, "role": mark.role, "group": mark.group}
    given = {key: item for key, item in found.items() if item is not None}
    if not given:
        return f"[{words}]({mark.entity})"
    return f"[{words}]{json.dumps({'entity': mark.entity, **given}, ensure_ascii=False)}"
