"""`/inspector/api/...`: what an author makes of a conversation: a fork, a story, an example, a comparison."""

import asyncio
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from aiohttp import web

from turnstream.api.v1.events_pb2 import Event
from turnstream.api.v1.trackers_pb2 import PreviewedEvents
from turnstream.api.v1.turnlog_pb2 import EventsToAppend, TurnRecord
from turnstream.assistant.bundle import BundleError, find_bundle
from turnstream.dialogue.proto import timestamp_from_proto, timestamp_to_proto
from turnstream.gateway.access import Access
from turnstream.gateway.channels.chat import ChatChannel
from turnstream.gateway.door import Door, log_errors
from turnstream.gateway.inspection import Inspection
from turnstream.gateway.requests import identifier, inbox_message, text_within
from turnstream.gateway.rest.bodies import answer, conversation_id_of, optional_text, read_object, text_field
from turnstream.gateway.rest.errors import BadField
from turnstream.gateway.rest.inspector import BASE, CONVERSATION
from turnstream.gateway.rest.webhook import Route
from turnstream.gateway.workshop import Order, Workshop
from turnstream.inspector.examples import NewExample, add_example, entities_in
from turnstream.inspector.histories import Histories
from turnstream.inspector.project_files import Change
from turnstream.inspector.side_by_side import compared_turns
from turnstream.inspector.stories import KINDS, added_story, retold
from turnstream.runtime.errors import Conflict, Forbidden, InvalidRequest
from turnstream.turnlog.errors import MessageTooLarge

MOST_FORK_TURNS = 200
"""Of a longer conversation several turns become one in the fork."""
MOST_NAME = 200
NO_PROJECT = (
    "there are no files of a project here: start `turnstream run --inspect` in the project's folder, "
    "and say with --data where its data are if they are not in the folder data"
)


class InspectorChanges:
    """Nothing of a conversation that is looked at changes."""

    def __init__(
        self,
        inspection: Inspection,
        door: Door,
        histories: Histories,
        workshop: Workshop | None,
    ) -> None:
        self._bundles = inspection.bundles
        self._files = inspection.project
        self._door = door
        self._histories = histories
        self._workshop = workshop

    def routes(self) -> Iterable[Route]:
        yield "POST", f"{CONVERSATION}/fork", self.fork, Access.ADMIN
        yield "POST", f"{CONVERSATION}/story", self.story, Access.ADMIN
        yield "POST", f"{BASE}/examples", self.example, Access.ADMIN
        if self._workshop is not None:
            yield "POST", f"{CONVERSATION}/compare", self.compare, Access.ADMIN

    async def fork(self, request: web.Request) -> web.StreamResponse:
        """The same history in a new conversation, moved in time so that it goes on now."""
        body, conversation_id = await read_object(request), _id_of(request)
        turn = _turn_of(body)
        new_id = optional_text(body, "new_id") or _fork_id(conversation_id)
        identifier(new_id, "new_id")
        with log_errors():
            records = await self._histories.records(conversation_id, turn)
        if (await self._door.tracker(new_id)).turn_number:
            raise Conflict(f"There is a conversation '{new_id}' already.")
        for message_id, events in _forked(records, time.time()):
            message = inbox_message(new_id, message_id, ChatChannel.name)
            message.events_to_append.CopyFrom(EventsToAppend(events=events, verbatim=True))
            try:
                await self._door.send(message)
            except MessageTooLarge as error:
                raise InvalidRequest(f"this history cannot be copied: {error}") from error
        return answer({"id": new_id}, 201)

    async def story(self, request: web.Request) -> web.StreamResponse:
        body, conversation_id = await read_object(request), _id_of(request)
        turn, save, kind = _turn_of(body), _save(body), optional_text(body, "kind") or "test"
        if kind not in KINDS:
            raise BadField(f"'kind' must be {' or '.join(KINDS)}, not {kind!r}", "kind")
        name, file = _name(body), optional_text(body, "file")
        with log_errors():
            dialogue = (await self._histories.turn(conversation_id, turn)).after
        story = retold(dialogue, name, kind)
        if self._files is None:
            if save:
                raise Forbidden(NO_PROJECT)
            return answer({"yaml": story.yaml, "file": file or "", "diff": "", "saved": False})
        change = await asyncio.to_thread(added_story, self._files, story, file)
        await self._save(change, save)
        return answer({"yaml": story.yaml, "file": change.path, "diff": change.diff, "saved": save})

    async def example(self, request: web.Request) -> web.StreamResponse:
        body = await read_object(request)
        text, intent, save = text_field(body, "text"), text_field(body, "intent"), _save(body)
        text_within(text, "text", self._door.limits.max_message_bytes)
        given = body.get("entities") or []
        if not isinstance(given, list):
            raise BadField("'entities' must be a list", "entities")
        if self._files is None:
            raise Forbidden(NO_PROJECT)
        assistant, entities = self._bundles.get(), entities_in(text, given)
        assistant.require_intent(intent)
        for entity in entities:
            assistant.require_entity(entity.entity)
        added = await asyncio.to_thread(add_example, self._files, NewExample(text, intent, entities))
        await self._save(added.change, save)
        return answer(
            {"file": added.change.path, "line": added.line, "diff": added.change.diff, "saved": save},
        )

    async def _save(self, change: Change, save: bool) -> None:
        if save and self._files is not None:
            await asyncio.to_thread(self._files.save, change)

    async def compare(self, request: web.Request) -> web.StreamResponse:
        """The same messages answered by another bundle, in a process of its own; custom actions are not called."""
        body, conversation_id = await read_object(request), _id_of(request)
        wanted = text_field(body, "bundle")
        until = None if body.get("turn") is None else _turn_of(body)
        root = await asyncio.to_thread(self._bundle, wanted)
        with log_errors():
            last = until or (await self._door.tracker(conversation_id)).turn_number or 1
            records = await self._histories.records(conversation_id, last)
        events = PreviewedEvents(events=[event for record in records for event in record.events])
        options = {"bundle": str(root), "conversation_id": conversation_id}
        assert self._workshop is not None
        async with self._workshop.job(Order("compare", events.SerializeToString(), options)) as done:
            return answer({"turns": compared_turns(done.value["turns"], records)})

    def _bundle(self, wanted: str) -> Path:
        """Of a version that is loaded, of a folder beside the trained bundles, or of a path. Raises InvalidRequest."""
        if wanted in self._bundles:
            return self._bundles.get(wanted).root
        assert self._workshop is not None
        for place in (self._workshop.models / wanted, Path(wanted)):
            try:
                return find_bundle(place)
            except (BundleError, OSError, ValueError):
                continue
        raise BadField(f"'{wanted}' is neither a version nor the path of a bundle on the server", "bundle")


def _forked(records: Sequence[TurnRecord], now: float) -> Iterator[tuple[str, list[Event]]]:
    """Message ids and events; the last event is moved to `now`, the others by as much."""
    times = [timestamp_from_proto(event.timestamp) for record in records for event in record.events]
    shift = now - max(times, default=now)
    waiting = iter(records)
    at_once = -(-len(records) // MOST_FORK_TURNS)
    while turns := list(islice(waiting, at_once)):
        events = [_moved(e, shift) for turn in turns for e in turn.events if not e.HasField("conversation_erased")]
        if events:
            yield turns[-1].message_id, events


def _moved(event: Event, shift: float) -> Event:
    moved = Event()
    moved.CopyFrom(event)
    moved.timestamp.CopyFrom(timestamp_to_proto(timestamp_from_proto(event.timestamp) + shift))
    return moved


def _fork_id(conversation_id: str) -> str:
    return f"{conversation_id[:480]}-fork-{uuid.uuid4().hex[:8]}"


def _id_of(request: web.Request) -> str:
    return identifier(conversation_id_of(request), "conversation_id")


def _turn_of(body: dict[str, Any]) -> int:
    """Raises BadField."""
    turn = body.get("turn")
    if isinstance(turn, bool) or not isinstance(turn, int) or not 0 < turn <= 999_999_999:
        raise BadField("'turn' must be the number of a turn", "turn")
    return turn


def _save(body: dict[str, Any]) -> bool:
    """Raises BadField."""
    save = body.get("save", False)
    if not isinstance(save, bool):
        raise BadField("'save' must be true or false", "save")
    return save


def _name(body: dict[str, Any]) -> str:
    """Raises BadField."""
    name = text_field(body, "name").strip()
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise BadField(f"'name' must be a line of 1 to {MOST_NAME} characters", "name")
    return name
