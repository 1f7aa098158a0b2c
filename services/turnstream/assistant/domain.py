"""The domain of an assistant: what it knows, remembers and can say, as plain typed values.

Format: Rasa 3.1 domain files (https://rasa.com/docs/rasa/domain).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from turnstream.assistant.location import NOWHERE, Location

REQUESTED_SLOT = "requested_slot"
SESSION_METADATA_SLOT = "session_started_metadata"
RESPONSE_PREFIX = "utter_"
RETRIEVAL_SEPARATOR = "/"

ACTION_LISTEN = "action_listen"
ACTION_RESTART = "action_restart"
ACTION_SESSION_START = "action_session_start"
ACTION_DEFAULT_FALLBACK = "action_default_fallback"
ACTION_DEACTIVATE_LOOP = "action_deactivate_loop"
ACTION_REVERT_FALLBACK_EVENTS = "action_revert_fallback_events"
ACTION_DEFAULT_ASK_AFFIRMATION = "action_default_ask_affirmation"
ACTION_DEFAULT_ASK_REPHRASE = "action_default_ask_rephrase"
ACTION_TWO_STAGE_FALLBACK = "action_two_stage_fallback"
ACTION_UNLIKELY_INTENT = "action_unlikely_intent"
ACTION_BACK = "action_back"
ACTION_SEND_TEXT = "action_send_text"
ACTION_EXTRACT_SLOTS = "action_extract_slots"
ACTION_VALIDATE_SLOT_MAPPINGS = "action_validate_slot_mappings"
ACTION_RESET_ROUTING = "action_reset_routing"
ACTION_ROUTE_TO_CALM = "action_route_to_calm"
"""Shows the message to the other engine of an assistant that has two."""

ROUTE_TO_CALM_SLOT = "route_session_to_calm"
"""True while the other engine answers, false while this one does, null before that is chosen."""

DEFAULT_ACTIONS = (
    ACTION_LISTEN,
    ACTION_RESTART,
    ACTION_SESSION_START,
    ACTION_DEFAULT_FALLBACK,
    ACTION_DEACTIVATE_LOOP,
    ACTION_REVERT_FALLBACK_EVENTS,
    ACTION_DEFAULT_ASK_AFFIRMATION,
    ACTION_DEFAULT_ASK_REPHRASE,
    ACTION_TWO_STAGE_FALLBACK,
    ACTION_UNLIKELY_INTENT,
    ACTION_BACK,
    ACTION_SEND_TEXT,
    ACTION_EXTRACT_SLOTS,
)

INTENT_RESTART = "restart"
INTENT_BACK = "back"
INTENT_OUT_OF_SCOPE = "out_of_scope"
INTENT_SESSION_START = "session_start"
INTENT_NLU_FALLBACK = "nlu_fallback"
DEFAULT_INTENTS = (INTENT_RESTART, INTENT_BACK, INTENT_OUT_OF_SCOPE, INTENT_SESSION_START, INTENT_NLU_FALLBACK)

SLOT_TYPES = ("text", "bool", "categorical", "float", "list", "any")
SLOT_TYPES_THAT_NEED_A_VALUE = ("bool", "float", "categorical")
"""Named in a story without a value, a slot of these types counts as not set; of the others, as set."""

CATEGORICAL_OTHER = "__other__"
MAPPING_TYPES = ("from_entity", "from_text", "from_intent", "from_trigger_intent", "custom")


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent; `used_entities` are the entity labels (`city`, `city#to`, `city.1`) that policies may see with it."""

    name: str
    used_entities: frozenset[str] = frozenset()
    is_retrieval: bool = False
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Entity:
    name: str
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    influence_conversation: bool = True
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class MappingCondition:
    """Where `active_loop` is null, or left out (`has_active_loop` false), no loop may be active."""

    active_loop: str | None = None
    requested_slot: str | None = None
    has_active_loop: bool = True


@dataclass(frozen=True, slots=True)
class SlotMapping:
    type: str
    entity: str | None = None
    role: str | None = None
    group: str | None = None
    intents: tuple[str, ...] = ()
    not_intents: tuple[str, ...] = ()
    value: Any = None
    action: str | None = None
    conditions: tuple[MappingCondition, ...] = ()
    written: str = ""
    """The mapping as it stands in the file, as JSON with sorted keys; empty for one made in memory."""
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot; `type` is one of SLOT_TYPES or the module path of a custom class.

    `values` belong to categorical slots, `min_value` and `max_value` to float slots,
    `options` are any further keys, given to a custom class.
    """

    name: str
    type: str
    mappings: tuple[SlotMapping, ...] = ()
    influence_conversation: bool = True
    initial_value: Any = None
    values: tuple[Any, ...] = ()
    min_value: float = 0.0
    max_value: float = 1.0
    shared_for_coexistence: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Form:
    name: str
    required_slots: tuple[str, ...] = ()
    ignored_intents: tuple[str, ...] = ()
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class ResponseCondition:
    """A constraint on one slot, read as `slot == value`; all constraints of a variation must hold."""

    slot: str
    value: Any


@dataclass(frozen=True, slots=True)
class ResponseVariation:
    """One way of saying a response; `conditions` is None where the key is absent (a default variation)."""

    text: str | None = None
    buttons: tuple[Mapping[str, Any], ...] = ()
    quick_replies: tuple[Mapping[str, Any], ...] = ()
    elements: tuple[Mapping[str, Any], ...] = ()
    image: str | None = None
    attachment: Any = None
    custom: Any = None
    channel: str | None = None
    conditions: tuple[ResponseCondition, ...] | None = None
    id: str | None = None
    metadata: Any = None
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """`expiration_minutes` 0 means that a session never expires."""

    expiration_minutes: float = 60.0
    carry_over_slots: bool = True


@dataclass(frozen=True)
class Domain:
    """All of an assistant's domain. Names are in the order of the files; slots include the built-in ones."""

    intents: Mapping[str, Intent] = field(default_factory=dict)
    entities: Mapping[str, Entity] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=dict)
    responses: Mapping[str, tuple[ResponseVariation, ...]] = field(default_factory=dict)
    actions: tuple[str, ...] = ()
    forms: Mapping[str, Form] = field(default_factory=dict)
    e2e_actions: tuple[str, ...] = ()
    session: SessionConfig = SessionConfig()
    actions_with_domain: frozenset[str] | None = None
    """Actions marked `send_domain: true`; None where no action is marked (all get it)."""
    source: Mapping[str, Any] | None = None
    """The merged files as Rasa's JSON shows them (see `codec.domain_as_rasa`); None for a domain made in memory."""

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        """Every action that can be predicted, in a fixed order: defaults, the author's, responses, forms, e2e texts."""
        defaults = [*DEFAULT_ACTIONS, *([ACTION_RESET_ROUTING] if ROUTE_TO_CALM_SLOT in self.slots else [])]
        custom_or_listed = [*self.actions, *self.responses]
        return tuple(dict.fromkeys([*defaults, *custom_or_listed, *self.forms, *self.e2e_actions]))

    @cached_property
    def custom_actions(self) -> frozenset[str]:
        """Listed actions that an action server runs: neither a response nor a form (overridden defaults included)."""
        return frozenset(a for a in self.actions if not a.startswith(RESPONSE_PREFIX) and a not in self.forms)

    @cached_property
    def loops(self) -> frozenset[str]:
        """What can be the active loop."""
        return frozenset((*self.forms, ACTION_TWO_STAGE_FALLBACK))

    @cached_property
    def retrieval_intents(self) -> frozenset[str]:
        return frozenset(name for name, intent in self.intents.items() if intent.is_retrieval)
