"""Stories and rules as one graph: what is the same after the same turns is drawn once."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from turnstream.assistant.annotations import annotated
from turnstream.assistant.domain import Domain
from turnstream.assistant.problems import Problems
from turnstream.assistant.stories import (
    ActionStep,
    ActiveLoopStep,
    BotStep,
    CheckpointStep,
    OrStep,
    Rule,
    SlotStep,
    Step,
    Story,
    UserStep,
)
from turnstream.training.story_paths import story_paths


class Kind(StrEnum):
    """What a node stands for; `FACT` is a slot or a loop that is set, `ANYWHERE` the beginning of a rule."""

    START = "start"
    END = "end"
    ANYWHERE = "anywhere"
    MESSAGE = "message"
    ACTION = "action"
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happens in a story."""

    kind: Kind
    label: str


START = Item(Kind.START, "start")
END = Item(Kind.END, "end")
ANYWHERE = Item(Kind.ANYWHERE, "at any point")
Key = tuple[Item, ...]


@dataclass
class Chart:
    """Nodes by what they follow (the last item is their own), each with the stories that go through it, and edges."""

    nodes: dict[Key, dict[str, None]] = field(default_factory=dict)
    edges: dict[tuple[Key, Key], None] = field(default_factory=dict)

    def add(self, items: Sequence[Item], name: str, max_history: int, among: Key = ()) -> None:
        """A way through a story: nodes are shared with others that did the same in the `max_history` actions before.

        They are shared only with ways of the same `among`.
        """
        before: Key | None = None
        for place in range(len(items)):
            key = (*among, *_key(items[: place + 1], max_history))
            self.nodes.setdefault(key, {})[name] = None
            if before is not None:
                self.edges[before, key] = None
            before = key


def story_chart(stories: Sequence[Story], rules: Sequence[Rule], domain: Domain, max_history: int) -> Chart:
    """Checkpoints are followed and every branch of an `or` is taken.

    Raises ProjectError where that leads to too many ways.
    """
    chart = Chart()
    for path in story_paths(stories, domain, Problems()):
        chart.add([START, *items_of(path.steps), END], f"{path.name} ({path.location})", max_history)
    for rule in rules:
        name = f"rule {rule.name} ({rule.location})"
        for steps in itertools.product(*(_branches(step) for step in rule.steps)):
            beginning = START if rule.conversation_start else ANYWHERE
            items = [beginning, *items_of(rule.conditions), *items_of(steps)]
            # A rule that ends as a story does would look as if it went on like that.
            chart.add(items, name, max_history, among=(ANYWHERE,))
    return chart


def items_of(steps: Iterable[Step]) -> Iterator[Item]:
    for step in steps:
        match step:
            case UserStep():
                yield Item(Kind.MESSAGE, _message(step))
            case ActionStep(name=name):
                yield Item(Kind.ACTION, name)
            case BotStep(text=text):
                yield Item(Kind.ACTION, f'"{text}"')
            case SlotStep(name=name, by_name_only=True):
                yield Item(Kind.FACT, f"slot {name}")
            case SlotStep(name=name, value=value):
                yield Item(Kind.FACT, f"slot {name} = {json.dumps(value, ensure_ascii=False, default=str)}")
            case ActiveLoopStep(name=name):
                yield Item(Kind.FACT, f"loop {name}" if name else "no loop")
            case CheckpointStep() | OrStep():
                raise TypeError(f"{type(step).__name__} is no single step")


def _branches(step: Step) -> tuple[Step, ...]:
    return step.alternatives if isinstance(step, OrStep) else (step,)


def _message(step: UserStep) -> str:
    if step.text:
        text = annotated(step.text, step.annotations)
        return f'{step.intent}: "{text}"' if step.intent else f'"{text}"'
    entities = [e.entity if e.value is None else f"{e.entity}: {e.value}" for e in step.entities]
    return f"{step.intent} ({', '.join(entities)})" if entities else f"{step.intent}"


def _key(items: Sequence[Item], max_history: int) -> Key:
    """The items back to the `max_history`-th latest action."""
    if items[-1] == END:
        return (END,)
    actions = 0
    for place in range(len(items) - 1, -1, -1):
        actions += items[place].kind is Kind.ACTION
        if actions == max_history:
            return tuple(items[place:])
    return tuple(items)
