"""The gRPC face of actions: decode, run, encode."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from functools import lru_cache

import grpc.aio

from turnstream.action.action_server import ActionServerSettings, NoActionServer, NoOtherEngine
from turnstream.action.connecting import open_action_server
from turnstream.action.custom import MAX_REMEMBERED_BYTES
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.loaded import LoadedActions
from turnstream.action.scene import Scene
from turnstream.api.v1 import action_pb2 as pb
from turnstream.api.v1 import action_pb2_grpc
from turnstream.api.v1.events_pb2 import Event as EventProto
from turnstream.dialogue.events import ActionExecutionRejected, Event
from turnstream.dialogue.proto import event_to_proto, tracker_from_proto
from turnstream.dialogue.proto_late import event_read_late
from turnstream.dialogue.values import map_from_proto
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest, NotFound
from turnstream.runtime.logs import texts

logger = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[pb.RunActionRequest, pb.RunActionResponse]

LEFT_FOR_ANSWER_S = 0.5
REST = "rest"
RESPONSES_OF_REST = "collector"


class ActionService(action_pb2_grpc.ActionDispatchServicer):
    """Stateless: all that an action needs comes with the request."""

    def __init__(
        self,
        bundles: Bundles[LoadedActions],
        settings: ActionServerSettings | None = None,
        *,
        other_engine: ActionServerSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`settings` say where the action server is, if there is one; `clock` gives seconds since the epoch.

        `other_engine` answers the messages of sessions that are routed to it, and speaks as an action server does.
        Raises BadCertificate.
        """
        self._bundles = bundles
        self._server = open_action_server(settings) if settings else None
        self._other_engine = open_action_server(other_engine) if other_engine else None
        self._clock = clock

    async def close(self) -> None:
        """Close the connections to the action server and to the other engine."""
        for server in (self._server, self._other_engine):
            if server is not None:
                await server.close()

    async def RunAction(self, request: pb.RunActionRequest, context: Context | None) -> pb.RunActionResponse:
        """Raises InvalidRequest without an action or tracker, UnknownBundle, NotFound for an unknown action."""
        if not request.action:
            raise InvalidRequest("`action` is missing")
        if not request.HasField("tracker"):
            raise InvalidRequest("`tracker` is missing")
        loaded = self._bundles.get(request.bundle_version)
        if not request.is_text and not loaded.actions.knows(request.action):
            raise NotFound(f"the assistant has no action {request.action!r}")
        return await _run(loaded, request, self._scene(loaded, request, _deadline(context)))

    def _scene(self, loaded: LoadedActions, request: pb.RunActionRequest, deadline: float | None) -> Scene:
        tracker = tracker_from_proto(request.tracker)
        seed = f"{request.idempotency_key}:{request.action}" if request.idempotency_key else None
        return Scene(
            domain=loaded.domain,
            tracker=tracker,
            events=tuple([_event(message) for message in request.tracker.events]),
            server=self._server or NoActionServer(),
            other_engine=self._other_engine or NoOtherEngine(),
            channel=_said_over(request.channel or tracker.latest_input_channel or ""),
            idempotency_key=request.idempotency_key,
            metadata=map_from_proto(request.metadata),
            deadline=deadline,
            now=self._clock(),
            chance=random.Random(seed),
        )


def _said_over(channel: str) -> str:
    """The name that a response's `channel` is compared with: the REST channel's answers are collected first."""
    return RESPONSES_OF_REST if channel == REST else channel


def _event(message: EventProto) -> Event:
    data = message.SerializeToString()
    return event_read_late(message) if len(data) > MAX_REMEMBERED_BYTES else _remembered_event(data)


@lru_cache(maxsize=16_384)
def _remembered_event(data: bytes) -> Event:
    """An event comes with each action of its session; as it never changes, it is read once."""
    return event_read_late(EventProto.FromString(data))


def _deadline(context: Context | None) -> float | None:
    """A little before the caller's own deadline, so that a late action server is an answer and not an error."""
    remaining = context.time_remaining() if context is not None else None
    if remaining is None:
        return None
    return asyncio.get_running_loop().time() + remaining - min(LEFT_FOR_ANSWER_S, remaining / 10)


async def _run(loaded: LoadedActions, request: pb.RunActionRequest, scene: Scene) -> pb.RunActionResponse:
    name, actions = request.action, loaded.actions
    custom = not request.is_text and actions.is_custom(name)
    events: list[Event] = []
    rejected = False
    try:
        events = actions.run_text(name, scene) if request.is_text else await actions.run(name, scene)
    except ActionRejected as rejection:
        logger.debug("Action %r rejected", rejection.action, extra=texts(reason=rejection.reason))
        events, rejected = [_rejected(request, scene)], True
    except ActionFailed as failure:
        scene.failures.append(failure)
    return pb.RunActionResponse(
        events=[event_to_proto(e) for e in events],
        rejected=rejected,
        failure=_failure(scene.failures),
        custom=custom,
    )


def _rejected(request: pb.RunActionRequest, scene: Scene) -> ActionExecutionRejected:
    prediction = request.prediction
    return ActionExecutionRejected(
        timestamp=scene.now,
        name=request.action,
        policy=prediction.policy or None,
        confidence=prediction.confidence if request.HasField("prediction") else None,
    )


def _failure(failures: list[ActionFailed]) -> pb.ActionFailure | None:
    if not failures:
        return None
    for failure in failures:
        said = texts(quoted=failure.quoted) if failure.quoted else {}
        logger.error("Action %r failed: %s", failure.action, failure.reason, extra=said)
    others = [str(f) for f in failures[1:]]
    return pb.ActionFailure(action=failures[0].action, message="; ".join([failures[0].message, *others]))
