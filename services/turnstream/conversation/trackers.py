"""The servicer that tells the gateway about conversations: those of this replica, and of others by asking them."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc.aio

from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.api.v1.policy_pb2 import PredictNextActionResponse
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.trackers_pb2 import (
    PreviewNextActionRequest,
    PreviewNextActionResponse,
    ReadTrackerRequest,
    ReadTrackerResponse,
)
from turnstream.api.v1.trackers_pb2_grpc import TrackersServicer, TrackersStub
from turnstream.conversation.metrics import FORWARDED_READS
from turnstream.conversation.peers import PeerAway, Peers, was_forwarded
from turnstream.conversation.restoring import LiveDialogue
from turnstream.conversation.services import ServiceFailedError
from turnstream.conversation.turn import TurnHandler
from turnstream.conversation.worker import ConversationWorker
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.events import Event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import timestamp_from_proto, tracker_to_proto
from turnstream.dialogue.proto_late import event_read_late
from turnstream.runtime.errors import InvalidRequest, Unavailable, error_from_rpc
from turnstream.turnlog.interface import LogReader


class TrackersService(TrackersServicer):
    """Answers from committed turns only. An unknown conversation has an empty tracker.

    A replica that does not hold a conversation asks the one that does. While nobody holds it, as when partitions move,
    or its owner cannot be reached, a tracker is read from the log.
    """

    def __init__(
        self,
        worker: ConversationWorker,
        handler: TurnHandler,
        owners: LogReader | None = None,
        peers: Peers | None = None,
    ) -> None:
        """`owners` knows who holds a conversation, `peers` reaches them; without them nobody else is asked."""
        self._worker = worker
        self._handler = handler
        self._owners = owners
        self._peers = peers

    async def ReadTracker(self, request: ReadTrackerRequest, context: Any) -> ReadTrackerResponse:
        """Raises InvalidRequest."""
        answer = await self._from_owner(request, context, lambda stub: stub.ReadTracker)
        if answer is not None:
            found: ReadTrackerResponse = answer
            return found
        try:
            return ReadTrackerResponse(tracker=_tracker(await self._read(request.conversation_id), request))
        except EarlierEventsNeeded:
            live = await self._read(request.conversation_id, whole=True)
            return ReadTrackerResponse(tracker=_tracker(live, request))

    async def PreviewNextAction(self, request: PreviewNextActionRequest, context: Any) -> PreviewNextActionResponse:
        """Raises InvalidRequest, UnknownBundle, Unavailable where the policies or the owner do not answer now."""
        if request.HasField("after"):
            return await self._preview_after(request)
        answer = await self._from_owner(request, context, lambda stub: stub.PreviewNextAction)
        if answer is not None:
            found: PreviewNextActionResponse = answer
            return found
        if not self._worker.holds(request.conversation_id):
            FORWARDED_READS.labels("refused").inc()
            raise Unavailable(f"conversation '{request.conversation_id}' is changing hands; try again in a moment")
        try:
            return await self._preview(await self._read(request.conversation_id), request)
        except EarlierEventsNeeded:
            return await self._preview(await self._read(request.conversation_id, whole=True), request)

    async def _preview(self, live: LiveDialogue, request: PreviewNextActionRequest) -> PreviewNextActionResponse:
        """Raises EarlierEventsNeeded, Unavailable."""
        prediction = await self._predict(live.dialogue)
        events = _chosen(live.dialogue, request.events, live.last_session_start)
        tracker = tracker_to_proto(live.dialogue.tracker, events, live.last_turn)
        return PreviewNextActionResponse(prediction=prediction, tracker=tracker)

    async def _preview_after(self, request: PreviewNextActionRequest) -> PreviewNextActionResponse:
        version = request.bundle_version
        domain = self._handler.loaded(version).domain
        dialogue = Dialogue(request.conversation_id, domain, [event_read_late(event) for event in request.after.events])
        prediction = await self._predict(dialogue, version)
        tracker = tracker_to_proto(dialogue.tracker, _chosen(dialogue, request.events, 0), 0)
        return PreviewNextActionResponse(prediction=prediction, tracker=tracker)

    async def _predict(self, dialogue: Dialogue, version: str = "") -> PredictNextActionResponse:
        try:
            return await self._handler.predict_next(dialogue, version)
        except ServiceFailedError as error:
            raise Unavailable(str(error)) from error

    async def _from_owner(
        self,
        request: ReadTrackerRequest | PreviewNextActionRequest,
        context: Any,
        method: Callable[[TrackersStub], Any],
    ) -> Any | None:
        """The answer of the replica that holds the conversation; None where this one is to answer."""
        conversation_id = request.conversation_id
        if not conversation_id:
            raise InvalidRequest("conversation_id is missing")
        if self._worker.holds(conversation_id):
            return None
        address = None if was_forwarded(context) else await self._owner_of(conversation_id)
        if address is not None and self._peers is not None:
            try:
                answer = await self._peers.ask(address, method, request)
                FORWARDED_READS.labels("forwarded").inc()
                return answer
            except PeerAway:
                pass
            except grpc.aio.AioRpcError as error:
                raise error_from_rpc(error) from error
        FORWARDED_READS.labels("from_log").inc()
        return None

    async def _owner_of(self, conversation_id: str) -> str | None:
        if self._owners is None:
            return None
        address = await self._owners.owner_of(self._owners.partition_of(conversation_id))
        return None if address == self._worker.address else address

    async def _read(self, conversation_id: str, *, whole: bool = False) -> LiveDialogue:
        return await self._worker.read(conversation_id, self._handler.assistant_for(""), whole=whole)


def _tracker(live: LiveDialogue, request: ReadTrackerRequest) -> Tracker:
    """Raises EarlierEventsNeeded."""
    dialogue = live.dialogue
    if request.HasField("until"):
        dialogue = _as_of(dialogue, timestamp_from_proto(request.until))
    events = _chosen(dialogue, request.events, live.last_session_start)
    return tracker_to_proto(dialogue.tracker, events, live.last_turn)


def _as_of(dialogue: Dialogue, until: float) -> Dialogue:
    events = [event for event in dialogue.events if event.timestamp <= until]
    return Dialogue(dialogue.conversation_id, dialogue.domain, events)


def _chosen(dialogue: Dialogue, verbosity: int, last_session_start: int) -> Sequence[Event]:
    match verbosity:
        case EventVerbosity.EVENT_VERBOSITY_ALL:
            return dialogue.events
        case EventVerbosity.EVENT_VERBOSITY_LATEST_SESSION:
            return dialogue.events_since(last_session_start)
        case EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART:
            return dialogue.events_after_restart()
        case EventVerbosity.EVENT_VERBOSITY_APPLIED:
            return dialogue.applied_events()
        case _:
            return ()
