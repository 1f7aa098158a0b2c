"""`/conversations/{id}/...`: trackers, events, messages, actions and predictions."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.api.v1.events_pb2 import Entity, Event
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.trackers_pb2 import PreviewNextActionResponse
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.dialogue import events as ev
from turnstream.dialogue.as_stories import sessions_of, stories_yaml
from turnstream.dialogue.parse_json import entity_from_rasa
from turnstream.dialogue.parse_proto import entity_to_proto
from turnstream.dialogue.proto import (
    event_to_proto,
    parse_to_proto,
    timestamp_to_proto,
    tracker_events_from_proto,
    tracker_from_proto,
)
from turnstream.dialogue.rasa_json import EventError, events_from_rasa, parse_from_rasa, tracker_to_rasa
from turnstream.dialogue.values import UnwritableValueError
from turnstream.gateway import requests
from turnstream.gateway.access import Access
from turnstream.gateway.deliveries import Deliveries
from turnstream.gateway.door import Door
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.rest.bodies import (
    answer,
    conversation_id_of,
    optional_number,
    optional_text,
    query_flag,
    query_number,
    query_text,
    read_json,
    read_object,
    text_field,
)
from turnstream.gateway.rest.errors import BadField, ConversationNotFound
from turnstream.gateway.rest.replies import replies_json
from turnstream.gateway.rest.webhook import Route
from turnstream.runtime.bundles import Bundles

LATEST_CHANNEL = "latest"
DEFAULT_CHANNEL = "rest"
VERBOSITIES: Mapping[str, EventVerbosity.ValueType] = {
    "NONE": EventVerbosity.EVENT_VERBOSITY_NONE,
    "APPLIED": EventVerbosity.EVENT_VERBOSITY_APPLIED,
    "AFTER_RESTART": EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART,
    "ALL": EventVerbosity.EVENT_VERBOSITY_ALL,
}


class ConversationRoutes:
    """`outgoing` are the channels, by name, that bring a turn's messages to where they belong."""

    def __init__(
        self, door: Door, bundles: Bundles[LoadedGateway], outgoing: Mapping[str, Deliveries] | None = None
    ) -> None:
        self._door = door
        self._bundles = bundles
        self._outgoing = outgoing or {}

    def routes(self) -> Iterable[Route]:
        base, access = "/conversations/{conversation_id:.+}", Access.CONVERSATION
        return (
            ("GET", f"{base}/tracker", self.get_tracker, access),
            ("POST", f"{base}/tracker/events", self.append_events, access),
            ("PUT", f"{base}/tracker/events", self.replace_events, access),
            ("POST", f"{base}/execute", self.execute, access),
            ("POST", f"{base}/trigger_intent", self.trigger_intent, access),
            ("POST", f"{base}/predict", self.predict, access),
            ("POST", f"{base}/messages", self.add_message, access),
            ("GET", f"{base}/story", self.get_story, access),
            ("DELETE", base, self.erase, access),
            ("POST", "/model/predict", self.predict_after, Access.ADMIN),
        )

    async def get_tracker(self, request: web.Request) -> web.StreamResponse:
        verbosity = verbosity_of(request)
        until = query_number(request, "until")
        timestamp = None if until is None else timestamp_to_proto(until)
        tracker = await self._door.tracker(conversation_id_of(request), verbosity, timestamp)
        return answer(tracker_json(tracker, verbosity))

    async def append_events(self, request: web.Request) -> web.StreamResponse:
        verbosity = verbosity_of(request)
        events = await self._events(request)
        with_effects = query_flag(request, "execute_side_effects")
        channel = await self._output_channel(request, must_exist=False) if with_effects else DEFAULT_CHANNEL
        message = self._message(request, channel)
        self._put_events(message, events)
        message.events_to_append.has_effects = with_effects
        await self._send(message)
        return await self._tracker(request, verbosity)

    async def replace_events(self, request: web.Request) -> web.StreamResponse:
        """The log keeps what happened: a restart is written, then the events, of which there may be none.

        `include_events=ALL` shows both.
        """
        verbosity = verbosity_of(request)
        message = self._message(request, DEFAULT_CHANNEL)
        body = await read_json(request)
        events = self._read_events(body) if body != [] else ()
        first = min((event.timestamp for event in events), default=time.time())
        self._put_events(message, [ev.Restarted(timestamp=first), *events])
        await self._door.send(message)
        return await self._tracker(request, verbosity)

    def _put_events(self, message: InboxMessage, events: Iterable[ev.Event]) -> None:
        protos = [_event(event) for event in events]
        message.events_to_append.CopyFrom(requests.events_to_append(protos, self._door.limits.max_events_bytes))

    async def _events(self, request: web.Request) -> tuple[ev.Event, ...]:
        return self._read_events(await read_json(request))

    def _read_events(self, body: Any) -> tuple[ev.Event, ...]:
        requests.check_nesting(body, "events")
        events, errors = events_from_rasa(body if isinstance(body, list) else [body], now=time.time())
        if errors:
            raise BadField("; ".join(map(_event_error, errors)), errors[0].field)
        if not events:
            raise BadField("Couldn't extract a proper event from the request body.", "")
        return events

    async def execute(self, request: web.Request) -> web.StreamResponse:
        verbosity = verbosity_of(request)
        body = await read_object(request)
        name = text_field(body, "name", "Name of the action not provided in request body.")
        policy, confidence = optional_text(body, "policy"), optional_number(body, "confidence")
        if len(self._bundles):
            self._bundles.get().require_action(name)
        message = self._message(request, await self._output_channel(request))
        message.action_to_execute.CopyFrom(requests.action_to_execute(name, policy, confidence))
        return await self._tracker_and_messages(request, await self._send(message), verbosity)

    async def trigger_intent(self, request: web.Request) -> web.StreamResponse:
        verbosity = verbosity_of(request)
        body = await read_object(request)
        name = text_field(body, "name", "Name of the intent not provided in request body.")
        values, full_entities = _entities(body.get("entities"))
        entities = requests.map_within(values, "entities", self._max_bytes)
        if len(self._bundles):
            self._bundles.get().require_intent(name)
        message = self._message(request, await self._output_channel(request, must_exist=False))
        trigger = requests.intent_trigger(name, entities, self._max_bytes, full_entities)
        message.intent_trigger.CopyFrom(trigger)
        return await self._tracker_and_messages(request, await self._send(message), verbosity)

    async def predict(self, request: web.Request) -> web.StreamResponse:
        verbosity = verbosity_of(request)
        await self._existing(request)
        preview = await self._door.preview(conversation_id_of(request), verbosity)
        return answer(self._prediction(preview, verbosity))

    async def predict_after(self, request: web.Request) -> web.StreamResponse:
        """What the policies would do after a list of events, outside every conversation."""
        verbosity = verbosity_of(request)
        body = await read_json(request)
        if not isinstance(body, list):
            raise BadField("The body must be a list of events", "")
        events = [_event(event) for event in self._read_events(body)] if body else []
        if len(self._bundles):
            self._bundles.get()
        preview = await self._door.preview_after(events, verbosity)
        return answer(self._prediction(preview, verbosity))

    async def add_message(self, request: web.Request) -> web.StreamResponse:
        verbosity = verbosity_of(request)
        body = await read_object(request)
        text = text_field(body, "text")
        if (sender := body.get("sender", "user")) != "user":
            only = "Currently, only user messages can be passed to this endpoint."
            raise BadField(f"{only} Messages of sender '{sender}' cannot be handled.", "sender")
        parse_data = None
        if body.get("parse_data") is not None:
            requests.check_nesting(body["parse_data"], "parse_data")
            parse_data = parse_to_proto(_parse_data(body["parse_data"]))
        message = self._message(request, DEFAULT_CHANNEL)
        if parse_data is not None and not parse_data.HasField("message_id"):
            parse_data.message_id = message.message_id
        # It came by no channel, and nothing is to be sent where it came from.
        message.channel = ""
        metadata = body.get("metadata")
        packed = None if metadata is None else requests.map_within(metadata, "metadata", self._max_bytes)
        message.message_to_add.CopyFrom(requests.message_to_add(text, parse_data, packed, self._max_bytes))
        await self._door.send(message)
        return await self._tracker(request, verbosity)

    async def get_story(self, request: web.Request) -> web.StreamResponse:
        """The latest session since a restart as a test story, as it happened; with `all_sessions` one for each."""
        until = query_number(request, "until")
        whole = query_flag(request, "all_sessions")
        verbosity = VERBOSITIES["ALL" if whole else "AFTER_RESTART"]
        timestamp = None if until is None else timestamp_to_proto(until)
        tracker = await self._door.tracker(conversation_id_of(request), verbosity, timestamp)
        if not tracker.turn_number:
            raise ConversationNotFound
        sessions = sessions_of(tracker_events_from_proto(tracker))
        text = stories_yaml(tracker.conversation_id, sessions if whole else sessions[-1:])
        return web.Response(text=text, content_type="text/plain")

    async def erase(self, request: web.Request) -> web.StreamResponse:
        """Not of Rasa's API: a person's right to be forgotten."""
        await self._existing(request)
        message = self._message(request, DEFAULT_CHANNEL)
        message.erasure.CopyFrom(requests.erasure(request.query.get("reason", ""), self._max_bytes))
        await self._door.send(message)
        return web.Response(status=204)

    @property
    def _max_bytes(self) -> int:
        return self._door.limits.max_message_bytes

    def _message(self, request: web.Request, channel: str) -> InboxMessage:
        message_id = request.query.get("message_id") or self._door.new_id()
        return requests.inbox_message(conversation_id_of(request), message_id, channel)

    async def _send(self, message: InboxMessage) -> TurnRecord:
        """What the bot says goes to the channel of the message too, where that is one that brings it."""
        outgoing = self._outgoing.get(message.channel)
        return await (outgoing.send(message) if outgoing is not None else self._door.send(message))

    async def _current(self, request: web.Request) -> Tracker:
        return await self._door.tracker(conversation_id_of(request))

    async def _existing(self, request: web.Request) -> Tracker:
        tracker = await self._current(request)
        if not tracker.turn_number:
            raise ConversationNotFound
        return tracker

    async def _output_channel(self, request: web.Request, *, must_exist: bool = True) -> str:
        """The channel of the query; `latest` is the one that the user wrote on last. Raises NotFound."""
        tracker = await (self._existing(request) if must_exist else self._current(request))
        wanted = request.query.get("output_channel") or LATEST_CHANNEL
        if wanted != LATEST_CHANNEL:
            return wanted
        return tracker.latest_input_channel or DEFAULT_CHANNEL

    def _prediction(self, preview: PreviewNextActionResponse, verbosity: EventVerbosity.ValueType) -> dict[str, Any]:
        """Every action of the domain has a score, the best is first."""
        prediction = preview.prediction
        actions = self._bundles.get().actions if len(self._bundles) else ()
        by_policy = {p.policy: p for p in prediction.predictions}
        scores = by_policy[prediction.policy].scores if prediction.policy in by_policy else ()
        found = {s.action: s.confidence for s in scores} or {prediction.action: prediction.confidence}
        ranking = sorted((dict.fromkeys(actions, 0.0) | found).items(), key=lambda scored: (-scored[1], scored[0]))
        return {
            "scores": [{"action": action, "score": score} for action, score in ranking],
            "policy": prediction.policy or None,
            "confidence": prediction.confidence,
            "tracker": tracker_json(preview.tracker, verbosity),
        }

    async def _tracker(self, request: web.Request, verbosity: EventVerbosity.ValueType) -> web.StreamResponse:
        tracker = await self._door.tracker(conversation_id_of(request), verbosity)
        return answer(tracker_json(tracker, verbosity))

    async def _tracker_and_messages(
        self, request: web.Request, record: TurnRecord, verbosity: EventVerbosity.ValueType
    ) -> web.StreamResponse:
        tracker = await self._door.tracker(conversation_id_of(request), verbosity)
        messages = replies_json(conversation_id_of(request), record.replies)
        return answer({"tracker": tracker_json(tracker, verbosity), "messages": messages})


def verbosity_of(request: web.Request) -> EventVerbosity.ValueType:
    wanted = query_text(request, "include_events") or "AFTER_RESTART"
    if wanted.upper() not in VERBOSITIES:
        known = ", ".join(VERBOSITIES)
        message = f"Invalid parameter value for 'include_events'. Should be one of {known}"
        raise BadField(message, "include_events", "query")
    if wanted.upper() == "ALL" and not query_flag(request, "all_sessions"):
        # What Rasa calls all is what it has in memory: the session that the last turn began in.
        return EventVerbosity.EVENT_VERBOSITY_LATEST_SESSION
    return VERBOSITIES[wanted.upper()]


def tracker_json(tracker: Tracker, verbosity: EventVerbosity.ValueType) -> dict[str, Any]:
    with_events = verbosity != EventVerbosity.EVENT_VERBOSITY_NONE
    events = tracker_events_from_proto(tracker) if with_events else None
    return tracker_to_rasa(tracker_from_proto(tracker), events)


def _event(event: ev.Event) -> Event:
    try:
        return event_to_proto(event)
    except (TypeError, ValueError) as error:
        raise BadField(f"an event cannot be stored: {error}", "") from error


def _event_error(error: EventError) -> str:
    return str(error) if error.index is None else f"event {error.index}: {error}"


def _parse_data(data: Any) -> ev.ParseData:
    try:
        return parse_from_rasa(data)
    except (TypeError, ValueError, KeyError) as error:
        raise BadField(f"'parse_data' cannot be read: {error}", "parse_data") from error


def _entities(given: Any) -> tuple[dict[str, Any], list[Entity]]:
    """Values by name, or a list of entities, which may have roles and groups."""
    if given is None or isinstance(given, dict):
        return given or {}, []
    wanted = "'entities' must be an object of values by name, or a list of entities"
    if not isinstance(given, list):
        raise BadField(wanted, "entities")
    requests.check_nesting(given, "entities")
    try:
        return {}, [entity_to_proto(entity_from_rasa(entity)) for entity in given]
    except (EventError, UnwritableValueError) as error:
        raise BadField(f"{wanted}: {error}", "entities") from error
