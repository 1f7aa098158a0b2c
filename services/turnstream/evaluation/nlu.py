"""How well messages are understood: intents, entities and responses, each example against its annotation."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from turnstream.assistant.nlu_data import Example
from turnstream.dialogue.events import ParseData, SelectedResponse
from turnstream.evaluation.entities import NO_ENTITY, Span, by_extractor, token_labels
from turnstream.evaluation.labels import LabelReport, label_report

AT_ONCE = 16
"""Messages parsed side by side: enough for the model server to batch."""
NO_RESPONSE = ""
DEFAULT_SELECTOR = "default"
NO_INTENT = ""
"""Nothing, as the peer's reports name it."""
NOT_TRAINED = frozenset({"DucklingEntityExtractor", "SpacyEntityExtractor"})
"""Extractors that find what nobody annotates: to compare them with annotations would say nothing."""
_WORD = re.compile(r"\S+")
Parse = Callable[[str], Awaitable[ParseData]]


@dataclass(frozen=True, slots=True)
class Understood:
    """An example and what the assistant made of its text."""

    example: Example
    parse: ParseData

    @property
    def right_intent(self) -> str:
        return self.example.base_intent or NO_INTENT

    @property
    def intent(self) -> str:
        return self.parse.intent.name or NO_INTENT

    @property
    def selected(self) -> SelectedResponse | None:
        """What the selector of the example's retrieval intent chose, or the one for all of them."""
        selections = self.parse.response_selector
        return selections.get(self.right_intent) or selections.get(DEFAULT_SELECTOR)

    @property
    def response(self) -> str:
        return (self.selected.intent_response_key if self.selected else "") or NO_RESPONSE

    @property
    def tokens(self) -> Sequence[Span]:
        return self.parse.text_tokens or [match.span() for match in _WORD.finditer(self.example.text)]


@dataclass(frozen=True, slots=True)
class NluReports:
    """None where no example says anything about it. `entities` is by extractor, `mrr` the mean reciprocal rank."""

    understood: tuple[Understood, ...]
    intents: LabelReport | None
    entities: Mapping[str, LabelReport]
    responses: LabelReport | None
    response_mrr: float | None = None


async def understand(
    examples: Sequence[Example], parse: Parse, on_done: Callable[[int], None] = lambda done: None
) -> tuple[Understood, ...]:
    """Parse every example; `on_done` hears how many are through. Raises what `parse` raises."""
    found: list[Understood | None] = [None] * len(examples)
    waiting = iter(enumerate(examples))
    done = 0

    async def work() -> None:
        nonlocal done
        for index, example in waiting:
            found[index] = Understood(example, await parse(example.text))
            done += 1
            on_done(done)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return tuple(one for one in found if one is not None)


def reports(understood: Sequence[Understood], extractors: Collection[str] = ()) -> NluReports:
    """`extractors` are those of the pipeline that learn entities: they are reported also where they found none."""
    with_intent = [one for one in understood if one.example.intent]
    with_response = [one for one in understood if one.example.is_retrieval]
    intents = responses = mrr = None
    if with_intent:
        intents = label_report([one.right_intent for one in with_intent], [one.intent for one in with_intent])
    if any(one.parse.response_selector for one in with_response):
        right = [one.example.intent or "" for one in with_response]
        responses = label_report(right, [one.response for one in with_response])
        mrr = sum(map(_reciprocal_rank, with_response)) / len(with_response)
    return NluReports(tuple(understood), intents, _entity_reports(understood, extractors), responses, mrr)


def _reciprocal_rank(one: Understood) -> float:
    """0 where the right response is not in the ranking."""
    keys = [score.intent_response_key for score in one.selected.ranking] if one.selected else []
    return 1.0 / (keys.index(one.example.intent) + 1) if one.example.intent in keys else 0.0


def _entity_reports(understood: Sequence[Understood], extractors: Collection[str]) -> dict[str, LabelReport]:
    if not any(one.example.entities for one in understood):
        return {}
    tokens = [one.tokens for one in understood]
    right = [token_labels(t, one.example.entities) for t, one in zip(tokens, understood, strict=True)]
    found = [by_extractor(one.parse.entities) for one in understood]
    names = {name for entities in found for name in entities} - NOT_TRAINED | set(extractors)
    flat_right = [label for labels in right for label in labels]
    result = {}
    for name in sorted(names):
        predicted = [
            label
            for t, entities in zip(tokens, found, strict=True)
            for label in token_labels(t, entities.get(name, ()))
        ]
        result[name] = label_report(flat_right, predicted, without=NO_ENTITY)
    return result
