"""Protobuf from clients, services and the log: requests, events, parse results, trackers, turns, snapshots."""

import json
from collections.abc import Sequence
from functools import cache

from google.protobuf.message import DecodeError
from turnstream.api.v1 import conversations_pb2, events_pb2, tracker_pb2
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.assistant.domain import Domain, Slot
from turnstream.dialogue import events as ev
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import (
    event_from_proto,
    event_to_proto,
    history_from_proto,
    parse_from_proto,
    tracker_events_from_proto,
    tracker_from_proto,
    tracker_to_proto,
)
from turnstream.dialogue.proto_late import event_read_late
from turnstream.dialogue.rasa_json import event_to_rasa, tracker_to_rasa
from turnstream.dialogue.snapshot import SnapshotRefused, restored, snapshot_of
from turnstream.dialogue.values import UnreadableValueError, map_from_proto, map_to_proto
from turnstream.gateway import requests
from turnstream.runtime.errors import InvalidRequest
from turnstream.turnlog.errors import UndecodableRecord
from turnstream.turnlog.records import decode_inbox, decode_turn, encode_inbox, encode_turn

from fuzz.target import Target, choosing, chosen

MAX_BYTES = 100_000


@cache
def domain() -> Domain:
    return Domain(slots={"city": Slot("city", "text"), "n": Slot("n", "float"), "any": Slot("any", "any")})


def _event(data: bytes) -> object:
    return event_to_rasa(event_from_proto(events_pb2.Event.FromString(data)))


def _parse(data: bytes) -> object:
    return parse_from_proto(events_pb2.ParseData.FromString(data))


def _tracker(data: bytes) -> object:
    message = tracker_pb2.Tracker.FromString(data)
    return tracker_to_rasa(tracker_from_proto(message), tracker_events_from_proto(message))


def _history(data: bytes) -> object:
    return history_from_proto(tracker_pb2.DialogueHistory.FromString(data))


def _inbox(data: bytes) -> object:
    return decode_inbox(data, "ada")


def _turn(data: bytes) -> object:
    record = decode_turn(data, "ada")
    return Dialogue("ada", domain(), (event_read_late(event) for event in record.events)).history()


def _snapshot(data: bytes) -> object:
    dialogue, _ = restored(data, "ada", domain())
    return dialogue.tracker, dialogue.history()


def _append_events(data: bytes) -> None:
    """What the gateway lets in, everybody can read ever after."""
    request = conversations_pb2.AppendEventsRequest.FromString(data)
    message = requests.inbox_message(request.conversation_id, request.message_id or "1", request.output_channel or "x")
    message.events_to_append.CopyFrom(requests.events_to_append(request.events, MAX_BYTES))
    requests.check_depth(message)
    stored = decode_inbox(encode_inbox(message), request.conversation_id)
    for event in stored.events_to_append.events:
        _said_in_json(event_to_rasa(event_from_proto(event)))
    dialogue = Dialogue("ada", domain(), (event_read_late(event) for event in stored.events_to_append.events))
    tracker_to_proto(dialogue.tracker).SerializeToString()
    dialogue.history()


def _send_message(data: bytes) -> None:
    request = conversations_pb2.SendMessageRequest.FromString(data)
    message = requests.inbox_message(request.conversation_id, request.message_id or "1", request.channel or "x")
    metadata = request.metadata if request.HasField("metadata") else None
    message.user_message.CopyFrom(requests.user_message(requests.required(request.text, "text"), metadata, MAX_BYTES))
    requests.check_depth(message)
    stored = decode_inbox(encode_inbox(message), request.conversation_id)
    _said_in_json(map_from_proto(stored.user_message.metadata))


def _said_in_json(value: object) -> None:
    json.dumps(value, allow_nan=False).encode()


_DECODERS = (_event, _parse, _tracker, _history, _inbox, _turn)
_REQUESTS = (_append_events, _send_message)
_PARSE = ev.ParseData(
    intent=ev.IntentScore("greet", 0.9),
    intent_ranking=(ev.IntentScore("greet", 0.9),),
    entities=(ev.ExtractedEntity("city", "Rome", start=0, end=4, confidence=0.5),),
)
_EVENTS: tuple[ev.Event, ...] = (
    ev.ActionExecuted(timestamp=1.0, name="action_session_start"),
    ev.SessionStarted(timestamp=1.5),
    ev.ActionExecuted(timestamp=1.5, name="action_listen"),
    ev.UserUttered(timestamp=2.0, text="hi", parse_data=_PARSE, input_channel="rest", message_id="m"),
    ev.SlotSet(timestamp=2.5, name="any", value={"a": [1, 2.5, None, 2**70, True]}, metadata={"k": "v"}),
    ev.BotUttered(timestamp=3.0, text="hello", data={"buttons": [{"title": "x"}]}),
    ev.ActiveLoopChanged(timestamp=3.0, name="form"),
    ev.ReminderScheduled(timestamp=3.0, intent="later", trigger_date_time="2026-11-22T08:00:00+00:00", name="r"),
    ev.UserUtteranceReverted(timestamp=4.0),
    ev.Restarted(timestamp=5.0),
)


def _dialogue() -> Dialogue:
    return Dialogue("ada", domain(), _EVENTS[:7])


def _decoder_seeds() -> Sequence[bytes]:
    events = [event_to_proto(event) for event in _EVENTS]
    record = TurnRecord(conversation_id="ada", message_id="m", turn_number=1, events=events)
    message = InboxMessage(conversation_id="ada", message_id="m", channel="rest")
    message.user_message.text = "hi"
    tracker = tracker_to_proto(_dialogue().tracker, _EVENTS)
    return [
        *(chosen(0, event.SerializeToString()) for event in events),
        chosen(1, events[3].user_uttered.parse_data.SerializeToString()),
        chosen(2, tracker.SerializeToString()),
        chosen(4, encode_inbox(message)),
        chosen(5, encode_turn(record)),
    ]


def _request_seeds() -> Sequence[bytes]:
    events = [event_to_proto(event) for event in _EVENTS]
    append = conversations_pb2.AppendEventsRequest(conversation_id="ada", events=events)
    unwritable = map_to_proto({"n": 2**70})
    unwritable.entries[0].value.big_int_value = "many"
    sends = [
        conversations_pb2.SendMessageRequest(conversation_id="ada", text="hi", metadata=metadata)
        for metadata in (map_to_proto({"a": [1, 2**70, 0.5]}), map_to_proto({"n": float("nan")}), unwritable)
    ]
    return [chosen(0, append.SerializeToString()), *(chosen(1, send.SerializeToString()) for send in sends)]


def _snapshot_seeds() -> Sequence[bytes]:
    return [data for window in (3, 5) if (data := snapshot_of(_dialogue(), window)) is not None]


_SNAPSHOT_REFUSALS = (SnapshotRefused, EarlierEventsNeeded, UnreadableValueError)
"""What a message holds is read when it is looked at, and so an unreadable value in it is found late."""
TARGETS = (
    Target("protobuf", choosing(*_DECODERS), (DecodeError, UndecodableRecord, UnreadableValueError), _decoder_seeds),
    Target("requests", choosing(*_REQUESTS), (DecodeError, InvalidRequest), _request_seeds),
    Target("snapshots", _snapshot, _SNAPSHOT_REFUSALS, _snapshot_seeds),
)
