"""What every check needs to know of a project: what is named where."""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from turnstream.assistant.components import ComponentOptions, read_component
from turnstream.assistant.domain import RETRIEVAL_SEPARATOR, SlotMapping
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.assistant.problems import Problems
from turnstream.assistant.project import Project
from turnstream.assistant.routing import IntentRouter
from turnstream.assistant.stories import (
    ActionStep,
    ActiveLoopStep,
    CheckpointStep,
    OrStep,
    Rule,
    SlotStep,
    Step,
    Story,
    UserStep,
)
from turnstream.assistant.suggested import with_suggestions
from turnstream.authoring.sources import ActionSources

Dialogue = Story | Rule


class Usage:
    """Names by what uses them. `sources` are the custom actions' files."""

    def __init__(self, project: Project, root: Path) -> None:
        self.project = project
        self.sources = ActionSources(root)

    @cached_property
    def dialogues(self) -> tuple[Dialogue, ...]:
        return (*self.project.stories, *self.project.rules)

    @cached_property
    def router(self) -> IntentRouter | None:
        """Who shares the conversations with another engine."""
        return IntentRouter.of_config(self.project.config)

    @cached_property
    def actions_are_elsewhere(self) -> bool:
        """Custom actions that are not in the project, and another engine, may use whatever they like."""
        return self.router is not None or (bool(self.project.domain.custom_actions) and not self.sources.are_here)

    @cached_property
    def actions(self) -> frozenset[str]:
        """What stories and rules do, forms included."""
        done = {step.name for d in self.dialogues for step in steps_of(d) if isinstance(step, ActionStep)}
        loops = {step.name for d in self.dialogues for step in steps_of(d) if isinstance(step, ActiveLoopStep)}
        return frozenset(done | {name for name in loops if name})

    @cached_property
    def intents(self) -> frozenset[str]:
        """The base intents of stories and rules, of mappings, of forms, and of the router to another engine."""
        said = {step.intent.split(RETRIEVAL_SEPARATOR, 1)[0] for step in self._messages() if step.intent}
        mapped = {name for mapping in self.mappings for name in (*mapping.intents, *mapping.not_intents)}
        ignored = {name for form in self.project.domain.forms.values() for name in form.ignored_intents}
        return frozenset(said | mapped | ignored | (self.router.intents if self.router else frozenset()))

    @cached_property
    def entities(self) -> frozenset[str]:
        """The entities that stories and rules name, or that a slot is filled from."""
        messages = tuple(self._messages())
        listed = {entity.entity for message in messages for entity in message.entities}
        marked = {entity.entity for message in messages for entity in message.annotations}
        return frozenset(listed | marked | {mapping.entity for mapping in self.mappings if mapping.entity})

    @cached_property
    def slots(self) -> frozenset[str]:
        """The slots that stories and rules set."""
        steps = [step for dialogue in self.dialogues for step in steps_of(dialogue)]
        told = {step.name for step in steps if isinstance(step, SlotStep)}
        return frozenset(told | {name for step in steps if isinstance(step, CheckpointStep) for name in step.slots})

    @cached_property
    def mappings(self) -> tuple[SlotMapping, ...]:
        return tuple(mapping for slot in self.project.domain.slots.values() for mapping in slot.mappings)

    @cached_property
    def annotations(self) -> tuple[EntityAnnotation, ...]:
        return tuple(entity for example in self.project.nlu.examples for entity in example.entities)

    @cached_property
    def pipeline(self) -> tuple[ComponentOptions, ...]:
        """As far as it can be read."""
        read = [read_component(c, Problems()) for c in with_suggestions(self.project.config).pipeline or ()]
        return tuple(options for options in read if options is not None)

    @cached_property
    def _payloads(self) -> str:
        """What buttons send, as text: `/inform{"city": "Rome"}`."""
        variations = [v for found in self.project.domain.responses.values() for v in found]
        parts = [(v.buttons, v.quick_replies, v.elements, v.custom) for v in variations]
        return json.dumps(parts, default=str).replace('\\"', '"')

    def is_sent_by_a_button(self, name: str) -> bool:
        return f'"{name}"' in self._payloads or f"/{name}" in self._payloads

    def _messages(self) -> Iterator[UserStep]:
        return (step for dialogue in self.dialogues for step in steps_of(dialogue) if isinstance(step, UserStep))


def steps_of(dialogue: Dialogue) -> Iterator[Step]:
    """Conditions and steps, every branch of an `or`."""
    for step in (*(dialogue.conditions if isinstance(dialogue, Rule) else ()), *dialogue.steps):
        if isinstance(step, OrStep):
            yield from step.alternatives
        else:
            yield step
