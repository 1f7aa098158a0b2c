"""The services that a turn asks, as awaitable functions with deadlines."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
import grpc.aio

from turnstream.api.v1.action_pb2 import RunActionResponse
from turnstream.api.v1.nlu_pb2 import ParseRequest, ParseResponse
from turnstream.api.v1.nlu_pb2_grpc import NluStub
from turnstream.api.v1.policy_pb2 import PredictNextActionRequest, PredictNextActionResponse
from turnstream.api.v1.policy_pb2_grpc import DialoguePolicyStub
from turnstream.api.v1.selection_pb2 import SelectResponseRequest, SelectResponseResponse
from turnstream.api.v1.selection_pb2_grpc import ResponseSelectionStub
from turnstream.conversation.metrics import ACTION_CALLS
from turnstream.conversation.requests import ActionCall
from turnstream.runtime.metrics import timed
from turnstream.runtime.settings import TimeoutSettings

logger = logging.getLogger(__name__)

RequestT = TypeVar("RequestT", contravariant=True)
ResponseT = TypeVar("ResponseT", covariant=True)
AnswerT = TypeVar("AnswerT")

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


class ServiceFailedError(Exception):
    """A service gave no answer, or refused the question; `where` names it."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.message = message


class Call(Protocol[RequestT, ResponseT]):
    def __call__(self, request: RequestT, /, *, timeout: float | None = None) -> Awaitable[ResponseT]: ...


@dataclass(frozen=True, slots=True)
class Channels:
    """Where each service is: a socket, or the same process."""

    nlu: grpc.aio.Channel
    selection: grpc.aio.Channel
    policy: grpc.aio.Channel
    action: grpc.aio.Channel


class Services:
    """Each call is tried again while nobody answers (UNAVAILABLE), until its timeout has passed.

    Trying again is safe: nothing changes by asking, and an action carries its idempotency key.
    """

    def __init__(self, channels: Channels, timeouts: TimeoutSettings | None = None) -> None:
        self._nlu = NluStub(channels.nlu)
        self._selection = ResponseSelectionStub(channels.selection)
        self._policy = DialoguePolicyStub(channels.policy)
        # The request is put together from bytes; the answer is the stub's.
        self._run_action: Call[bytes, RunActionResponse] = channels.action.unary_unary(
            "/turnstream.api.v1.ActionDispatch/RunAction",
            request_serializer=None,
            response_deserializer=RunActionResponse.FromString,
        )
        self._timeouts = timeouts or TimeoutSettings()

    async def parse(self, request: ParseRequest) -> ParseResponse:
        """Raises ServiceFailedError, as all of these do."""
        with timed("ask nlu"):
            return await _ask("nlu", self._nlu.Parse, request, self._timeouts.nlu_s)

    async def select(self, request: SelectResponseRequest) -> SelectResponseResponse:
        with timed("ask selection"):
            return await _ask("selection", self._selection.SelectResponse, request, self._timeouts.selection_s)

    async def predict(self, request: PredictNextActionRequest) -> PredictNextActionResponse:
        with timed("ask policy"):
            return await _ask("policy", self._policy.PredictNextAction, request, self._timeouts.policy_s)

    async def run_action(self, call: ActionCall) -> RunActionResponse:
        where = f"action {call.request.action}"
        with timed("ask action"):
            try:
                response = await _ask(where, self._run_action, call.encoded(), self._timeouts.action_s)
            except ServiceFailedError:
                ACTION_CALLS.labels("unanswered").inc()
                raise
        ACTION_CALLS.labels(_outcome(response)).inc()
        return response


def _outcome(response: RunActionResponse) -> str:
    if response.HasField("failure"):
        return "failed"
    if response.rejected:
        return "rejected"
    return "custom" if response.custom else "done"


async def _ask(where: str, call: Call[RequestT, AnswerT], request: RequestT, timeout_s: float) -> AnswerT:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await call(request, timeout=deadline - loop.time())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or loop.time() + pause_s >= deadline:
                raise ServiceFailedError(where, f"{error.code().name}: {error.details()}") from error
            logger.warning("%s is not available (%s); trying again", where, error.details())
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
