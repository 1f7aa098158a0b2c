"""What the other services are asked, built from a turn so far."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from turnstream.api.v1.action_pb2 import RunActionRequest
from turnstream.api.v1.policy_pb2 import PredictNextActionRequest, PredictNextActionResponse
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.assistant.domain import (
    ACTION_EXTRACT_SLOTS,
    ACTION_REVERT_FALLBACK_EVENTS,
    ACTION_ROUTE_TO_CALM,
    ACTION_SESSION_START,
    ACTION_TWO_STAGE_FALLBACK,
)
from turnstream.conversation.draft import TurnDraft
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.dialogue.encoding import encoded_event, encoded_field, encoded_fields
from turnstream.dialogue.events import Event, UserUttered
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import history_to_proto, tracker_to_proto
from turnstream.dialogue.values import map_to_proto

_LOOK_BACK = frozenset({ACTION_REVERT_FALLBACK_EVENTS, ACTION_ROUTE_TO_CALM, ACTION_TWO_STAGE_FALLBACK})
"""Built-in actions that decide by what happened earlier in the session."""

_TRACKER = RunActionRequest.TRACKER_FIELD_NUMBER
_EVENTS = Tracker.EVENTS_FIELD_NUMBER

_MESSAGE_EVENTS = 64
"""More events than follow one user message."""


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Of what an action is sent of its session: the latest events, and bytes of them."""

    events: int = 1000
    event_bytes: int = 2 * 1024 * 1024
    for_responses: bool = False
    """Whether responses are sent them too, since an NLG server words them."""


@dataclass(frozen=True, slots=True)
class ActionCall:
    """An action's request; its tracker's events are beside it, as bytes that were written once."""

    request: RunActionRequest
    events: tuple[bytes, ...] = ()

    def encoded(self) -> bytes:
        """The whole request: what is appended to a message is merged into it."""
        data = self.request.SerializeToString()
        if not self.events:
            return data
        return data + encoded_field(_TRACKER, encoded_fields(_EVENTS, self.events))


def prediction_request(
    dialogue: Dialogue, assistant: LoadedAssistant, *, explain: bool = False
) -> PredictNextActionRequest:
    """The histories are as long as any policy looks back: a prediction costs the same in a long conversation."""
    tracker = replace(dialogue.tracker, followup_action=None)
    return PredictNextActionRequest(
        bundle_version=assistant.version,
        tracker=tracker_to_proto(tracker),
        history=history_to_proto(dialogue.history(assistant.policy_window)),
        visible_history=history_to_proto(dialogue.visible_history(assistant.policy_window)),
        explain=explain,
    )


def action_call(
    draft: TurnDraft, dialogue: Dialogue, prediction: PredictNextActionResponse, limits: EventLimits
) -> ActionCall:
    """`dialogue` is the conversation as the action is to see it, which may be a branch of the draft's.

    Raises EarlierEventsNeeded.
    """
    action = prediction.action
    request = RunActionRequest(
        bundle_version=draft.assistant.version,
        action=action,
        is_text=prediction.is_text,
        tracker=tracker_to_proto(dialogue.tracker),
        channel=draft.channel,
        prediction=prediction,
        idempotency_key=draft.next_idempotency_key(action),
    )
    message = dialogue.tracker.latest_message
    if message is not None and message.parse_data.metadata:
        request.metadata.CopyFrom(map_to_proto(message.parse_data.metadata))
    events = _events_for(action, dialogue, draft.assistant, limits)
    return ActionCall(request, _latest([encoded_event(event) for event in events], limits.event_bytes))


def _latest(events: Sequence[bytes], most_bytes: int) -> tuple[bytes, ...]:
    """As many of the latest as fit."""
    if sum(map(len, events)) <= most_bytes:
        return tuple(events)
    left = most_bytes
    for index in range(len(events) - 1, -1, -1):
        left -= len(events[index])
        if left < 0:
            return tuple(events[index + 1 :])
    return tuple(events)


def _events_for(action: str, dialogue: Dialogue, assistant: LoadedAssistant, limits: EventLimits) -> Sequence[Event]:
    domain, most = assistant.domain, limits.events
    if limits.for_responses and action not in (ACTION_EXTRACT_SLOTS, ACTION_SESSION_START):
        return _session_events(dialogue, most)
    if action in domain.custom_actions or action in _LOOK_BACK or action in assistant.forms_with_custom_actions:
        return _session_events(dialogue, most)
    if action == ACTION_EXTRACT_SLOTS:
        by_custom_action = assistant.extracts_by_custom_action
        return _session_events(dialogue, most) if by_custom_action else _message_events(dialogue)
    if action in domain.forms:
        return _message_events(dialogue)
    if action == ACTION_SESSION_START and domain.session.carry_over_slots:
        return dialogue.latest_settings()
    return ()


def _session_events(dialogue: Dialogue, most: int) -> Sequence[Event]:
    return dialogue.events_since(max(dialogue.session_start, dialogue.event_count - most))


def _message_events(dialogue: Dialogue) -> Sequence[Event]:
    """The latest user message and what followed it."""
    found: list[Event] = []
    for event in dialogue.newest_first():
        found.append(event)
        if isinstance(event, UserUttered) or len(found) == _MESSAGE_EVENTS:
            break
    found.reverse()
    return found
