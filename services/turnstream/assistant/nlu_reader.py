"""NLU training data: intents with examples, synonyms, regular expressions, lookup tables, responses."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.annotations import parse_annotations
from turnstream.assistant.domain import ResponseVariation
from turnstream.assistant.fields import Fields, list_of, shown
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import Example, LookupTable, NluData, RegexPattern
from turnstream.assistant.problems import Problems
from turnstream.assistant.responses_reader import read_responses
from turnstream.assistant.yaml_nodes import Node

KINDS = ("intent", "synonym", "lookup", "regex")
EXAMPLE_MARK = "-"


@dataclass(slots=True)
class NluCollector:
    """Gathers NLU data over all files, in file order."""

    problems: Problems
    examples: list[Example] = field(default_factory=list)
    synonyms: dict[str, str] = field(default_factory=dict)
    regexes: list[RegexPattern] = field(default_factory=list)
    lookups: list[LookupTable] = field(default_factory=list)
    responses: dict[str, tuple[ResponseVariation, ...]] = field(default_factory=dict)
    written_responses: dict[str, Any] = field(default_factory=dict)

    def data(self) -> NluData:
        """All that was gathered."""
        return NluData(tuple(self.examples), dict(self.synonyms), tuple(self.regexes), tuple(self.lookups))

    def retrieval_intents(self) -> tuple[str, ...]:
        """The base names of intents with examples such as `faq/ask_name`, sorted."""
        return tuple(sorted({e.base_intent or "" for e in self.examples if e.is_retrieval}))

    def read_file(self, root: Node) -> None:
        """Read the sections `nlu` and `responses` of a file."""
        mapping = root.mapping or {}
        if "nlu" in mapping:
            self._read_section(mapping["nlu"], root.key_location("nlu"))
        if "responses" in mapping:
            self.responses |= read_responses(mapping["responses"], self.problems)
            if mapping["responses"].mapping is not None:
                self.written_responses |= mapping["responses"].plain()

    def _read_section(self, node: Node, location: Location) -> None:
        if node.value is None:
            self.problems.warning(location, "'nlu' is empty.")
            return
        for item in list_of(node, "'nlu'", self.problems):
            fields = Fields.of(item, "An item of 'nlu'", (*KINDS, "examples", "metadata"), self.problems)
            kinds = [kind for kind in KINDS if fields is not None and kind in fields]
            if fields is None:
                continue
            if len(kinds) != 1:
                found = " and ".join(f"'{kind}'" for kind in kinds) or "none of them"
                message = f"An item of 'nlu' needs one of 'intent', 'synonym', 'lookup' and 'regex', not {found}."
                self.problems.error(item.location, message)
                continue
            name = fields.text(kinds[0], required=True)
            if name is not None:
                self._read_item(kinds[0], name.strip(), fields)

    def _read_item(self, kind: str, name: str, fields: Fields) -> None:
        if not fields.has_value("examples"):
            self.problems.warning(fields.location, f"The {kind} '{name}' has no examples.")
            return
        lines = list(self._examples(fields))
        if kind == "intent":
            self._add_examples(name, lines, fields.plain("metadata"))
        elif kind == "synonym":
            for text, location, _ in lines:
                self._add_synonym(text, name, location)
        elif kind == "regex":
            for text, location, _ in lines:
                self._add_regex(name, text, location)
        else:
            self.lookups.append(LookupTable(name, tuple(text for text, _, _ in lines), fields.location))

    def _examples(self, fields: Fields) -> Iterator[tuple[str, Location, Any]]:
        """Each example's text, place and metadata."""
        node = fields.get("examples")
        assert node is not None
        if isinstance(node.value, str):
            yield from ((text, location, None) for text, location in self._lines(node))
        elif node.items is not None:
            for item in node.items:
                if isinstance(item.value, str):
                    message = f"{fields.what}: an example must be a mapping, not {shown(item.value)}."
                    self.problems.error(item.location, message, "Write 'examples: |', and the lines below as they are.")
                    continue
                example = Fields.of(item, f"{fields.what}: an example", ("text", "metadata"), self.problems)
                text = example.text("text", required=True) if example is not None else None
                if example is not None and text is not None:
                    yield text.strip(), item.location, example.plain("metadata")
        else:
            message = f"'examples' must be a text with one '- example' in each line, not {shown(node.value)}."
            self.problems.error(node.location, message, "Write 'examples: |' and the lines below.")

    def _lines(self, node: Node) -> Iterator[tuple[str, Location]]:
        first = node.block_line
        for number, line in enumerate(node.value.splitlines()):
            location = Location(node.file, first + number if first else node.line)
            if line.startswith(EXAMPLE_MARK):
                text = line[1:].strip()
                if text:
                    yield text, location
                else:
                    self.problems.warning(location, "An example is empty.")
            elif line.strip():
                message = f"This line is no example and is skipped: '{line.strip()[:60]}'."
                self.problems.warning(location, message, "Begin it with '- ', at the level of the others.")

    def _add_examples(self, intent: str, lines: list[tuple[str, Location, Any]], intent_metadata: Any) -> None:
        for written, location, example_metadata in lines:
            annotated = parse_annotations(written, location, self.problems)
            metadata = _metadata(intent_metadata, example_metadata)
            self.examples.append(Example(annotated.text, intent, annotated.entities, metadata, location))
            for entity in annotated.entities:
                spelled = annotated.text[entity.start : entity.end]
                if entity.value != spelled:
                    self._add_synonym(spelled, entity.value, location)

    def _add_synonym(self, spelled: str, value: str, location: Location) -> None:
        known = self.synonyms.pop(spelled, value)
        if known != value:
            message = f"'{spelled}' was a synonym of '{known}' and is now one of '{value}'."
            self.problems.warning(location, message, "Keep one.")
        self.synonyms[spelled] = value

    def _add_regex(self, name: str, pattern: str, location: Location) -> None:
        try:
            re.compile(pattern)
        except re.error as error:
            self.problems.error(location, f"The regular expression '{pattern}' cannot be used: {error}.")
            return
        self.regexes.append(RegexPattern(name, pattern, location))


def _metadata(intent: Any, example: Any) -> Mapping[str, Any] | None:
    found = {"intent": intent, "example": example}
    return {key: value for key, value in found.items() if value is not None} or None
