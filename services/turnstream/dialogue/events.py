"""The events of a conversation: frozen facts in the past tense.

The set and the meaning are those of Rasa 3.6 (https://rasa.com/docs/action-server/events and the tracker's JSON).
`dialogue.fold` is the only code that turns events into state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar


class _NoEntries(dict[str, Any]):
    """An empty map that stays empty, so that every event without metadata can share it."""

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("the shared empty map cannot be changed")

    def __hash__(self) -> int:  # type: ignore[override]
        return 0


EMPTY: Mapping[str, Any] = _NoEntries()


@dataclass(frozen=True, slots=True)
class IntentScore:
    """`confidence` is in [0, 1]; None where the source gave none."""

    name: str | None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ExtractedEntity:
    """An entity of a message: characters `start` to `end` (exclusive), both None where it has no place in a text."""

    entity: str
    value: Any
    start: int | None = None
    end: int | None = None
    role: str | None = None
    group: str | None = None
    confidence: float | None = None
    role_confidence: float | None = None
    group_confidence: float | None = None
    extractor: str | None = None
    processors: tuple[str, ...] = ()
    extras: Mapping[str, Any] = EMPTY
    """Further keys, such as Duckling's `text`, `additional_info`."""


@dataclass(frozen=True, slots=True)
class ResponseScore:
    intent_response_key: str
    confidence: float


@dataclass(frozen=True, slots=True)
class SelectedResponse:
    """What a response selector chose: the key (`faq/ask_name`), its response variations as written, the ranking.

    The key is empty where there was nothing to choose from; Rasa's `utter_action` is then `utter_None`.
    """

    intent_response_key: str
    confidence: float
    utter_action: str
    responses: tuple[Mapping[str, Any], ...] = ()
    ranking: tuple[ResponseScore, ...] = ()


class Late:
    """Room for what is no part of the fact: an event's bytes on the wire (`dialogue.encoding`), and its source.

    The source is the message that it was read from in part (`dialogue.proto_late`): fields that have no value yet are
    read from there when they are asked for.
    """

    __slots__ = ("encoded", "source")
    encoded: bytes
    source: object

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Only a slot without a value gets here."""
            if name.startswith("_") or name in ("encoded", "source"):
                raise AttributeError(name)
            from turnstream.dialogue.late import read_rest  # which needs this module

            read_rest(self, name)
            return object.__getattribute__(self, name)


@dataclass(frozen=True, slots=True)
class ParseData(Late):
    """What NLU understood of a message. Spans are character offsets into `text`."""

    text: str = ""
    intent: IntentScore = IntentScore(None)
    full_retrieval_intent_name: str | None = None
    has_full_retrieval_intent_name: bool = False
    """Whether Rasa's JSON carries the key `full_retrieval_intent_name` (once a response selector ran)."""
    intent_ranking: tuple[IntentScore, ...] = ()
    entities: tuple[ExtractedEntity, ...] = ()
    text_tokens: tuple[tuple[int, int], ...] = ()
    response_selector: Mapping[str, SelectedResponse] = field(default_factory=dict)
    """By retrieval intent, or under `default` for a selector over all of them."""
    all_retrieval_intents: tuple[str, ...] = ()
    message_id: str | None = None
    metadata: Mapping[str, Any] = EMPTY
    extras: Mapping[str, Any] = EMPTY
    """Keys of a posted `parse_data` that have no field here; kept so that nothing is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Late):
    """`timestamp` is in seconds since the epoch; `metadata` is free for the author."""

    type_name: ClassVar[str] = ""
    timestamp: float = 0.0
    metadata: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUttered(Event):
    type_name: ClassVar[str] = "user"
    text: str | None = None
    parse_data: ParseData = ParseData()
    input_channel: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotUttered(Event):
    """`data` has the keys elements, quick_replies, buttons, attachment, image and custom, each None where unused."""

    type_name: ClassVar[str] = "bot"
    text: str | None = None
    data: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionExecuted(Event):
    """An action was run. `action_text` is set in place of `name` for an end-to-end bot text."""

    type_name: ClassVar[str] = "action"
    name: str | None = None
    policy: str | None = None
    confidence: float | None = None
    action_text: str | None = None
    hide_rule_turn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSet(Event):
    type_name: ClassVar[str] = "slot"
    name: str
    value: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitiesAdded(Event):
    """Entities that a policy found in an end-to-end text."""

    type_name: ClassVar[str] = "entities"
    entities: tuple[ExtractedEntity, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFeaturized(Event):
    """Whether the last user message was featurized by its text; None in training."""

    type_name: ClassVar[str] = "user_featurization"
    use_text_for_featurization: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveLoopChanged(Event):
    """A loop (form) was activated, or deactivated where `name` is None."""

    type_name: ClassVar[str] = "active_loop"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopInterrupted(Event):
    type_name: ClassVar[str] = "loop_interrupted"
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionExecutionRejected(Event):
    type_name: ClassVar[str] = "action_execution_rejected"
    name: str
    policy: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUtteranceReverted(Event):
    type_name: ClassVar[str] = "rewind"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionReverted(Event):
    type_name: ClassVar[str] = "undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllSlotsReset(Event):
    type_name: ClassVar[str] = "reset_slots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted(Event):
    type_name: ClassVar[str] = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    type_name: ClassVar[str] = "session_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowupActionSet(Event):
    type_name: ClassVar[str] = "followup"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationPaused(Event):
    type_name: ClassVar[str] = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationResumed(Event):
    type_name: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderScheduled(Event):
    """`trigger_date_time` is ISO 8601 as the action server wrote it."""

    type_name: ClassVar[str] = "reminder"
    intent: str
    trigger_date_time: str
    entities: Any = None
    name: str = ""
    kill_on_user_msg: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderCancelled(Event):
    """Cancels every reminder that matches all of the given fields."""

    type_name: ClassVar[str] = "cancel_reminder"
    name: str | None = None
    intent: str | None = None
    entities: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryExported(Event):
    type_name: ClassVar[str] = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentUttered(Event):
    """A human agent said something."""

    type_name: ClassVar[str] = "agent"
    text: str | None = None
    data: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSessionEnded(Event):
    """Earlier events are hidden from featurization (`action_reset_routing`, coexistence)."""

    type_name: ClassVar[str] = "routing_session_ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationErased(Event):
    """One person's data was deleted; earlier events are gone from the log."""

    type_name: ClassVar[str] = "conversation_erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this version does not know: kept as it came, without effect on the state."""

    type_name: ClassVar[str] = "unknown"
    original_type: str = ""
    fields: Mapping[str, Any] = EMPTY


EVENT_TYPES: Mapping[str, type[Event]] = {
    c.type_name: c
    for c in (
        UserUttered,
        BotUttered,
        ActionExecuted,
        SlotSet,
        EntitiesAdded,
        UserFeaturized,
        ActiveLoopChanged,
        LoopInterrupted,
        ActionExecutionRejected,
        UserUtteranceReverted,
        ActionReverted,
        AllSlotsReset,
        Restarted,
        SessionStarted,
        FollowupActionSet,
        ConversationPaused,
        ConversationResumed,
        ReminderScheduled,
        ReminderCancelled,
        StoryExported,
        AgentUttered,
        RoutingSessionEnded,
        ConversationErased,
    )
}
