"""Bringing an assistant up: in this process, or its services in processes of their own."""

import asyncio
import importlib
import logging
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from turnstream.assistant.bundle import Bundle, BundleError, find_bundle, open_bundle
from turnstream.assistant.config import Endpoint, Endpoints
from turnstream.assistant.problems import Problem, ProjectError
from turnstream.assistant.reader import load_endpoints
from turnstream.cli.child import KeptAlive, Program, environment_of, start_together, stopped_together
from turnstream.cli.doors import open_doors
from turnstream.cli.errors import CommandError
from turnstream.cli.lifetime import GiveUp
from turnstream.cli.local_models import local_models
from turnstream.cli.placement import ASKS, SERVICES, Assistant
from turnstream.cli.turn_logs import KINDS, try_turn_log, turn_log_place
from turnstream.runtime.process import observed
from turnstream.runtime.rollout import PLAN_FILE, RolloutPlan, write_plan
from turnstream.runtime.rollout_files import RolloutFiles
from turnstream.runtime.rollout_gates import health_name
from turnstream.runtime.security import BadCertificate, server_security
from turnstream.runtime.server import GrpcServer, PortTaken
from turnstream.runtime.settings import AddressSettings, BundlesSettings, Settings
from turnstream.turnlog.errors import AccessDenied, IncompatibleLog

if TYPE_CHECKING:
    from turnstream.cli.assembly import Assembly

logger = logging.getLogger(__name__)

SERVICE_READY = "turnstream serves on"
OWN_PLAN_POLL_S = 0.5
INSTEAD = {
    "tracker_store": "conversations are kept in {place}. TURNSTREAM_TURN_LOG_KIND says where (docs/turn-log.md)",
    "lock_store": "the turn log keeps the messages of a conversation in order, on any number of replicas",
    "event_broker": "events are in {place}. Read them with `turnstream export`, or from Kafka (docs/replay.md)",
    "model": "bundles come from disk. `turnstream bundle install URL` brings them, and TURNSTREAM_BUNDLES_FOLDER "
    "follows a folder (docs/rollout.md)",
}
"""What serves in place of sections that nothing here uses."""


def load_assistant(model: Path, endpoints: Path | None, bundles: BundlesSettings | None = None) -> Assistant:
    """The bundle at `model` (or the newest in it) and the endpoints. Raises CommandError.

    Where `bundles` say that a folder or a plan is to be followed, the bundle is the one that serves by it.
    """
    # Custom slot types are named by module path from the project's folder.
    if str(Path().resolve()) not in sys.path:
        sys.path.insert(0, str(Path().resolve()))
    try:
        files = RolloutFiles.of(bundles) if bundles else None
        bundle = files.first() if files else open_bundle(find_bundle(model))
    except BundleError as error:
        raise CommandError(str(error)) from error
    try:
        return Assistant(bundle, load_endpoints(endpoints) if endpoints else Endpoints(), endpoints)
    except ProjectError as error:
        raise CommandError("\n".join(str(p) for p in error.problems)) from error


def misread_endpoints(file: Path | None) -> list[Problem]:
    """What of an endpoints file that could be read looks like a slip, such as a name that nothing knows."""
    warned: list[Problem] = []
    if file is not None:
        load_endpoints(file, warned)
    return warned


def unused_endpoints(endpoints: Endpoints, settings: Settings) -> list[Problem]:
    """The sections of an endpoints file that nothing here uses, with what does their work."""
    found: list[Problem] = []
    for name, instead in INSTEAD.items():
        section: Endpoint | None = getattr(endpoints, name)
        if section is not None:
            what = f"'{name}' is not used; {instead.format(place=turn_log_place(settings))}."
            found.append(Problem(section.location, what))
    return sorted(found)


async def serve_here(
    assistant: Assistant, settings: Settings, names: Collection[str], say: Callable[[str], None]
) -> None:
    """Serve `names` over gRPC (and REST, for the gateway) until cancelled. Raises CommandError.

    A broker that is away is waited for, live but not ready.
    """
    if {"conversation", "gateway"} & set(names):
        _check_kind(settings)
        if settings.turn_log.kind != "kafka":
            await _try_turn_log(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(telling_refusals())
        await stack.enter_async_context(observed(settings, f"turnstream-{'-'.join(names)}"))
        assembly = await stack.enter_async_context(_assembled(assistant, settings, names))
        is_public = "gateway" in names
        if is_public:
            server = assembly.public(assembly.services, settings.grpc)
        else:
            server = GrpcServer(assembly.services, settings.grpc, security=server_security(settings.tls))
        await assembly.keeper.tell(lambda version, ready: server.set_health(health_name(version), ready))
        rest = assembly.rest() if is_public else None
        doors = open_doors(
            [server],
            rest,
            needs=assembly.needs(),
            settings=settings.grpc,
            closing=assembly.close_doors,
            hands_over="conversation" in names,
        )
        await stack.enter_async_context(doors)
        if rest is not None:
            say(f"REST on {rest.url}")
        say(f"{SERVICE_READY} {server.address}")
        await assembly.working()


@contextmanager
def telling_refusals() -> Iterator[None]:
    """What a process cannot do for want of a port, a certificate or a right, in plain words."""
    try:
        yield
    except (PortTaken, BadCertificate, IncompatibleLog, AccessDenied) as error:
        raise CommandError(str(error)) from error


@asynccontextmanager
async def whole_assistant(
    assistant: Assistant, settings: Settings, *, apart: bool = False, give_up: GiveUp = logger.error
) -> AsyncIterator["Assembly"]:
    """All services and the model server: in this process, or with `apart` each in one of its own but the gateway.

    `give_up` is told where a process of ours dies again and again. Raises CommandError.
    """
    await _try_turn_log(settings)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnstream-")))
        settings = _followed(assistant.bundle, settings, folder)
        settings = await _with_model_server(settings, folder, stack, give_up)
        names: Collection[str] = SERVICES
        if apart:
            settings = await _with_services(assistant, settings, stack, give_up)
            names = ("gateway",)
        yield await stack.enter_async_context(_assembled(assistant, settings, names))


@asynccontextmanager
async def answering_services(
    assistant: Assistant, settings: Settings, give_up: GiveUp = logger.error
) -> AsyncIterator["Assembly"]:
    """What a turn asks, and the model server, in this process: of this bundle alone, without log, worker and doors.

    Raises CommandError.
    """
    settings = replace(settings, bundles=BundlesSettings(), address=AddressSettings())
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turnstream-")))
        settings = await _with_model_server(_followed(assistant.bundle, settings, folder), folder, stack, give_up)
        yield await stack.enter_async_context(_assembled(assistant, settings, ASKS["conversation"]))


def _followed(bundle: Bundle, settings: Settings, folder: Path) -> Settings:
    """Where nothing is to be followed: a plan of our own, so that the model can be replaced by request."""
    if settings.bundles.folder or settings.bundles.plan:
        return settings
    plan = folder / PLAN_FILE
    write_plan(plan, RolloutPlan(str(bundle.root.resolve())))
    bundles = replace(settings.bundles, plan=str(plan), poll_s=min(settings.bundles.poll_s, OWN_PLAN_POLL_S))
    return replace(settings, bundles=bundles)


@asynccontextmanager
async def _assembled(assistant: Assistant, settings: Settings, names: Collection[str]) -> AsyncIterator["Assembly"]:
    assemble = _assembly().assemble
    try:
        async with assemble(assistant, settings, names) as assembly:
            yield assembly
    except (BundleError, IncompatibleLog) as error:
        raise CommandError(str(error)) from error
    except sqlite3.OperationalError as error:
        raise CommandError(f"{settings.turn_log.path}: the turn log cannot be opened: {error}.") from error


def _assembly() -> ModuleType:
    """The services' code, which takes about a second to import: as long as the model server needs to start."""
    return importlib.import_module("turnstream.cli.assembly")


def _check_kind(settings: Settings) -> None:
    if settings.turn_log.kind not in KINDS:
        raise CommandError(
            f"turn_log.kind: no '{settings.turn_log.kind}' here; turns are kept in {' or '.join(KINDS)}."
        )


async def _try_turn_log(settings: Settings) -> None:
    """Open and close it: what is wrong with it is told before models are loaded."""
    _check_kind(settings)
    try:
        await try_turn_log(settings)
    except (IncompatibleLog, AccessDenied) as error:
        raise CommandError(str(error)) from error
    except (OSError, sqlite3.OperationalError) as error:
        raise CommandError(f"{turn_log_place(settings)}: the turn log cannot be opened: {error}.") from error


async def _with_model_server(settings: Settings, folder: Path, stack: AsyncExitStack, give_up: GiveUp) -> Settings:
    files = RolloutFiles.of(settings.bundles)
    if settings.address.model_server or files is None:
        return settings
    models = await stack.enter_async_context(local_models(settings, files, folder, give_up))
    starting = asyncio.create_task(models.begin())
    try:
        await asyncio.to_thread(_assembly)
        await starting
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    following = asyncio.create_task(models.follow())
    stack.push_async_callback(_cancel, following)
    return replace(settings, address=replace(settings.address, model_server=models.address))


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _with_services(assistant: Assistant, settings: Settings, stack: AsyncExitStack, give_up: GiveUp) -> Settings:
    """Start the services that others call first, and tell the others where they are."""
    for group in (ASKS["conversation"], ("conversation",)):
        children = {name: KeptAlive(_service(name, assistant, settings), give_up) for name in group}
        await stack.enter_async_context(stopped_together(children.values()))
        settings = replace(settings, address=replace(settings.address, **await start_together(children)))
    return settings


def _service(name: str, assistant: Assistant, settings: Settings) -> Callable[[int], Program]:
    arguments = ["serve", name]
    if assistant.endpoints_file is not None:
        arguments += ["--endpoints", str(assistant.endpoints_file)]

    def program(port: int) -> Program:
        listening = replace(settings, grpc=replace(settings.grpc, host="127.0.0.1", port=port))
        environment = environment_of(listening)
        return Program(f"{name} service", "turnstream.cli", arguments, SERVICE_READY, environment)

    return program
