"""A gateway on real sockets with fakes behind it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from turnstream.api.v1 import nlu_pb2, policy_pb2, trackers_pb2
from turnstream.api.v1.conversations_pb2 import Reply
from turnstream.api.v1.conversations_pb2_grpc import add_ConversationsServicer_to_server
from turnstream.api.v1.events_pb2 import IntentScore, ParseData, TextSpan
from turnstream.api.v1.nlu_pb2_grpc import NluServicer, NluStub, add_NluServicer_to_server
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.trackers_pb2_grpc import TrackersServicer, TrackersStub, add_TrackersServicer_to_server
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.gateway.access import Guard
from turnstream.gateway.channel import Channel
from turnstream.gateway.conversations import ConversationsService
from turnstream.gateway.door import Door, DoorLimits
from turnstream.gateway.guarded import DoorInterceptor
from turnstream.gateway.limits import Limits
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.gateway.rest.app import build_app
from turnstream.gateway.rest.listening import RestServer
from turnstream.gateway.workshop import Workshop
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import Unavailable
from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.local import LocalChannel, LocalServer
from turnstream.runtime.security import door_security
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import GatewaySettings, GrpcSettings
from turnstream.testing.scripted_turnlog import ScriptedTurnLog


def echo(message: InboxMessage) -> TurnRecord | None:
    """Says what it was asked; `silence` gets no turn."""
    request = message.WhichOneof("request")
    text = message.user_message.text if request == "user_message" else str(request)
    if text == "silence":
        return None
    reply = Reply(text=f"{message.channel}: {text}")
    return TurnRecord(replies=[reply], bundle_version="7", channel=message.channel)


class FakeTrackers(TrackersServicer):
    """Knows of a conversation how many turns it has."""

    def __init__(self, log: ScriptedTurnLog) -> None:
        self._log = log
        self.asked: list[trackers_pb2.ReadTrackerRequest] = []
        self.reads_behind = 0
        self.events: list[Any] = []
        self.latest_input_channel = "rest"

    async def ReadTracker(self, request: trackers_pb2.ReadTrackerRequest, context: Any) -> Any:
        self.asked.append(request)
        if self.reads_behind:
            self.reads_behind -= 1
            return trackers_pb2.ReadTrackerResponse(tracker=Tracker(conversation_id=request.conversation_id))
        return trackers_pb2.ReadTrackerResponse(tracker=self._tracker(request.conversation_id))

    async def PreviewNextAction(self, request: trackers_pb2.PreviewNextActionRequest, context: Any) -> Any:
        prediction = policy_pb2.PredictNextActionResponse(action="action_listen", policy="RulePolicy", confidence=1.0)
        scores = [policy_pb2.ActionScore(action="action_listen", confidence=1.0)]
        prediction.predictions.add(policy="RulePolicy", scores=scores)
        tracker = self._tracker(request.conversation_id)
        if request.HasField("after"):
            tracker = Tracker(conversation_id=request.conversation_id, events=request.after.events)
        return trackers_pb2.PreviewNextActionResponse(prediction=prediction, tracker=tracker)

    def _tracker(self, conversation_id: str) -> Tracker:
        return Tracker(
            conversation_id=conversation_id,
            turn_number=self._log.last_turn(conversation_id),
            events=self.events,
            latest_input_channel=self.latest_input_channel,
        )


class FakeNlu(NluServicer):
    async def Parse(self, request: nlu_pb2.ParseRequest, context: Any) -> nlu_pb2.ParseResponse:
        if request.text == "down":
            raise Unavailable("no model server")
        parse = ParseData(
            text=request.text,
            intent=IntentScore(name="greet", confidence=0.5),
            intent_ranking=[IntentScore(name="greet", confidence=0.5)],
            text_tokens=[TextSpan(start=0, end=len(request.text))],
        )
        return nlu_pb2.ParseResponse(parse_data=parse, bundle_version=request.bundle_version)


ASSISTANT = LoadedGateway(
    version="7",
    model_id="m",
    model_file="/models/7",
    domain={"version": "3.1", "intents": [{"greet": {"use_entities": []}}], "responses": {}},
    intents=frozenset({"greet", "faq"}),
    actions=frozenset({"utter_greet", "action_listen"}),
)


@dataclass
class Behind:
    """The doors under test and the fakes behind them."""

    rest: RestServer
    grpc: GrpcServer
    log: ScriptedTurnLog
    trackers: FakeTrackers
    bundles: Bundles[LoadedGateway]
    door: Door

    @property
    def url(self) -> str:
        return self.rest.url


@asynccontextmanager
async def running_gateway(
    turn_s: float = 5.0, workshop: Workshop | None = None, channels: Iterable[Channel] = (), **settings: Any
) -> AsyncIterator[Behind]:
    """REST, with the API, and gRPC on free ports; `settings` are `GatewaySettings`."""
    log = ScriptedTurnLog(echo)
    trackers = FakeTrackers(log)
    server = LocalServer([ErrorInterceptor()])
    add_TrackersServicer_to_server(trackers, server)
    add_NluServicer_to_server(FakeNlu(), server)
    channel = LocalChannel(server)
    bundles = Bundles({"7": ASSISTANT})
    chosen = replace(GatewaySettings(port=0, enable_api=True), **settings)
    door = Door(log, TrackersStub(channel), DoorLimits(turn_s, max_message_bytes=chosen.max_message_bytes))
    parser = Parser(NluStub(channel), None, bundles, max_bytes=chosen.max_message_bytes)
    service = Service(ConversationsService(door), add_ConversationsServicer_to_server)
    guard = DoorInterceptor(Guard.of(chosen), Limits.of(chosen), chosen.proxies)
    security = door_security(chosen)
    app = build_app(door, bundles, parser, chosen, channels=channels, workshop=workshop)
    async with (
        RestServer(app, chosen, security) as rest,
        GrpcServer(
            [service],
            GrpcSettings(drain_timeout_s=1.0),
            interceptors=[guard],
            security=security,
            max_streams_per_connection=chosen.max_streams_per_connection,
        ) as grpc,
    ):
        yield Behind(rest, grpc, log, trackers, bundles, door)
