"""The steps of a story as events, with what a story leaves unsaid: the listens, and slots set by entities."""

from collections.abc import Iterable, Iterator
from typing import Any

from turnstream.assistant.domain import (
    ACTION_LISTEN,
    RETRIEVAL_SEPARATOR,
    SLOT_TYPES_THAT_NEED_A_VALUE,
    Domain,
    SlotMapping,
)
from turnstream.assistant.stories import (
    ActionStep,
    ActiveLoopStep,
    BotStep,
    CheckpointStep,
    OrStep,
    SlotStep,
    Step,
    UserStep,
)
from turnstream.dialogue.events import (
    EMPTY,
    ActionExecuted,
    ActiveLoopChanged,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
    SlotSet,
    UserUttered,
)

LISTEN = ActionExecuted(name=ACTION_LISTEN)

RULE_SNIPPET = "..."
"""The action that stands for whatever came before a rule, or may come after one that does not wait."""

UNPREDICTABLE = "unpredictable"
"""In an action's metadata: nothing precedes it, so nothing can predict it."""


def alternatives(step: Step) -> tuple[Step, ...]:
    """What may stand for a step: itself, or the branches of an `or`."""
    return step.alternatives if isinstance(step, OrStep) else (step,)


def events_of(step: Step, domain: Domain, previous: Event | None, is_first: bool = False) -> Iterator[Event]:
    """The events of one step after the event `previous`: a message comes after a listen.

    `is_first`: no action came before, so an action of this step cannot be predicted.
    """
    mark = {UNPREDICTABLE: True} if is_first else EMPTY
    if isinstance(step, UserStep):
        if not is_listen(previous):
            yield LISTEN
        message = user_message(step)
        yield message
        yield from slots_from_entities(message.parse_data.entities, domain)
    elif isinstance(step, ActionStep):
        yield ActionExecuted(name=step.name, metadata=mark)
    elif isinstance(step, BotStep):
        yield ActionExecuted(action_text=step.text, metadata=mark)
    elif isinstance(step, SlotStep):
        yield SlotSet(name=step.name, value=_slot_value(step, domain))
    elif isinstance(step, ActiveLoopStep):
        yield ActiveLoopChanged(name=step.name)
    elif isinstance(step, CheckpointStep | OrStep):
        raise TypeError(f"{type(step).__name__} is no single step")


def _slot_value(step: SlotStep, domain: Domain) -> Any:
    if not step.by_name_only:
        return step.value
    slot = domain.slots.get(step.name)
    return None if slot is not None and slot.type in SLOT_TYPES_THAT_NEED_A_VALUE else step.name


def is_listen(event: Event | None) -> bool:
    return isinstance(event, ActionExecuted) and event.name == ACTION_LISTEN


def user_message(step: UserStep) -> UserUttered:
    """A message by its intent; by its text only where no intent is given."""
    if step.intent is None:
        spans = tuple(ExtractedEntity(a.entity, a.value, a.start, a.end, a.role, a.group) for a in step.annotations)
        return UserUttered(text=step.text, parse_data=ParseData(text=step.text or "", entities=spans))
    entities = tuple(
        ExtractedEntity(e.entity, "" if e.value is None else e.value, role=e.role, group=e.group) for e in step.entities
    ) or tuple(ExtractedEntity(a.entity, a.value, a.start, a.end, a.role, a.group) for a in step.annotations)
    base, separator, _ = step.intent.partition(RETRIEVAL_SEPARATOR)
    full = step.intent if separator else None
    return UserUttered(
        parse_data=ParseData(
            intent=IntentScore(base, 1.0),
            full_retrieval_intent_name=full,
            has_full_retrieval_intent_name=bool(separator),
            entities=entities,
        )
    )


def slots_from_entities(entities: Iterable[ExtractedEntity], domain: Domain) -> Iterator[SlotSet]:
    """What a story's entities set by the slots' `from_entity` mappings outside forms."""
    given = tuple(entities)
    if not given:
        return
    for slot in domain.slots.values():
        values = [
            entity.value
            for mapping in slot.mappings
            if _fills_from_story(mapping)
            for entity in given
            if entity.value is not None
            and (entity.entity, entity.role, entity.group) == (mapping.entity, mapping.role, mapping.group)
        ]
        if values:
            yield SlotSet(name=slot.name, value=values if slot.type == "list" else values[-1])


def _fills_from_story(mapping: SlotMapping) -> bool:
    return mapping.type == "from_entity" and not (mapping.conditions and mapping.conditions[0].active_loop)
