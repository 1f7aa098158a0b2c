"""NLU training data as a YAML file that `nlu_reader` reads back as it was."""

from collections.abc import Iterable
from typing import Any

from turnstream.assistant.annotations import annotated
from turnstream.assistant.nlu_data import Example, NluData
from turnstream.assistant.yaml_writer import Block, training_yaml


def nlu_yaml(data: NluData) -> str:
    """Examples by intent, in the order in which the intents come first; then synonyms, regexes and lookup tables."""
    by_intent: dict[str, list[Example]] = {}
    for example in data.examples:
        by_intent.setdefault(example.intent or "", []).append(example)
    entries = [_intent(intent, examples) for intent, examples in by_intent.items() if intent]
    synonyms: dict[str, list[str]] = {}
    for spelling, value in data.synonyms.items():
        synonyms.setdefault(value, []).append(spelling)
    entries += [{"synonym": value, "examples": _lines(spellings)} for value, spellings in synonyms.items()]
    patterns: dict[str, list[str]] = {}
    for regex in data.regexes:
        patterns.setdefault(regex.name, []).append(regex.pattern)
    entries += [{"regex": name, "examples": _lines(found)} for name, found in patterns.items()]
    entries += [{"lookup": table.name, "examples": _lines(table.elements)} for table in data.lookups]
    return training_yaml(nlu=entries)


def _intent(intent: str, examples: list[Example]) -> dict[str, Any]:
    entry: dict[str, Any] = {"intent": intent}
    metadata = examples[0].metadata
    if metadata and "intent" in metadata:
        entry["metadata"] = metadata["intent"]
    return entry | {"examples": _examples(examples)}


def _examples(examples: list[Example]) -> Any:
    if any("\n" in example.text or "example" in (example.metadata or {}) for example in examples):
        return [_with_metadata(example) for example in examples]
    return _lines(annotated(example.text, example.entities) for example in examples)


def _with_metadata(example: Example) -> dict[str, Any]:
    entry: dict[str, Any] = {"text": Block(annotated(example.text, example.entities) + "\n")}
    if example.metadata and "example" in example.metadata:
        entry["metadata"] = example.metadata["example"]
    return entry


def _lines(texts: Iterable[str]) -> Block:
    return Block("".join(f"- {text}\n" for text in texts))
