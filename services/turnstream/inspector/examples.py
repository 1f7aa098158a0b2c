"""A message as an NLU example in the file that has its intent, where everything else stays as its author wrote it.

Format: https://rasa.com/docs/rasa/training-data-format#nlu-training-data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml
from yaml.reader import Reader

from turnstream.assistant.annotations import annotated, parse_annotations
from turnstream.assistant.location import NOWHERE
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_writer import Block, item_yaml
from turnstream.authoring.amending import NotAmendable, amended
from turnstream.inspector.project_files import Change, ProjectFiles
from turnstream.runtime.errors import Conflict, InvalidRequest


@dataclass(frozen=True, slots=True)
class NewExample:
    """Raises nothing by itself; `written` checks it."""

    text: str
    intent: str
    entities: tuple[EntityAnnotation, ...] = ()

    def written(self) -> str:
        """The line of the file, entities marked. Raises InvalidRequest where it would be read as something else."""
        if Reader.NON_PRINTABLE.search(self.text) or "\ufeff" in self.text:
            raise InvalidRequest("this message has characters that a YAML file cannot hold as they are")
        line = " ".join(annotated(self.text, self.entities).split())
        problems = Problems()
        read = parse_annotations(line, NOWHERE, problems)
        wanted = {(self.text[e.start : e.end].strip(), e.entity, e.value, e.role, e.group) for e in self.entities}
        found = {(read.text[e.start : e.end], e.entity, e.value, e.role, e.group) for e in read.entities}
        if not read.text.strip() or problems.errors or read.text != " ".join(self.text.split()) or found != wanted:
            raise InvalidRequest("this message cannot be written as an example: brackets in it would be read as markup")
        return line


@dataclass(frozen=True, slots=True)
class AddedExample:
    """`line` counts from 1 in the changed file."""

    change: Change
    line: int


def add_example(files: ProjectFiles, example: NewExample) -> AddedExample:
    """What the file would be; nothing is written yet.

    Raises InvalidRequest, Conflict where the example is there already, or the file cannot be added to line by line.
    """
    line = example.written()
    places = [place for path in files.nlu_files() for place in _places(files, path, example.intent)]
    for place in places:
        if (number := place.line_of(line)) is not None:
            raise Conflict(f"{place.file} has this example already, in line {number}")
    if not places:
        return _first_of_intent(files, example.intent, line)
    # Where most examples are is where its author would look for it.
    chosen = max(places, key=lambda place: len(place.examples))
    after, number = chosen.with_example(line)
    return AddedExample(Change(chosen.file, chosen.text, after), number)


def _first_of_intent(files: ProjectFiles, intent: str, line: str) -> AddedExample:
    known = files.nlu_files()
    path = files.place(files.home_of_examples())
    if path not in known and known:
        path = next((file for file in known if _section(files.read(file)) is not None), path)
    before = files.read(path)
    try:
        after = amended(before, "nlu", [{"intent": intent, "examples": Block(f"- {line}\n")}])
    except NotAmendable as error:
        raise Conflict(f"{files.shown(path)} cannot be added to: {error}") from error
    lines = after.splitlines()
    number = next((n for n in range(len(lines), 0, -1) if lines[n - 1].strip() == f"- {line}"), None)
    if number is None:
        raise InvalidRequest("this message cannot be written as a line of a YAML file")
    return AddedExample(files.change(path, before, after), number)


@dataclass(frozen=True, slots=True)
class _Place:
    """The examples of an intent in a file."""

    file: str
    text: str
    examples: tuple[str, ...]
    node: yaml.Node

    def line_of(self, line: str) -> int | None:
        for number, example in zip(self._numbers(), self.examples, strict=False):
            if example == line:
                return number
        return None

    def _numbers(self) -> Iterator[int]:
        """Of the lines that hold the examples."""
        if isinstance(self.node, yaml.SequenceNode):
            return (item.start_mark.line + 1 for item in self.node.value)
        lines = self.text.splitlines()
        first, end = self._block(lines)
        return (n + 1 for n in range(first, end) if lines[n].lstrip().startswith("-"))

    def _block(self, lines: Sequence[str]) -> tuple[int, int]:
        """From and to which line (exclusive) the examples' text goes, without empty lines at its end."""
        first = self.node.start_mark.line + 1
        end = min(self.node.end_mark.line, len(lines))
        if self.node.end_mark.column and end < len(lines):
            end += 1
        while end > first and not (lines[end - 1].strip() and _depth(lines[end - 1]) >= self._depth(lines, first)):
            end -= 1
        return first, end

    @staticmethod
    def _depth(lines: Sequence[str], first: int) -> int:
        return next((_depth(line) for line in lines[first:] if line.strip()), 0)

    def with_example(self, line: str) -> tuple[str, int]:
        """The text of the file, and the line of the example. Raises Conflict."""
        lines = self.text.splitlines(keepends=True)
        ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
        place, added = self._in_list(lines, line) if isinstance(self.node, yaml.SequenceNode) else self._in_text(line)
        if place and not lines[place - 1].endswith(("\n", "\r")):
            lines[place - 1] += ending
        after = "".join((*lines[:place], added.replace("\n", ending), *lines[place:]))
        self._check(after, line)
        return after, place + 1

    def _in_text(self, line: str) -> tuple[int, str]:
        lines = self.text.splitlines()
        first, end = self._block(lines)
        if not isinstance(self.node, yaml.ScalarNode) or self.node.style not in ("|", ">") or first == end:
            raise Conflict(f"{self.file}: the examples are not written as a block ('examples: |'): add it by hand")
        return end, f"{' ' * _depth(lines[first])}- {line}\n"

    def _in_list(self, lines: Sequence[str], line: str) -> tuple[int, str]:
        if not isinstance(self.node, yaml.SequenceNode) or self.node.flow_style or not self.node.value:
            raise Conflict(f"{self.file}: the examples are written in brackets: add it by hand")
        last = self.node.value[-1]
        end = last.end_mark.line + (1 if last.end_mark.column else 0)
        while end > last.start_mark.line + 1 and not lines[end - 1].strip():
            end -= 1
        column = last.start_mark.column - 2
        written = item_yaml({"text": Block(f"{line}\n")})
        return end, "".join(" " * max(0, column) + part for part in written.splitlines(keepends=True))

    def _check(self, after: str, line: str) -> None:
        """What was there must be there, and the example among those of its intent."""
        try:
            was, now = (yaml.load(text, Loader=yaml.BaseLoader) for text in (self.text, after))
        except yaml.YAMLError as error:
            raise Conflict(f"{self.file} cannot be added to by itself: {error}") from error
        changed = [(b, a) for b, a in zip(was["nlu"], now["nlu"], strict=False) if b != a]
        same = {**was, "nlu": None} == {**now, "nlu": None} and len(was["nlu"]) == len(now["nlu"])
        if not same or len(changed) != 1 or _lines(changed[0][1]) != [*_lines(changed[0][0]), line]:
            raise Conflict(f"{self.file} cannot be added to by itself: add the example by hand")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _lines(entry: Any) -> list[str]:
    examples = entry["examples"]
    if isinstance(examples, str):
        return [line[1:].strip() for line in examples.splitlines() if line.startswith("-")]
    return [str(example["text"]).strip() for example in examples]


def _section(text: str) -> yaml.SequenceNode | None:
    """The file's list `nlu`. None where there is none; what cannot be read is told by `turnstream data validate`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    found = _value(root, "nlu")
    return found if isinstance(found, yaml.SequenceNode) else None


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _places(files: ProjectFiles, path: Any, intent: str) -> Iterator[_Place]:
    text = files.read(path)
    if intent not in text:
        # Reading YAML takes a second for a megabyte.
        return
    section = _section(text)
    for item in section.value if section is not None else ():
        name, node = _value(item, "intent"), _value(item, "examples")
        if name is None or str(name.value).strip() != intent or node is None:
            continue
        if isinstance(node, yaml.ScalarNode):
            examples = tuple(line[1:].strip() for line in node.value.splitlines() if line.startswith("-"))
        else:
            examples = tuple(str(getattr(_value(one, "text"), "value", "")).strip() for one in node.value)
        yield _Place(files.shown(path), text, examples, node)


def entities_in(text: str, given: Sequence[Any]) -> tuple[EntityAnnotation, ...]:
    """Read from JSON: `start`, `end`, `entity`, and `role`, `group`, `value` where they have one.

    Raises InvalidRequest.
    """
    found: list[EntityAnnotation] = []
    for place, item in enumerate(given):
        where = f"entities[{place}]"
        if not isinstance(item, dict):
            raise InvalidRequest(f"{where} must be an object")
        start, end = item.get("start"), item.get("end")
        numbers = [n for n in (start, end) if isinstance(n, int) and not isinstance(n, bool)]
        if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= len(text):
            raise InvalidRequest(
                f"{where}: 'start' and 'end' must be places in the text, which has {len(text)} characters"
            )
        texts = {key: item.get(key) for key in ("entity", "role", "group", "value")}
        if wrong := [key for key, value in texts.items() if value is not None and not isinstance(value, str)]:
            raise InvalidRequest(f"{where}: '{wrong[0]}' must be a text")
        if not texts["entity"]:
            raise InvalidRequest(f"{where}: 'entity' is missing")
        value = texts["value"] or text[numbers[0] : numbers[1]]
        found.append(EntityAnnotation(numbers[0], numbers[1], texts["entity"], value, texts["role"], texts["group"]))
    found.sort(key=lambda entity: entity.start)
    for one, other in pairwise(found):
        if other.start < one.end:
            raise InvalidRequest(f"the entities '{one.entity}' and '{other.entity}' overlap in the text")
    return tuple(found)
