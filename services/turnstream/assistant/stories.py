"""Stories and rules as plain typed values.

Format: https://rasa.com/docs/rasa/stories and https://rasa.com/docs/rasa/rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.location import NOWHERE, Location
from turnstream.assistant.nlu_data import EntityAnnotation


@dataclass(frozen=True, slots=True)
class StoryEntity:
    """An entity of a story's user step; `value` is None where only the name is given."""

    entity: str
    value: Any = None
    role: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class UserStep:
    """A user message: by intent (`faq/ask_name` as written), or end to end by its text (markup removed)."""

    intent: str | None = None
    text: str | None = None
    entities: tuple[StoryEntity, ...] = ()
    annotations: tuple[EntityAnnotation, ...] = ()
    """The entities marked in `text`, with their spans."""
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class ActionStep:
    name: str
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class BotStep:
    """An end-to-end `bot:` step: the assistant says this text."""

    text: str
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class SlotStep:
    """`slot_was_set` for one slot. `by_name_only` where no value is given (`- name`), unlike `name: null`."""

    name: str
    value: Any = None
    by_name_only: bool = False
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class ActiveLoopStep:
    """`name` None means `active_loop: null`: the loop ends."""

    name: str | None
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class CheckpointStep:
    name: str
    slots: Mapping[str, Any] = field(default_factory=dict)
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class OrStep:
    """One of several user messages, or one of several slot settings."""

    alternatives: tuple[UserStep | SlotStep, ...]
    location: Location = NOWHERE


Step = UserStep | ActionStep | BotStep | SlotStep | ActiveLoopStep | CheckpointStep | OrStep


def ends_open(steps: Sequence[Step]) -> bool:
    """Whether nothing follows a choice at the end: as in Rasa, the whole story or rule then teaches nothing."""
    last = steps[-1] if steps else None
    return isinstance(last, OrStep) and len(last.alternatives) > 1


@dataclass(frozen=True, slots=True)
class Story:
    name: str
    steps: tuple[Step, ...]
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; `conditions` are slot and active-loop facts that must hold before its first step."""

    name: str
    steps: tuple[Step, ...]
    conditions: tuple[SlotStep | ActiveLoopStep, ...] = ()
    conversation_start: bool = False
    wait_for_user_input: bool = True
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class TestStory:
    """A story of the test conversation format: user steps have both a text and the expected intent."""

    __test__ = False

    name: str
    steps: tuple[Step, ...]
    location: Location = NOWHERE
