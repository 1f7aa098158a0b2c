"""What tests of the conversation service share: an assistant with a small domain, and its turns on a script."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.assistant.domain import Domain, Form, Intent, Slot, SlotMapping
from turnstream.conversation.draft import Turn
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.services import Services
from turnstream.conversation.turn import TurnHandler
from turnstream.dialogue.events import Event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto
from turnstream.dialogue.values import map_to_proto
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.settings import ConversationSettings, TimeoutSettings
from turnstream.testing.scripted_services import ScriptedServices

SESSION = ["action action_session_start", "session_started", "action action_listen"]
"""What a session's beginning leaves in the record, as `names` tells it."""

PLANS = {
    "greet": ["utter_greet"],
    "order": ["action_order", "utter_done"],
    "book": ["trip_form"],
    "spin": ["action_spin"],
}


def a_domain(**changes: Any) -> Domain:
    fields: dict[str, Any] = {
        "intents": {name: Intent(name) for name in (*PLANS, "restart")},
        "slots": {
            "city": Slot("city", "text", mappings=(SlotMapping("from_entity", entity="city"),)),
            "session_started_metadata": Slot("session_started_metadata", "any"),
        },
        "responses": dict.fromkeys(("utter_greet", "utter_done", "utter_more"), ()),
        "actions": ("action_order", "action_spin"),
        "forms": {"trip_form": Form("trip_form", required_slots=("city",))},
    }
    return Domain(**fields | changes)


class Clock:
    """Time that passes only when a test says so, but never stands still."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


class Conversation:
    """One conversation, turn by turn, without a log."""

    def __init__(
        self, scripted: ScriptedServices | None = None, assistant: LoadedAssistant | None = None, **settings: Any
    ) -> None:
        self.services = scripted or ScriptedServices()
        self.services.policy.plans = self.services.policy.plans or {k: list(v) for k, v in PLANS.items()}
        self.services.nlu.intents = self.services.nlu.intents or {"hello": "greet", "I order": "order"}
        self.assistant = assistant or LoadedAssistant("v1", a_domain(), "model", "assistant")
        self.clock = Clock()
        timeouts = TimeoutSettings(nlu_s=0.2, policy_s=0.2, action_s=0.2, selection_s=0.2)
        self.handler = TurnHandler(
            Bundles({self.assistant.version: self.assistant}),
            Services(self.services.channels(), timeouts),
            ConversationSettings(**settings),
            self.clock,
        )
        self.dialogue = Dialogue("c", self.assistant.domain)
        self._ids: Iterator[int] = itertools.count(1)

    def message(self, channel: str = "rest") -> InboxMessage:
        return InboxMessage(conversation_id="c", message_id=f"m{next(self._ids)}", channel=channel)

    async def say(self, text: str, channel: str = "rest", **metadata: Any) -> Turn:
        message = self.message(channel)
        message.user_message.text = text
        if metadata:
            message.user_message.metadata.CopyFrom(map_to_proto(metadata))
        return await self.handle(message)

    async def handle(self, message: InboxMessage) -> Turn:
        turn = await self.handler.handle(message, self.dialogue)
        self.dialogue = turn.dialogue
        return turn


def events(record: TurnRecord) -> list[Event]:
    return [event_from_proto(event) for event in record.events]


def names(found: Sequence[Event] | TurnRecord) -> list[str]:
    """Events in short: the type, and for actions, slots and loops the name."""
    listed = events(found) if isinstance(found, TurnRecord) else found
    return [_name(event) for event in listed]


def _name(event: Event) -> str:
    name = getattr(event, "name", None)
    return f"{event.type_name} {name}" if name else event.type_name


def texts(record: TurnRecord) -> list[str]:
    return [reply.text for reply in record.replies]
