"""The services of an assistant on sockets of their own, with scripts in place of models, and a gateway before them.

NLU asks a model server over a pipe; the action of an order asks an action server over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
from aiohttp import web
from support.action_servers import a_request
from support.turns import PLANS, a_domain
from turnstream.action.action_server import ActionServerSettings
from turnstream.action.server_client import HttpActionServer
from turnstream.api.serving.v1 import serving_pb2 as serving
from turnstream.api.v1.action_pb2 import RunActionRequest, RunActionResponse
from turnstream.api.v1.action_pb2_grpc import add_ActionDispatchServicer_to_server
from turnstream.api.v1.conversations_pb2_grpc import add_ConversationsServicer_to_server
from turnstream.api.v1.nlu_pb2 import ParseRequest, ParseResponse
from turnstream.api.v1.nlu_pb2_grpc import NluStub, add_NluServicer_to_server
from turnstream.api.v1.policy_pb2_grpc import add_DialoguePolicyServicer_to_server
from turnstream.api.v1.trackers_pb2_grpc import TrackersStub, add_TrackersServicer_to_server
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.services import Channels, Services
from turnstream.conversation.trackers import TrackersService
from turnstream.conversation.turn import TurnHandler
from turnstream.conversation.worker import ConversationWorker
from turnstream.gateway.conversations import ConversationsService
from turnstream.gateway.door import Door
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.gateway.rest.app import build_app
from turnstream.gateway.rest.listening import RestServer
from turnstream.inference.client import ModelClient
from turnstream.inference.repository import ModelRepository
from turnstream.inference.service import model_services
from turnstream.inference.signatures import Signature, TensorSpec
from turnstream.inference.sources import models_in_folders
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.channels import open_channel
from turnstream.runtime.pipe import PipeServer
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import GatewaySettings, GrpcSettings
from turnstream.testing.scripted_services import ScriptedActions, ScriptedNlu, ScriptedPolicy
from turnstream.turnlog.interface import TurnLog

MODEL = "echo"
GRPC = GrpcSettings(drain_timeout_s=0.0)


class EchoModel:
    """A model that says what it is told, without TensorFlow."""

    def __init__(self, folder: Path) -> None:
        spec = {"x": TensorSpec(serving.DT_FLOAT, (None,), "x:0")}
        self.signatures: Mapping[str, Signature] = {"serving_default": Signature(spec, spec)}

    def run(self, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs

    def close(self) -> None:
        pass


class AskingNlu(ScriptedNlu):
    """Asks a model about each text, and hears nothing of use."""

    def __init__(self, models: ModelClient) -> None:
        super().__init__({"hello": "greet", "I order": "order"})
        self._models = models

    async def Parse(self, request: ParseRequest, context: Any) -> ParseResponse:
        await self._models.predict(MODEL, {"x": np.zeros(1, np.float32)}, timeout_s=5)
        return await super().Parse(request, context)


@dataclass
class ActionServer:
    """Remembers the headers of each call; an action takes until `go` is set."""

    url: str = ""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        await self.go.wait()
        return web.json_response({"events": [], "responses": []})


@dataclass
class Deployment:
    rest: RestServer
    gateway: GrpcServer
    nlu: AskingNlu
    policy: ScriptedPolicy
    action_server: ActionServer
    door: Door


@asynccontextmanager
async def deployed(log: TurnLog, folder: Path, **gateway: Any) -> AsyncIterator[Deployment]:
    """On `log`, which is closed with it; `gateway` are settings of the gateway."""
    async with AsyncExitStack() as stack:
        models = await _model_server(stack, folder)
        action_server = await _action_server(stack)
        nlu, policy = AskingNlu(models), ScriptedPolicy({intent: list(plan) for intent, plan in PLANS.items()})
        actions = _actions(stack, action_server.url)
        channels = Channels(
            nlu=await _served(stack, nlu, add_NluServicer_to_server),
            policy=await _served(stack, policy, add_DialoguePolicyServicer_to_server),
            action=await _served(stack, actions, add_ActionDispatchServicer_to_server),
            selection=open_channel("127.0.0.1:1"),
        )
        trackers = await _conversation(stack, log, channels)
        settings = GatewaySettings(port=0, enable_api=True, **gateway)
        door = Door(log, TrackersStub(trackers))
        bundles: Bundles[LoadedGateway] = Bundles({"v1": LoadedGateway("v1")})
        parser = Parser(NluStub(channels.nlu), None, bundles, max_bytes=settings.max_message_bytes)
        public = GrpcServer([Service(ConversationsService(door), add_ConversationsServicer_to_server)], GRPC)
        await stack.enter_async_context(public)
        rest = await stack.enter_async_context(RestServer(build_app(door, bundles, parser, settings), settings))
        yield Deployment(rest, public, nlu, policy, action_server, door)


async def _served(stack: AsyncExitStack, servicer: Any, add: Callable[[Any, Any], None]) -> grpc.aio.Channel:
    server = await stack.enter_async_context(GrpcServer([Service(servicer, add)], GRPC))
    channel = open_channel(server.address)
    stack.push_async_callback(channel.close)
    return channel


async def _model_server(stack: AsyncExitStack, folder: Path) -> ModelClient:
    model = folder / "models" / MODEL / "1"
    model.mkdir(parents=True)
    (model / "saved_model.pb").touch()
    executor = stack.enter_context(ThreadPoolExecutor(1))
    repository = ModelRepository(lambda: models_in_folders([folder / "models"]), EchoModel, executor)
    await repository.refresh()
    server = PipeServer(model_services(repository), folder / "models.sock")
    await server.start()
    stack.push_async_callback(server.stop, 0.0)
    client = ModelClient.open(server.target)
    stack.push_async_callback(client.close)
    return client


async def _action_server(stack: AsyncExitStack) -> ActionServer:
    server = ActionServer()
    server.go.set()
    app = web.Application()
    app.router.add_post("/webhook", server.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    return server


def _actions(stack: AsyncExitStack, url: str) -> ScriptedActions:
    http = HttpActionServer(ActionServerSettings(url))
    stack.push_async_callback(http.close)
    actions = ScriptedActions()

    async def order(request: RunActionRequest) -> RunActionResponse:
        await http.call(a_request("action_order"), request.idempotency_key)
        return RunActionResponse(custom=True)

    actions.acts["action_order"] = order
    return actions


async def _conversation(stack: AsyncExitStack, log: TurnLog, channels: Channels) -> grpc.aio.Channel:
    handler = TurnHandler(Bundles({"v1": LoadedAssistant("v1", a_domain())}), Services(channels))
    worker = ConversationWorker(log, handler, partition_of=log.partition_of)
    running = asyncio.create_task(worker.run())

    async def stop() -> None:
        await worker.stop()
        await running
        await log.close()

    stack.push_async_callback(stop)
    return await _served(stack, TrackersService(worker, handler), add_TrackersServicer_to_server)
