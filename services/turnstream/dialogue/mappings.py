"""Which slots a user message fills (https://rasa.com/docs/rasa/domain#slot-mappings). Pure: nothing is run or changed.

After every user message `extract(domain, tracker, message)` says what `action_extract_slots` sets; when a form starts,
the same is asked again with the form active.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from turnstream.assistant.domain import (
    REQUESTED_SLOT,
    RETRIEVAL_SEPARATOR,
    SESSION_METADATA_SLOT,
    Domain,
    MappingCondition,
    SlotMapping,
)
from turnstream.assistant.location import NOWHERE
from turnstream.dialogue.events import SlotSet, UserUttered
from turnstream.dialogue.tracker import Tracker

BUILT_IN_SLOTS = (REQUESTED_SLOT, SESSION_METADATA_SLOT)


@dataclass(frozen=True, slots=True)
class CustomExtraction:
    """A `custom` mapping applies: `action` is to be run on the action server, and its slot events taken."""

    slot: str
    action: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a message fills, in the domain's order; the events of a custom extraction belong where it stands."""

    steps: tuple[SlotSet | CustomExtraction, ...] = ()

    @property
    def slot_sets(self) -> list[SlotSet]:
        return [step for step in self.steps if isinstance(step, SlotSet)]

    @property
    def custom(self) -> list[CustomExtraction]:
        """At most one for each action: an action is run once a turn."""
        return [step for step in self.steps if isinstance(step, CustomExtraction)]


def extract(domain: Domain, tracker: Tracker, message: UserUttered) -> Extraction:
    """What the message fills, given the state that `tracker` shows (the message itself may be its latest or not).

    The mappings of a slot are tried in order, and the first that gives a value wins. A slot that is no list takes the
    last of several values. A null value is used only where the slot is set, which it empties. Timestamps are 0.0.
    """
    situation = _Situation.of(domain, tracker, message)
    steps: list[SlotSet | CustomExtraction] = []
    actions: set[str] = set()
    for slot in domain.slots.values():
        if slot.name in BUILT_IN_SLOTS:
            continue
        for mapping in slot.mappings:
            if not situation.allows(slot.name, mapping):
                continue
            if mapping.type == "custom":
                if mapping.action and mapping.action not in actions:
                    actions.add(mapping.action)
                    steps.append(CustomExtraction(slot.name, mapping.action))
                continue
            values = situation.values(mapping)
            if not values:
                continue
            value = values if slot.type == "list" else values[-1]
            if value is not None or tracker.slots.get(slot.name) is not None:
                steps.append(SlotSet(name=slot.name, value=value))
                break
    return Extraction(tuple(steps))


@dataclass(frozen=True, slots=True)
class _Situation:
    """A message and what of the conversation decides which mappings apply to it."""

    domain: Domain
    tracker: Tracker
    message: UserUttered
    intents: frozenset[str]
    loop: str | None
    unique: Mapping[str | SlotMapping, int]
    """How often each `from_entity` mapping stands in the active form."""

    @classmethod
    def of(cls, domain: Domain, tracker: Tracker, message: UserUttered) -> "_Situation":
        name, full = message.parse_data.intent.name, message.parse_data.full_retrieval_intent_name
        if name and RETRIEVAL_SEPARATOR in name and name not in domain.intents:
            name = None  # `faq/ask` from outside, which no selector has split: no mapping means it
        loop = tracker.active_loop.name if tracker.active_loop else None
        counts = _entity_mappings(domain, loop) if loop else {}
        return cls(domain, tracker, message, frozenset(n for n in (name, full) if n), loop, counts)

    def allows(self, slot: str, mapping: SlotMapping) -> bool:
        return (
            self._is_known(mapping)
            and self._intent_fits(mapping)
            and (mapping.type == "from_trigger_intent" or self._conditions_hold(slot, mapping))
            and not self._is_ambiguous(slot, mapping)
        )

    def values(self, mapping: SlotMapping) -> list[Any]:
        """Empty: the mapping gives nothing."""
        if mapping.type == "from_entity":
            return [
                e.value
                for e in self.message.parse_data.entities
                if (e.entity, e.role, e.group) == (mapping.entity, mapping.role, mapping.group)
            ]
        if mapping.type == "from_intent":
            return [mapping.value]
        if mapping.type == "from_trigger_intent":
            return [mapping.value] if self._triggers(mapping) else []
        return [self.message.text] if mapping.type == "from_text" else []

    def _is_known(self, mapping: SlotMapping) -> bool:
        """A mapping that names what the domain does not have is left out."""
        if mapping.type == "from_entity":
            return mapping.entity in self.domain.entities
        if mapping.type == "from_intent" and mapping.intents:
            return any(name.split(RETRIEVAL_SEPARATOR, 1)[0] in self.domain.intents for name in mapping.intents)
        return True

    def _intent_fits(self, mapping: SlotMapping) -> bool:
        """An intent that a mapping names fits also where `not_intent` or the form's ignored intents have it."""
        if mapping.intents:
            return not self.intents.isdisjoint(mapping.intents)
        return self.intents.isdisjoint((*mapping.not_intents, *self._ignored_intents(mapping)))

    def _ignored_intents(self, mapping: SlotMapping) -> tuple[str, ...]:
        form = self.domain.forms.get(self.loop or "")
        if form is None:
            return ()
        if mapping.conditions and all(c.active_loop != self.loop for c in mapping.conditions):
            return ()
        return form.ignored_intents

    def _conditions_hold(self, slot: str, mapping: SlotMapping) -> bool:
        if not mapping.conditions:
            return True
        loop = self.tracker.active_loop
        if loop is not None and loop.rejected and self.tracker.slots.get(REQUESTED_SLOT) == slot:
            return False
        return any(self._holds(condition) for condition in mapping.conditions)

    def _holds(self, condition: MappingCondition) -> bool:
        if condition.active_loop is None:
            return self.loop is None
        if condition.active_loop != self.loop:
            return False
        requested = condition.requested_slot
        return requested is None or requested == self.tracker.slots.get(REQUESTED_SLOT)

    def _triggers(self, mapping: SlotMapping) -> bool:
        """In a running loop only, and where there are conditions only in theirs; no other part of them counts."""
        if self.loop is None:
            return False
        return not mapping.conditions or any(c.active_loop == self.loop for c in mapping.conditions)

    def _is_ambiguous(self, slot: str, mapping: SlotMapping) -> bool:
        """An entity that several slots of the form want in the same way fills only the one that was asked for."""
        if mapping.type != "from_entity" or self.loop is None:
            return False
        if self.tracker.slots.get(REQUESTED_SLOT) == slot or slot not in _required_slots(self.domain, self.loop):
            return False
        return self.unique.get(_comparable(mapping), 0) != 1


def _required_slots(domain: Domain, form: str) -> tuple[str, ...]:
    """Empty for an unknown form."""
    return domain.forms[form].required_slots if form in domain.forms else ()


def _entity_mappings(domain: Domain, form: str) -> dict[str | SlotMapping, int]:
    counts: dict[str | SlotMapping, int] = {}
    for name in _required_slots(domain, form):
        slot = domain.slots.get(name)
        for mapping in slot.mappings if slot else ():
            if mapping.type == "from_entity":
                key = _comparable(mapping)
                counts[key] = counts.get(key, 0) + 1
    return counts


def _comparable(mapping: SlotMapping) -> str | SlotMapping:
    """Mappings are the same where they are written alike: `intent: a` is not `intent: [a]`."""
    return mapping.written or replace(mapping, location=NOWHERE)
