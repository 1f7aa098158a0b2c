"""A conversation as the fold of its events: the tracker, the events that count, and what policies see of them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional, Self

from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SESSION_START, Domain
from turnstream.dialogue import applied
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionReverted,
    ActiveLoopChanged,
    Event,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from turnstream.dialogue.folding import NO_STATES, SlotTable, State, fold_event, slot_table
from turnstream.dialogue.history import all_states, shown_states
from turnstream.dialogue.state import DialogueHistory
from turnstream.dialogue.tracker import Tracker


class _Logged(NamedTuple):
    earlier: Optional["_Logged"]
    event: Event


class DialogueParts(NamedTuple):
    """All that a conversation amounts to, without its log of events; see `Dialogue.parts`.

    `session_from` and `restart_from` are numbers of events, `latest_time` is in seconds since the epoch.
    """

    event_count: int
    session_from: int
    restart_from: int
    loops: frozenset[str]
    channel: str | None
    latest_time: float | None
    state: State
    top: applied.Node


class Dialogue:
    """The events of one conversation and what they amount to; of training stories as well.

    Appending an event, `branch()` and `history(window)` cost the same however long the conversation is.
    Of a conversation that was restored or trimmed, only the latest events are kept: what reaches behind them raises
    EarlierEventsNeeded, and the whole log gives the answer.
    Raises SlotClassError where the domain has a custom slot class that cannot be loaded.
    """

    def __init__(self, conversation_id: str, domain: Domain, events: Iterable[Event] = ()) -> None:
        self.conversation_id = conversation_id
        self.domain = domain
        self._table: SlotTable = slot_table(domain)
        self._log: _Logged | None = None
        self._count = 0
        self._held_from = 0
        self._latest_time: float | None = None
        self._session_from = 0
        self._restart_from = 0
        self._loops: frozenset[str] = frozenset()
        self._channel: str | None = None
        self._state: State = self._table.initial
        self._top: applied.Node = applied.root(self._table.initial)
        self.extend(events)

    @classmethod
    def from_parts(cls, conversation_id: str, domain: Domain, parts: DialogueParts, events: Iterable[Event]) -> Self:
        """A conversation with a past, of which `events` are the latest."""
        dialogue = cls(conversation_id, domain)
        dialogue._count, dialogue._session_from, dialogue._restart_from = parts[:3]
        dialogue._loops, dialogue._channel, dialogue._latest_time = parts[3:6]
        dialogue._state, dialogue._top = parts.state, parts.top
        dialogue._hold(events)
        return dialogue

    @property
    def parts(self) -> DialogueParts:
        return DialogueParts(
            self._count,
            self._session_from,
            self._restart_from,
            self._loops,
            self._channel,
            self._latest_time,
            self._state,
            self._top,
        )

    def with_log(self, events: Iterable[Event]) -> Self:
        """The same conversation, of which these latest events are kept."""
        copy = self.branch()
        copy._hold(events)
        return copy

    def _hold(self, events: Iterable[Event]) -> None:
        self._log, held = None, 0
        for event in events:
            self._log = _Logged(self._log, event)
            held += 1
        self._held_from = self._count - held

    def append(self, event: Event) -> None:
        """Raises EarlierEventsNeeded where the event takes back more than is kept; nothing was appended then."""
        top, state = self._top, self._state
        appended = applied.append(top, event, self._table, self._loops)
        self._note(event)
        if type(event) is UserUttered:
            state = top.state
        self._top = appended
        # An event that was simply added to the chain: its state is the conversation's.
        follows = state is top.state and appended.parent is top
        if follows or _settles(event):
            self._state = appended.state
        else:
            self._state = fold_event(state, event, self._table, NO_STATES)

    def extend(self, events: Iterable[Event]) -> None:
        for event in events:
            self.append(event)

    def branch(self) -> Self:
        """A copy in which a turn can be tried; neither sees what the other appends."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    @property
    def tracker(self) -> Tracker:
        """The state now. Its `slots` must not be changed.

        Within a turn it follows every event. Between turns (after a listen) it is what `applied_events` amount to:
        where a form's turns were folded into one, the latest message is the one that the first of them answered.
        """
        state = self._state
        return Tracker(
            conversation_id=self.conversation_id,
            slots=state.slots,
            latest_message=state.message,
            latest_event_time=self._latest_time,
            followup_action=state.followup,
            paused=state.paused,
            latest_input_channel=self._channel,
            active_loop=state.loop,
            latest_action_name=state.action_name,
            latest_action_text=state.action_text,
            rejected_action=state.rejected,
        )

    @property
    def event_count(self) -> int:
        return self._count

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened, oldest first, also what was taken back."""
        return self.events_since(0)

    @property
    def held_from(self) -> int:
        """The number of the first event that is kept."""
        return self._held_from

    def events_since(self, count: int) -> tuple[Event, ...]:
        """The events from number `count` (0 is the first) on; costs as much as they are many.

        Raises EarlierEventsNeeded, as all that follows.
        """
        if max(count, 0) < self._held_from:
            raise applied.EarlierEventsNeeded
        return self._latest(self._count - max(count, 0))

    def held_events(self, most: int) -> tuple[Event, ...]:
        """The latest of the events that are kept."""
        return self._latest(min(most, self._count - self._held_from))

    def _latest(self, count: int) -> tuple[Event, ...]:
        found: list[Event] = []
        entry = self._log
        for _ in range(count):
            assert entry is not None
            found.append(entry.event)
            entry = entry.earlier
        found.reverse()
        return tuple(found)

    def newest_first(self) -> Iterator[Event]:
        """All events, backwards; costs as much as is looked at."""
        entry = self._log
        while entry is not None:
            yield entry.event
            entry = entry.earlier
        if self._held_from:
            raise applied.EarlierEventsNeeded

    def applied_events(self) -> tuple[Event, ...]:
        """Since the session began or restarted, without what a rewind or undo took back and a loop's happy path folded.

        Of the turns in which a form went on asking and was answered, the first stays, with all slots that were set.
        """
        return tuple(reversed(list(applied.latest_applied(self._top))))

    def latest_applied(self) -> Iterator[Event]:
        """`applied_events` backwards; costs as much as is looked at."""
        return applied.latest_applied(self._top)

    def latest_settings(self) -> tuple[SlotSet, ...]:
        """The latest slot settings among `applied_events`, oldest first, at most `applied.MAX_SETTINGS`."""
        return applied.latest_settings(self._top)

    @property
    def session_start(self) -> int:
        """The number of the event that began the latest session; 0 where there is none."""
        return self._session_from

    def session_events(self) -> tuple[Event, ...]:
        """From the latest `action_session_start` on (with it); all, where there is none."""
        return self.events_since(self._session_from)

    def events_after_restart(self) -> tuple[Event, ...]:
        return self.events_since(self._restart_from)

    def history(self, window: int | None = None) -> DialogueHistory:
        """The state before each of the latest actions and the current one, at most `window` states; None: all."""
        return all_states(self._top, self.domain, window)

    def visible_history(self, window: int | None = None) -> DialogueHistory:
        """`history` without the turns that only rules cover (`hide_rule_turn`), as policies other than rules see it.

        `window` counts no states after `action_unlikely_intent`, which those policies pass over.
        Indices count the states that are not hidden. While a loop that a rule started goes on by itself, the current
        state is hidden as well, and the last state is an earlier one.
        """
        return shown_states(self._top, self.domain, window)

    def _note(self, event: Event) -> None:
        self._log = tuple.__new__(_Logged, (self._log, event))
        self._count += 1
        self._latest_time = event.timestamp
        if isinstance(event, ActionExecuted):
            if event.name == ACTION_SESSION_START:
                self._session_from = self._count - 1
        elif isinstance(event, UserUttered):
            self._channel = event.input_channel
        elif isinstance(event, Restarted):
            self._restart_from = self._count
        elif isinstance(event, ActiveLoopChanged) and event.name is not None:
            self._loops |= {event.name}


def _settles(event: Event) -> bool:
    """Whether from this event on the state is that of the applied events alone."""
    if isinstance(event, ActionExecuted):
        return event.name == ACTION_LISTEN
    return isinstance(event, UserUtteranceReverted | ActionReverted)
