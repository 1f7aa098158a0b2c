"""The composition root: puts the services of one process together.

A service that is in this process is called without a socket, another at its address; its code cannot tell.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc.aio

from turnstream.action.loaded import LoadedActions
from turnstream.action.nlg import NlgServer, nlg_settings
from turnstream.action.service import ActionService
from turnstream.action.settings import server_settings
from turnstream.api.v1.action_pb2_grpc import add_ActionDispatchServicer_to_server
from turnstream.api.v1.conversations_pb2_grpc import add_ConversationsServicer_to_server
from turnstream.api.v1.nlu_pb2_grpc import NluStub, add_NluServicer_to_server
from turnstream.api.v1.policy_pb2_grpc import add_DialoguePolicyServicer_to_server
from turnstream.api.v1.selection_pb2_grpc import ResponseSelectionStub, add_ResponseSelectionServicer_to_server
from turnstream.api.v1.trackers_pb2_grpc import TrackersStub, add_TrackersServicer_to_server
from turnstream.assistant.bundle import Bundle
from turnstream.cli.child import environment_of
from turnstream.cli.doors import HAND_OVER_S
from turnstream.cli.lifetime import forever
from turnstream.cli.placement import ASKS, SERVICES, Assistant
from turnstream.cli.turn_logs import open_turn_log
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.peers import Peers
from turnstream.conversation.services import Channels, Services
from turnstream.conversation.trackers import TrackersService
from turnstream.conversation.turn import TurnHandler
from turnstream.conversation.worker import ConversationWorker
from turnstream.gateway.access import Guard
from turnstream.gateway.conversations import ConversationsService
from turnstream.gateway.door import Door, DoorLimits
from turnstream.gateway.guarded import DoorInterceptor
from turnstream.gateway.inspection import Inspection
from turnstream.gateway.limits import Limits
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.gateway.rest.app import build_app
from turnstream.gateway.rest.listening import RestServer
from turnstream.gateway.switch import ModelSwitch
from turnstream.gateway.workshop import Workshop
from turnstream.inference.client import ModelClient
from turnstream.inference.gate import ModelGate, missing_models
from turnstream.inspector.loaded import InspectedBundle
from turnstream.nlu.loaded import LoadedNlu
from turnstream.nlu.service import NluService
from turnstream.nlu.understanding import Outside as NluOutside
from turnstream.policy.loaded import LoadedPolicies
from turnstream.policy.policies import Outside as PolicyOutside
from turnstream.policy.service import PolicyService
from turnstream.runtime.bundle_keeper import BundleKeeper
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.channels import open_channel
from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.local import LocalChannel, LocalServer
from turnstream.runtime.outgoing import ObservedChannel
from turnstream.runtime.readiness import Need
from turnstream.runtime.rollout_files import RolloutFiles
from turnstream.runtime.rollout_gates import ServiceGate, host_of
from turnstream.runtime.security import channel_security, door_security
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service, register
from turnstream.runtime.settings import GrpcSettings, Settings
from turnstream.selection.loaded import LoadedSelection
from turnstream.selection.service import SelectionService
from turnstream.turnlog.interface import TurnLog

T = TypeVar("T")
logger = logging.getLogger(__name__)

STOP_S = HAND_OVER_S + 3.0


class Assembly:
    """The services `names` of one process. `services` are what a gRPC server of this process offers."""

    def __init__(self, assistant: Assistant, settings: Settings, names: Collection[str], stack: AsyncExitStack) -> None:
        self.services: list[Service] = []
        self._assistant = assistant
        self._settings = settings
        self._names = names
        self._stack = stack
        self._local = LocalServer([ErrorInterceptor()])
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._log: TurnLog | None = None
        self._working: asyncio.Task[None] | None = None
        self._the_door: Door | None = None
        self._files = RolloutFiles.of(settings.bundles)
        self.keeper = BundleKeeper(assistant.bundle, self._files, settings.bundles)

    @property
    def settings(self) -> Settings:
        """Those of the process, with the addresses of what is not in it."""
        return self._settings

    async def build(self) -> None:
        """Load the bundle into each service, callees before callers."""
        builders: Mapping[str, Callable[[], list[Service]]] = {
            "nlu": self._nlu,
            "selection": self._selection,
            "policy": self._policy,
            "action": self._action,
            "conversation": self._conversation,
            "gateway": self._gateway,
        }
        for name in SERVICES:
            if name in self._names:
                built = builders[name]()
                register(built, self._local)
                self.services += built
        self._follow()

    def _follow(self) -> None:
        """Load other versions as the rollout names them; each serves here once those who are asked have it too."""
        if self._files is not None:
            for name in sorted({other for service in self._names for other in ASKS[service]} - set(self._names)):
                address = getattr(self._settings.address, name)
                if address:
                    opener = self._opener(name)
                    is_model_server = name == "model_server"
                    gate = ModelGate(address, opener) if is_model_server else ServiceGate(name, address, opener)
                    self.keeper.require(gate)
        self.keeper.start()
        self._stack.push_async_callback(self.keeper.stop)

    def _opener(self, name: str) -> Callable[[str], grpc.aio.Channel]:
        """Opens channels to the replicas of a service. Raises BadCertificate."""
        tls = self._settings.tls
        security = channel_security(tls) if name != "model_server" or tls.model_server else None
        if security is not None and not security.server_name:
            # A replica that is asked by its own address shows the certificate of the name.
            security = replace(security, server_name=host_of(getattr(self._settings.address, name)))
        return lambda address: open_channel(address, self._settings.channel, security=security)

    def channel(self, name: str) -> grpc.aio.Channel:
        """To a service, in this process or at its address."""
        if name in self._names:
            return ObservedChannel(LocalChannel(self._local))
        if name not in self._channels:
            channel = self._opener(name)(getattr(self._settings.address, name))
            self._channels[name] = channel
            self._stack.push_async_callback(channel.close)
        return self._channels[name]

    def rest(self) -> RestServer:
        """The REST door of the gateway; its settings say where it listens."""
        bundles = self._loaded(LoadedGateway.load)
        timeouts, gateway = self._settings.timeout, self._settings.gateway
        stubs = NluStub(self.channel("nlu")), ResponseSelectionStub(self.channel("selection"))
        parser = Parser(*stubs, bundles, timeout_s=timeouts.nlu_s, max_bytes=gateway.max_message_bytes)
        switch = ModelSwitch(self.keeper, self._files)
        channels, workshop = self._assistant.channels, self._workshop()
        inspection = self._inspection() if self._assistant.inspects else None
        app = build_app(self._door(), bundles, parser, gateway, switch, channels, workshop, inspection)
        return RestServer(app, gateway, door_security(gateway))

    def _inspection(self) -> Inspection:
        return Inspection(
            self._turn_log(),
            self._loaded(InspectedBundle.load),
            NluStub(self.channel("nlu")),
            self._assistant.project,
            self._settings.timeout.nlu_s,
        )

    def _workshop(self) -> Workshop:
        """Trains into the folder that is followed, else beside the bundle that serves."""
        folder = self._settings.bundles.folder
        models = Path(folder) if folder else self._assistant.bundle.root.parent
        return Workshop("turnstream.cli.workshop", models, environment=environment_of(self._settings))

    def public(self, services: Sequence[Service], settings: GrpcSettings) -> GrpcServer:
        """The gRPC door of the gateway: with tokens and limits before it. Raises BadCertificate."""
        gateway = self._settings.gateway
        return GrpcServer(
            services,
            settings,
            interceptors=[DoorInterceptor(Guard.of(gateway), Limits.of(gateway), gateway.proxies)],
            security=door_security(gateway),
            max_streams_per_connection=gateway.max_streams_per_connection,
        )

    def needs(self) -> dict[str, Need]:
        """What must be there for this process to do its work, by the name of who needs it."""
        found: dict[str, Need] = {}
        if self._settings.address.model_server and any("model_server" in ASKS[name] for name in self._names):
            models = self._models()
            found["models"] = lambda: missing_models(models, self.keeper.bundle)
        if self._log is not None:
            found["turn log"] = self._log.trouble
        if self._working is not None:
            found["conversation"] = self._not_working
        return found

    async def _not_working(self) -> str:
        assert self._working is not None
        if self._working.done():
            return f"its worker has ended: {self._working.exception()!r}"
        return "" if self._log is not None and self._log.joined else "it has not joined the workers of the turn log yet"

    async def working(self) -> None:
        """Until the conversation worker ends, which it does where it cannot go on. Raises what it raised."""
        if self._working is None:
            await forever()
        else:
            await asyncio.shield(self._working)

    def close_doors(self) -> None:
        """What waits at the gateway without an end is ended."""
        if self._the_door is not None:
            self._the_door.close()

    def _nlu(self) -> list[Service]:
        outside = NluOutside(self._models(), self._settings.timeout.predict_s)
        service = NluService(self._loaded(LoadedNlu.load), outside)
        return [Service(service, add_NluServicer_to_server)]

    def _selection(self) -> list[Service]:
        timeout_s = self._settings.timeout.predict_s
        service = SelectionService(self._loaded(LoadedSelection.load), self._models(), predict_timeout_s=timeout_s)
        return [Service(service, add_ResponseSelectionServicer_to_server)]

    def _policy(self) -> list[Service]:
        outside = PolicyOutside(self._models(), self._settings.timeout.predict_s)
        service = PolicyService(self._loaded(LoadedPolicies.load), outside)
        return [Service(service, add_DialoguePolicyServicer_to_server)]

    def _action(self) -> list[Service]:
        endpoints, timeout_s = self._assistant.endpoints, self._settings.timeout.action_s
        server, other_engine = (server_settings(e, timeout_s) for e in (endpoints.action, endpoints.calm))
        service = ActionService(self._loaded(self._load_actions()), server, other_engine=other_engine)
        self._stack.push_async_callback(service.close)
        return [Service(service, add_ActionDispatchServicer_to_server)]

    def _load_actions(self) -> Callable[[Bundle], LoadedActions]:
        """With the domain's own responses, or those of an NLG server."""
        settings = nlg_settings(self._assistant.endpoints.nlg, self._settings.timeout.action_s)
        if settings is None:
            return LoadedActions.load
        server = NlgServer(settings)
        self._stack.push_async_callback(server.close)
        return partial(LoadedActions.load, responses=server.responses)

    def _conversation(self) -> list[Service]:
        channels = Channels(**{name: self.channel(name) for name in ("nlu", "selection", "policy", "action")})
        services = Services(channels, self._settings.timeout)
        handler = TurnHandler(
            self._loaded(LoadedAssistant.load),
            services,
            self._settings.conversation,
            responses_see_events=self._assistant.endpoints.nlg is not None,
        )
        log = self._turn_log()
        address = _advertised(self._settings)
        worker = ConversationWorker(
            log,
            handler,
            self._settings.conversation,
            partition_of=log.partition_of,
            address=address,
            bundle_version_for=self.keeper.version_for,
        )
        self._working = asyncio.get_running_loop().create_task(worker.run())
        self._stack.push_async_callback(_stop_worker, log, worker, self._working)
        peers = Peers(self._opener("conversation"))
        self._stack.push_async_callback(peers.close)
        return [Service(TrackersService(worker, handler, log, peers), add_TrackersServicer_to_server)]

    def _gateway(self) -> list[Service]:
        return [Service(ConversationsService(self._door()), add_ConversationsServicer_to_server)]

    def _door(self) -> Door:
        if self._the_door is None:
            limits = DoorLimits(
                turn_s=self._settings.timeout.turn_s, max_message_bytes=self._settings.gateway.max_message_bytes
            )
            trackers = TrackersStub(self.channel("conversation"))
            self._the_door = Door(self._turn_log(), trackers, limits, bundle_version_for=self.keeper.version_for)
        return self._the_door

    def _turn_log(self) -> TurnLog:
        if self._log is None:
            self._log = open_turn_log(self._settings)
            self._stack.push_async_callback(self._log.close)
        return self._log

    def _models(self) -> ModelClient:
        address = self._settings.address.model_server
        if not address:  # an assistant without models asks nobody
            return ModelClient(LocalChannel(self._local), "no model server")
        return ModelClient(self.channel("model_server"), f"the model server at {address}")

    def _loaded(self, load: Callable[[Bundle], T]) -> Bundles[T]:
        return self.keeper.hold(load)


def _advertised(settings: Settings) -> str:
    """Where other replicas reach this process; empty where its port is not known beforehand."""
    grpc_settings = settings.grpc
    if settings.conversation.advertise or not grpc_settings.port:
        return settings.conversation.advertise
    host = socket.gethostname() if grpc_settings.host in ("0.0.0.0", "::", "") else grpc_settings.host
    return f"[{host}]:{grpc_settings.port}" if ":" in host else f"{host}:{grpc_settings.port}"


@asynccontextmanager
async def assemble(assistant: Assistant, settings: Settings, names: Collection[str]) -> AsyncIterator[Assembly]:
    """Build the services; on leaving, stop them in the reverse order.

    Raises BundleError, IncompatibleLog.
    """
    async with AsyncExitStack() as stack:
        assembly = Assembly(assistant, settings, names, stack)
        await assembly.build()
        yield assembly


async def _stop_worker(log: TurnLog, worker: ConversationWorker, running: "asyncio.Task[None]") -> None:
    """A log that is away must not keep the process: what was not committed is answered by another worker."""
    if not log.joined:
        running.cancel()
    try:
        async with asyncio.timeout(STOP_S):
            await worker.stop()
            await asyncio.gather(running, return_exceptions=True)
    except TimeoutError:
        logger.warning("the turn log did not let the worker go within %g s", STOP_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
