"""The servicer of the public gRPC API: checks, puts into the inbox, waits for the committed turn, answers."""

import time
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.duration_pb2 import Duration

from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.api.v1.conversations_pb2_grpc import ConversationsServicer
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.gateway import requests
from turnstream.gateway.door import Door

DEFAULT_CHANNEL = "grpc"
MARGIN = 0.95
"""Share of the client's time that is spent waiting, so that it gets our answer and not its own deadline's."""


class ConversationsService(ConversationsServicer):
    """Raises what `Door` and `requests` raise; the interceptor makes it a status."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def SendMessage(self, request: pb.SendMessageRequest, context: Any) -> pb.SendMessageResponse:
        record = await self._send(self._user_message(request, context), context)
        return pb.SendMessageResponse(turn=turn_of(record))

    async def StreamMessage(
        self, request: pb.StreamMessageRequest, context: Any
    ) -> AsyncIterator[pb.StreamMessageResponse]:
        message = self._user_message(request, context)
        await self._door.accept(message)
        yield pb.StreamMessageResponse(accepted=pb.MessageAccepted(message_id=message.message_id))
        record = await self._door.turn(message.conversation_id, message.message_id, _time_to_wait(context))
        for reply in record.replies:
            yield pb.StreamMessageResponse(reply=reply)
        yield pb.StreamMessageResponse(turn=turn_of(record))

    async def Subscribe(self, request: pb.SubscribeRequest, context: Any) -> AsyncIterator[pb.SubscribeResponse]:
        async for record in self._door.turns(request.conversation_id, request.from_turn):
            yield pb.SubscribeResponse(turn=turn_of(record))

    async def GetTracker(self, request: pb.GetTrackerRequest, context: Any) -> pb.GetTrackerResponse:
        until = request.until if request.HasField("until") else None
        return pb.GetTrackerResponse(tracker=await self._door.tracker(request.conversation_id, request.events, until))

    async def AppendEvents(self, request: pb.AppendEventsRequest, context: Any) -> pb.AppendEventsResponse:
        message = self._message(request, request.output_channel, context)
        message.events_to_append.CopyFrom(requests.events_to_append(request.events, self._door.limits.max_events_bytes))
        message.events_to_append.has_effects = bool(request.output_channel)
        record = await self._send(message, context)
        return pb.AppendEventsResponse(tracker=await self._tracker(request), turn=turn_of(record))

    async def TriggerIntent(self, request: pb.TriggerIntentRequest, context: Any) -> pb.TriggerIntentResponse:
        message = self._message(request, request.channel, context)
        entities = request.entities if request.HasField("entities") else None
        trigger = requests.intent_trigger(request.intent, entities, self._max_bytes, request.full_entities)
        message.intent_trigger.CopyFrom(trigger)
        record = await self._send(message, context)
        return pb.TriggerIntentResponse(tracker=await self._tracker(request), turn=turn_of(record))

    async def ExecuteAction(self, request: pb.ExecuteActionRequest, context: Any) -> pb.ExecuteActionResponse:
        message = self._message(request, request.channel, context)
        policy = request.policy if request.HasField("policy") else None
        confidence = request.confidence if request.HasField("confidence") else None
        message.action_to_execute.CopyFrom(requests.action_to_execute(request.action, policy, confidence))
        record = await self._send(message, context)
        return pb.ExecuteActionResponse(tracker=await self._tracker(request), turn=turn_of(record))

    async def AddMessage(self, request: pb.AddMessageRequest, context: Any) -> pb.AddMessageResponse:
        message = self._message(request, request.channel, context)
        parse_data = request.parse_data if request.HasField("parse_data") else None
        metadata = request.metadata if request.HasField("metadata") else None
        message.message_to_add.CopyFrom(requests.message_to_add(request.text, parse_data, metadata, self._max_bytes))
        await self._send(message, context)
        return pb.AddMessageResponse(tracker=await self._tracker(request))

    async def PredictNext(self, request: pb.PredictNextRequest, context: Any) -> pb.PredictNextResponse:
        start = time.perf_counter()
        preview = await self._door.preview(request.conversation_id)
        elapsed = Duration()
        elapsed.FromNanoseconds(int((time.perf_counter() - start) * 1e9))
        return pb.PredictNextResponse(prediction=preview.prediction, tracker=preview.tracker, elapsed=elapsed)

    async def EraseConversation(
        self, request: pb.EraseConversationRequest, context: Any
    ) -> pb.EraseConversationResponse:
        message = self._message(request, "", context)
        message.erasure.CopyFrom(requests.erasure(request.reason, self._max_bytes))
        return pb.EraseConversationResponse(turn=turn_of(await self._send(message, context)))

    @property
    def _max_bytes(self) -> int:
        return self._door.limits.max_message_bytes

    def _message(self, request: Any, channel: str, context: Any) -> InboxMessage:
        message_id = request.message_id or self._door.new_id()
        return requests.inbox_message(request.conversation_id, message_id, channel or DEFAULT_CHANNEL)

    def _user_message(self, request: pb.SendMessageRequest | pb.StreamMessageRequest, context: Any) -> InboxMessage:
        message = self._message(request, request.channel, context)
        metadata = request.metadata if request.HasField("metadata") else None
        text = requests.required(request.text, "text")
        message.user_message.CopyFrom(requests.user_message(text, metadata, self._max_bytes))
        return message

    async def _send(self, message: InboxMessage, context: Any) -> TurnRecord:
        return await self._door.send(message, _time_to_wait(context))

    async def _tracker(self, request: Any) -> Tracker:
        return await self._door.tracker(request.conversation_id)


def _time_to_wait(context: Any) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None else remaining * MARGIN


def turn_of(record: TurnRecord) -> pb.Turn:
    """A committed record as clients see it."""
    return pb.Turn(
        number=record.turn_number,
        message_id=record.message_id,
        replies=record.replies,
        errors=record.errors,
        committed_at=record.committed_at,
        bundle_version=record.bundle_version,
    )
