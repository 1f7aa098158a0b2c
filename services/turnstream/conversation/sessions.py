"""When a session begins: with the first message, and after a pause that is longer than the domain allows.

What a session starts with, and what it carries over, is up to `action_session_start`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SESSION_START, SESSION_METADATA_SLOT
from turnstream.dialogue.events import ActionExecuted, Event, SessionStarted, SlotSet
from turnstream.dialogue.fold import Dialogue

_SECONDS_A_MINUTE = 60.0


def session_is_due(dialogue: Dialogue, now: float) -> bool:
    """Whether a message at `now` (seconds since the epoch) begins a session."""
    return is_new(dialogue) or _has_expired(dialogue, now)


def is_new(dialogue: Dialogue) -> bool:
    """Whether nothing has been said or done yet that counts (a restart wipes what came before it)."""
    tracker = dialogue.tracker
    if tracker.latest_action_name or tracker.latest_message or tracker.latest_action_text:
        return False
    # The slot that tells of the session's metadata does not begin the conversation.
    return all(isinstance(event, SlotSet) for event in dialogue.latest_applied())


def _has_expired(dialogue: Dialogue, now: float) -> bool:
    """Counted from the session's latest user message; a session without one waits for ever."""
    minutes = dialogue.domain.session.expiration_minutes
    message = dialogue.tracker.latest_message
    if minutes <= 0 or message is None:
        return False
    return (now - message.timestamp) / _SECONDS_A_MINUTE > minutes


def begins_with_session(events: Sequence[Event]) -> bool:
    """Whether appended events bring a session start of their own."""
    if len(events) < 2:
        return False
    first, second = events[0], events[1]
    starts = isinstance(first, ActionExecuted) and first.name == ACTION_SESSION_START
    return starts and isinstance(second, SessionStarted)


def bare_session() -> tuple[Event, ...]:
    """What a new conversation begins with where `action_session_start` cannot be run."""
    return (
        ActionExecuted(name=ACTION_SESSION_START, confidence=1.0),
        SessionStarted(),
        ActionExecuted(name=ACTION_LISTEN),
    )


def metadata_slot(metadata: Mapping[str, Any]) -> tuple[Event, ...]:
    """What the client told about the session, for a custom `action_session_start` to read."""
    return (SlotSet(name=SESSION_METADATA_SLOT, value=dict(metadata)),) if metadata else ()
