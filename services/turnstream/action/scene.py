"""What an action sees: the conversation so far, where its words will go, and what went wrong on the way."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from turnstream.action.action_server import ActionServer, NoActionServer, NoOtherEngine
from turnstream.action.failures import ActionFailed
from turnstream.assistant.domain import ROUTE_TO_CALM_SLOT, Domain
from turnstream.dialogue import events as ev
from turnstream.dialogue.folding import NO_STATES, State, fold_event, slot_table
from turnstream.dialogue.tracker import Tracker


@dataclass(frozen=True, slots=True)
class Scene:
    """The conversation before an action, or in the middle of one (`after`).

    `events` are those that came with the request, oldest first, and any that the action itself has made since.
    `failures` is shared by all scenes of one request: parts of an action that failed without ending it.
    """

    domain: Domain
    tracker: Tracker
    events: tuple[ev.Event, ...] = ()
    server: ActionServer = field(default_factory=NoActionServer)
    other_engine: ActionServer = field(default_factory=NoOtherEngine)
    """Answers the messages of sessions that are routed to it."""
    channel: str = ""
    idempotency_key: str = ""
    metadata: Mapping[str, Any] = ev.EMPTY
    deadline: float | None = None
    """In the event loop's time: when custom code must have answered."""
    now: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    failures: list[ActionFailed] = field(default_factory=list)

    def after(self, events: Iterable[ev.Event]) -> "Scene":
        """The scene with `events` appended."""
        more = tuple(events)
        if not more:
            return self
        return replace(self, tracker=_folded(self.tracker, more, self.domain), events=self.events + more)

    def slots_of_this_turn(self) -> dict[str, Any]:
        """Slots set since the user's latest message, in the order of their first setting, with their last value."""
        found: list[ev.SlotSet] = []
        for event in reversed(self.events):
            if isinstance(event, ev.UserUttered | ev.Restarted):
                break
            if isinstance(event, ev.SlotSet):
                found.append(event)
        return {e.name: e.value for e in reversed(found)}

    @property
    def active_loop(self) -> str | None:
        return self.tracker.active_loop.name if self.tracker.active_loop else None

    @property
    def is_elsewhere(self) -> bool:
        """Whether the session is one with the other engine."""
        return self.tracker.slots.get(ROUTE_TO_CALM_SLOT) is True

    @property
    def intent(self) -> str | None:
        """The latest message's intent."""
        message = self.tracker.latest_message
        return message.parse_data.intent.name if message else None


def _folded(tracker: Tracker, events: Sequence[ev.Event], domain: Domain) -> Tracker:
    """The snapshot after more events, without folding the conversation from its beginning again."""
    state = State(
        slots=tracker.slots,
        message=tracker.latest_message,
        followup=tracker.followup_action,
        paused=tracker.paused,
        loop=tracker.active_loop,
        action_name=tracker.latest_action_name,
        action_text=tracker.latest_action_text,
        rejected=tracker.rejected_action,
    )
    table = slot_table(domain)
    for event in events:
        state = fold_event(state, event, table, NO_STATES)
    return replace(
        tracker,
        slots=state.slots,
        latest_message=state.message,
        latest_event_time=events[-1].timestamp,
        followup_action=state.followup,
        paused=state.paused,
        active_loop=state.loop,
        latest_action_name=state.action_name,
        latest_action_text=state.action_text,
        rejected_action=state.rejected,
    )
