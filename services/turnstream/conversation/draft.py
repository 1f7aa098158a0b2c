"""A turn that is being made: everything that it adds, tried on a branch of the conversation until it is committed."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from google.protobuf.duration_pb2 import Duration

from turnstream.api.v1.conversations_pb2 import Reply, TurnError
from turnstream.api.v1.turnlog_pb2 import InboxMessage, ServiceCall, TurnRecord
from turnstream.assistant.domain import ACTION_LISTEN
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.replies import replies_of
from turnstream.dialogue.encoding import encoded_events
from turnstream.dialogue.events import ActionExecuted, ActiveLoopChanged, BotUttered, Event, UserUttered
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import timestamp_to_proto

_TICK_S = 1e-6
"""Events of a turn are at least this far apart, so that their order can be told from their times."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn: the record to commit, without its number and inbox place, and the conversation after it."""

    record: TurnRecord
    dialogue: Dialogue


class TurnDraft:
    """Events get their time, and the names of the model and the assistant, when they are recorded."""

    def __init__(
        self,
        message: InboxMessage,
        dialogue: Dialogue,
        assistant: LoadedAssistant,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.message = message
        self.assistant = assistant
        self.dialogue = dialogue.branch()
        self.actions_run = 0
        self.has_message = False
        """Whether a user message was recorded in this turn."""
        self._first_event = dialogue.event_count
        self._latest_time = dialogue.tracker.latest_event_time or 0.0
        self._replies: list[Reply] = []
        self._errors: list[TurnError] = []
        self._calls: list[ServiceCall] = []
        self._clock = clock
        self._began = time.perf_counter()
        self._labels = {"model_id": assistant.model_id, "assistant_id": assistant.assistant_id}

    @property
    def conversation_id(self) -> str:
        return self.message.conversation_id

    @property
    def channel(self) -> str:
        """Where replies go; a message without a channel is answered where the user was last."""
        return self.message.channel or self.dialogue.tracker.latest_input_channel or ""

    @property
    def listens(self) -> bool:
        return self.dialogue.tracker.latest_action_name == ACTION_LISTEN

    def now(self) -> float:
        return max(self._clock(), self._latest_time + _TICK_S)

    def record(self, *events: Event) -> None:
        """Append events. A time of the event's own counts where it is no earlier than the last one and not to come."""
        for event in events:
            now = self.now()
            own = event.timestamp
            self._append(event, own if self._latest_time < own <= now else now)

    def record_as_they_are(self, events: Iterable[Event]) -> None:
        """Append events that happened elsewhere, at the times that they tell, where they tell any."""
        for event in events:
            self._append(event, event.timestamp or self.now())

    def record_verbatim(self, events: Iterable[Event]) -> None:
        """Append events of another log, which nothing is added to."""
        self.dialogue.extend(events)

    def _append(self, event: Event, timestamp: float) -> None:
        self._latest_time = timestamp
        self.has_message = self.has_message or isinstance(event, UserUttered)
        # The event's own keys stay first, and win.
        metadata = {**event.metadata, **self._labels, **event.metadata}
        self.dialogue.append(replace(event, timestamp=timestamp, metadata=metadata))

    def say(self, events: Iterable[Event]) -> None:
        """Send the bot messages among these events to the user."""
        for event in events:
            if isinstance(event, BotUttered):
                self._replies += replies_of(event)

    def fail(self, where: str, message: str) -> None:
        """Note for the author what went wrong; the turn goes on or is closed by the caller."""
        self._errors.append(TurnError(where=where, message=message))

    @contextmanager
    def asking(self, service: str, what: str) -> Iterator[None]:
        """Note on the turn how long a service takes inside, also where it fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            start, duration = _duration(started - self._began), _duration(time.perf_counter() - started)
            self._calls.append(ServiceCall(service=service, what=what, start=start, duration=duration))

    def listen(self) -> None:
        """Close a turn that was cut short, so that the next message finds a conversation that waits for it."""
        if not self.listens:
            self.record(ActionExecuted(name=ACTION_LISTEN))

    def leave_lost_loop(self) -> None:
        """This version may lack the form in which the conversation is: nothing could run it."""
        loop = self.dialogue.tracker.active_loop
        if loop is not None and loop.name not in self.assistant.domain.loops:
            self.fail("conversation", f"the domain has no form '{loop.name}', which was active: it is left")
            self.record(ActiveLoopChanged())

    def forget(self) -> None:
        """Begin anew, as if nothing had ever been said."""
        self.dialogue = Dialogue(self.conversation_id, self.assistant.domain)
        self._first_event = 0

    def next_idempotency_key(self, action: str) -> str:
        """The same for the same step of the same message, also when the turn is done again after a crash."""
        self.actions_run += 1
        return f"{self.conversation_id}/{self.message.message_id}/{self.actions_run}/{action}"

    def finish(self) -> Turn:
        record = TurnRecord(
            conversation_id=self.conversation_id,
            message_id=self.message.message_id,
            bundle_version=self.assistant.version,
            committed_at=timestamp_to_proto(self._clock()),
            replies=self._replies,
            errors=self._errors,
            channel=self.message.channel or (self.channel if self._replies else ""),
            calls=self._calls,
            duration=_duration(time.perf_counter() - self._began),
        )
        events = self.dialogue.events_since(self._first_event)
        record.MergeFromString(encoded_events(TurnRecord.EVENTS_FIELD_NUMBER, events))
        return Turn(record, self.dialogue)


def _duration(seconds: float) -> Duration:
    """Exact to the microsecond: a nanosecond would cost a byte or two and tell nobody anything."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return Duration(seconds=whole, nanos=micros * 1000)
