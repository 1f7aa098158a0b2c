"""Taking a message in, waiting for its turn, asking for a tracker: what every protocol of the gateway does.

A message is in the inbox log before anything is answered. The turn is answered from its committed record.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from turnstream.api.v1 import trackers_pb2
from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.api.v1.events_pb2 import Event
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.dialogue.proto import timestamp_to_proto
from turnstream.gateway.metrics import SUBSCRIPTIONS
from turnstream.gateway.requests import check_depth, identifier, size_within
from turnstream.runtime.errors import DeadlinePassed, InternalError, NotFound, TryLater, Unavailable, typed_errors
from turnstream.runtime.metrics import timed
from turnstream.runtime.tracing import begin_trace, current_traceparent, span
from turnstream.turnlog.errors import Erased, InboxFull, LogClosed, UndecodableRecord, Unfinished
from turnstream.turnlog.interface import Inbox, TurnReader

REMEMBERED = 10_000
"""Conversations whose latest turn is remembered, so that a tracker is never older than an answer given."""
NOBODY = "default"
"""Whose tracker it is where events come without a conversation."""
CATCH_UP_S = 2.0
CATCH_UP_INTERVAL_S = 0.005


class AcceptingLog(Inbox, TurnReader, Protocol):
    """The roles of the turn log that a gateway uses."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """`turn_s`: how long to wait for a turn when the client names no deadline; `read_s`: for a tracker."""

    turn_s: float = 60.0
    read_s: float = 10.0
    max_message_bytes: int = 256 * 1024
    max_events_bytes: int = 2 * 1024 * 1024


class Door:
    """`trackers` is a stub of the `Trackers` service: of the one that holds the conversation."""

    def __init__(
        self,
        log: AcceptingLog,
        trackers: Any,
        limits: DoorLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        bundle_version_for: Callable[[str], str] = lambda conversation_id: "",
    ) -> None:
        self._log = log
        self._trackers = trackers
        self.limits = limits or DoorLimits()
        self._clock = clock
        self.new_id = new_id
        self._bundle_version_for = bundle_version_for
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every subscription, which would never end by itself; messages are taken and answered as before."""
        self._closing.set()

    async def accept(self, message: InboxMessage) -> None:
        """Make a message durable; it gets its time, version and trace. Raises InvalidRequest, TryLater, Unavailable."""
        message.accepted_at.CopyFrom(timestamp_to_proto(self._clock()))
        message.bundle_version = self._bundle_version_for(message.conversation_id)
        check_depth(message)
        with timed("gateway.accept"), span("inbox accept", "producer"), log_errors():
            message.traceparent = current_traceparent() or begin_trace()
            await self._log.accept(message)

    async def turn(self, conversation_id: str, message_id: str, timeout_s: float | None = None) -> TurnRecord:
        """The committed turn that answers a message. Raises DeadlinePassed, NotFound, InternalError, Unavailable."""
        limit = self.limits.turn_s if timeout_s is None else timeout_s
        with timed("gateway.wait"), log_errors():
            record = await self._log.wait_for(conversation_id, message_id, limit)
        self._remember(conversation_id, record.turn_number)
        return record

    def _remember(self, conversation_id: str, turn_number: int) -> None:
        self._seen[conversation_id] = max(turn_number, self._seen.pop(conversation_id, 0))
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    async def send(self, message: InboxMessage, timeout_s: float | None = None) -> TurnRecord:
        """Accept, then wait. The same id again gets the turn that it has already."""
        await self.accept(message)
        return await self.turn(message.conversation_id, message.message_id, timeout_s)

    async def turns(self, conversation_id: str, from_turn: int) -> AsyncIterator[TurnRecord]:
        """Committed turns from a number on, without end. Raises Unavailable once this gateway closes."""
        identifier(conversation_id, "conversation_id")
        with log_errors(), SUBSCRIPTIONS.track_inprogress():
            async with aclosing(self._log.turns(conversation_id, max(1, from_turn))) as turns:  # type: ignore[type-var]
                while (record := await self._unless_closing(anext(turns))) is not None:
                    yield record
        raise Unavailable("this gateway stops: subscribe again, from the turn after the last one")

    async def follow(self, conversation_id: str, from_turn: int) -> AsyncIterator[TurnRecord]:
        """The same for this gateway's own use: until it is cancelled."""
        with log_errors():
            async with aclosing(self._log.turns(conversation_id, from_turn)) as turns:  # type: ignore[type-var]
                async for record in turns:
                    yield record

    async def _unless_closing(self, following: Awaitable[TurnRecord]) -> TurnRecord | None:
        """None once the door closes."""
        turn = asyncio.ensure_future(following)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({turn, closing}, return_when=asyncio.FIRST_COMPLETED)
            return turn.result() if turn.done() else None
        finally:
            for task in (turn, closing):
                task.cancel()
            await asyncio.gather(turn, closing, return_exceptions=True)

    async def tracker(
        self,
        conversation_id: str,
        events: EventVerbosity.ValueType = EventVerbosity.EVENT_VERBOSITY_NONE,
        until: Timestamp | None = None,
    ) -> Tracker:
        """The conversation's state; that of a new one where it is unknown. Raises Unavailable, Precondition.

        A turn that was answered here is in it: the reader may hear of a commit before the writer does.
        """
        request = trackers_pb2.ReadTrackerRequest(
            conversation_id=identifier(conversation_id, "conversation_id"), events=events, until=until
        )
        give_up = time.monotonic() + CATCH_UP_S
        with timed("gateway.tracker"), typed_errors("conversation"):
            while True:
                response = await self._trackers.ReadTracker(request, timeout=self.limits.read_s)
                tracker: Tracker = response.tracker
                if tracker.turn_number >= self._seen.get(conversation_id, 0) or time.monotonic() > give_up:
                    return tracker
                await asyncio.sleep(CATCH_UP_INTERVAL_S)

    async def preview(
        self,
        conversation_id: str,
        verbosity: EventVerbosity.ValueType = EventVerbosity.EVENT_VERBOSITY_UNSPECIFIED,
    ) -> trackers_pb2.PreviewNextActionResponse:
        """What the policies would do next."""
        identifier(conversation_id, "conversation_id")
        request = trackers_pb2.PreviewNextActionRequest(conversation_id=conversation_id, events=verbosity)
        return await self._preview(request)

    async def preview_after(
        self, events: Sequence[Event], verbosity: EventVerbosity.ValueType
    ) -> trackers_pb2.PreviewNextActionResponse:
        """What the policies would do after these events, which no conversation gets. Raises InvalidRequest."""
        after = trackers_pb2.PreviewedEvents(events=events)
        size_within(after, "events", self.limits.max_events_bytes)
        check_depth(after)
        request = trackers_pb2.PreviewNextActionRequest(conversation_id=NOBODY, after=after, events=verbosity)
        return await self._preview(request)

    async def preview_again(
        self, events: Sequence[Event], bundle_version: str
    ) -> trackers_pb2.PreviewNextActionResponse:
        """The same after events of the log, by the policies of a version. Raises InvalidRequest, UnknownBundle."""
        after = trackers_pb2.PreviewedEvents(events=events)
        size_within(after, "events", self.limits.max_events_bytes)
        request = trackers_pb2.PreviewNextActionRequest(
            conversation_id=NOBODY, after=after, bundle_version=bundle_version
        )
        return await self._preview(request)

    async def _preview(self, request: trackers_pb2.PreviewNextActionRequest) -> trackers_pb2.PreviewNextActionResponse:
        with typed_errors("conversation"):
            response: trackers_pb2.PreviewNextActionResponse = await self._trackers.PreviewNextAction(
                request, timeout=self.limits.read_s
            )
        return response


@contextmanager
def log_errors() -> Iterator[None]:
    """The log's errors as those of the wire."""
    try:
        yield
    except InboxFull as error:
        raise TryLater(str(error)) from error
    except Unfinished as error:
        raise DeadlinePassed(f"{error}. It will be: ask again with the same message_id") from error
    except Erased as error:
        raise NotFound(str(error)) from error
    except UndecodableRecord as error:
        raise InternalError(str(error)) from error
    except LogClosed as error:
        raise Unavailable(str(error)) from error
