"""What the conversation service keeps of a bundle."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from turnstream.assistant.bundle import Bundle
from turnstream.assistant.domain import (
    ACTION_EXTRACT_SLOTS,
    ACTION_VALIDATE_SLOT_MAPPINGS,
    ROUTE_TO_CALM_SLOT,
    Domain,
    SlotMapping,
)
from turnstream.dialogue.mappings import BUILT_IN_SLOTS

POLICIES = "policy/policies.json"
SELECTORS = "selection/selectors.json"


@dataclass(frozen=True)
class LoadedAssistant:
    """One version of an assistant. `policy_window` is how many states policies look at; None: all.

    `has_selectors`: messages with features are to be shown to the response selectors.
    `has_policies`: something can be done about a message; an assistant of NLU alone only understands it.
    """

    version: str
    domain: Domain
    model_id: str = ""
    assistant_id: str = ""
    policy_window: int | None = None
    has_selectors: bool = False
    has_policies: bool = True

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """Raises BundleError."""
        return cls(
            version=bundle.version,
            domain=bundle.domain,
            model_id=bundle.model_id,
            assistant_id=bundle.assistant_id,
            policy_window=bundle.policy_window,
            has_policies=not bundle.has(POLICIES) or bool(bundle.read_json(POLICIES)["policies"]),
            has_selectors=bundle.has(SELECTORS) and bool(bundle.read_json(SELECTORS)["selectors"]),
        )

    @cached_property
    def extracts_slots(self) -> bool:
        """Whether a message can fill any slot. A custom mapping without an action leaves its slot to other actions."""
        if ROUTE_TO_CALM_SLOT in self.domain.slots or ACTION_EXTRACT_SLOTS in self.domain.custom_actions:
            return True
        return self.validates_mappings or any(m.type != "custom" or m.action for m in self._mappings)

    @cached_property
    def validates_mappings(self) -> bool:
        return ACTION_VALIDATE_SLOT_MAPPINGS in self.domain.actions

    @cached_property
    def extracts_by_custom_action(self) -> bool:
        return self.validates_mappings or any(m.type == "custom" and m.action for m in self._mappings)

    @cached_property
    def sends_events(self) -> bool:
        """Whether any action is run by an action server, which is sent the session's events."""
        return bool(self.domain.custom_actions) or self.extracts_by_custom_action

    @property
    def _mappings(self) -> Iterator[SlotMapping]:
        slots = (slot for slot in self.domain.slots.values() if slot.name not in BUILT_IN_SLOTS)
        return (mapping for slot in slots for mapping in slot.mappings)

    @cached_property
    def forms_with_custom_actions(self) -> frozenset[str]:
        """Forms that may call the action server: to validate, or to ask."""
        asks = [a.removeprefix("action_ask_") for a in self.domain.actions if a.startswith("action_ask_")]
        return frozenset(
            name
            for name, form in self.domain.forms.items()
            if f"validate_{name}" in self.domain.actions
            or any(a in form.required_slots or a.startswith(f"{name}_") for a in asks)
        )
