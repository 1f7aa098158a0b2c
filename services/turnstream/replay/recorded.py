"""A recorded conversation, message by message: what the user said, and what was done until the bot listened."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SESSION_START
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    EntitiesAdded,
    Event,
    LoopInterrupted,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.values import map_to_proto

_OF_PREDICTIONS = (UserFeaturized, EntitiesAdded, LoopInterrupted)
"""Events that come with a prediction, before the action that it names."""


@dataclass(frozen=True, slots=True)
class Step:
    """An action and what it returned; `rejected` where it refused to run."""

    action: str
    events: tuple[Event, ...] = ()
    rejected: bool = False


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """`number` counts the messages of the conversation from 1; `start` is that of the message among its events.

    `before` is what happened since the turn before, such as the start of a session; `answer` what followed.
    """

    conversation_id: str
    number: int
    start: int
    before: tuple[Event, ...]
    message: UserUttered
    answer: tuple[Event, ...]

    @property
    def is_external(self) -> bool:
        """Whether no user said it: an intent was triggered, or a reminder came due."""
        return bool(self.message.metadata.get("is_external"))

    def extracted(self) -> tuple[Event, ...]:
        """The slots that the message filled: what came before the first prediction."""
        found = []
        for event in self.answer:
            if isinstance(event, (ActionExecuted, ActionExecutionRejected, *_OF_PREDICTIONS)):
                break
            found.append(event)
        return tuple(found)

    def steps(self) -> list[Step]:
        return _steps(self.answer)

    def session_start(self) -> Step | None:
        """What `action_session_start` returned, where a session began with this message."""
        for index, event in enumerate(self.before):
            if isinstance(event, ActionExecuted) and event.name == ACTION_SESSION_START:
                return Step(ACTION_SESSION_START, self.before[index + 1 :])
        return None

    def between(self) -> tuple[Event, ...]:
        """Of `before`, what no session start brought: events that others appended."""
        found: list[Event] = []
        is_starting = False
        for event in self.before:
            name = event.name if isinstance(event, ActionExecuted) else None
            if name == ACTION_SESSION_START:
                is_starting = True
            if not is_starting:
                found.append(event)
            if name == ACTION_LISTEN:
                is_starting = False
        return tuple(found)

    def inbox_message(self) -> InboxMessage:
        """The message as a gateway would accept it. Its id is the recorded one: chance falls as it fell then."""
        event = self.message
        message = InboxMessage(
            conversation_id=self.conversation_id,
            message_id=event.message_id or f"replay-{self.number}",
            channel=event.input_channel or "",
        )
        if self.is_external:
            message.intent_trigger.intent = event.parse_data.intent.name or ""
            entities = {entity.entity: entity.value for entity in event.parse_data.entities}
            message.intent_trigger.entities.CopyFrom(map_to_proto(entities))
        else:
            message.user_message.text = event.text or ""
            message.user_message.metadata.CopyFrom(map_to_proto(event.parse_data.metadata))
        return message


def recorded_turns(conversation_id: str, events: Sequence[Event]) -> Iterator[RecordedTurn]:
    """A message that an action brought itself, in the middle of a turn, begins none."""
    starts = _starts(events)
    done = 0
    for number, start in enumerate(starts, 1):
        end = _end(events, start, starts[number] if number < len(starts) else len(events))
        message = events[start]
        assert isinstance(message, UserUttered)
        before = tuple(events[done:start])
        yield RecordedTurn(conversation_id, number, start, before, message, tuple(events[start + 1 : end]))
        done = end


def _starts(events: Sequence[Event]) -> list[int]:
    starts = []
    latest: str | None = ACTION_LISTEN
    for index, event in enumerate(events):
        if isinstance(event, ActionExecuted):
            latest = event.name
        elif isinstance(event, UserUttered) and latest in (ACTION_LISTEN, ACTION_SESSION_START):
            starts.append(index)
    return starts


def _end(events: Sequence[Event], start: int, limit: int) -> int:
    for index in range(start + 1, limit):
        event = events[index]
        if isinstance(event, ActionExecuted) and event.name == ACTION_LISTEN:
            return index + 1
    return limit


def _steps(events: Sequence[Event]) -> list[Step]:
    steps: list[Step] = []
    for event in events:
        if isinstance(event, ActionExecuted):
            steps.append(Step(event.name or event.action_text or ""))
        elif isinstance(event, ActionExecutionRejected):
            steps.append(Step(event.name, rejected=True))
        elif steps:
            steps[-1] = replace(steps[-1], events=(*steps[-1].events, event))
    return [replace(step, events=_without_next_prediction(step.events)) for step in steps]


def _without_next_prediction(events: tuple[Event, ...]) -> tuple[Event, ...]:
    end = len(events)
    while end and isinstance(events[end - 1], _OF_PREDICTIONS):
        end -= 1
    return events[:end]
