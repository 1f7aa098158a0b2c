"""The REST door as a whole: which routes there are, what stands before them, in which order."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from turnstream.gateway.access import Guard
from turnstream.gateway.channel import Channel
from turnstream.gateway.channels.chat import ChatChannel
from turnstream.gateway.deliveries import Deliveries
from turnstream.gateway.door import Door
from turnstream.gateway.inspection import Inspection
from turnstream.gateway.limits import Limits
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.gateway.rest import event_stream
from turnstream.gateway.rest.auth import guarded, limiting
from turnstream.gateway.rest.bodies import CLIENT_TIMEOUT_S
from turnstream.gateway.rest.conversations import ConversationRoutes
from turnstream.gateway.rest.cors import Cors
from turnstream.gateway.rest.errors import error_middleware
from turnstream.gateway.rest.inspector import InspectorRoutes
from turnstream.gateway.rest.inspector_changes import InspectorChanges
from turnstream.gateway.rest.model import HelloRoutes, ModelRoutes
from turnstream.gateway.rest.observing import observe
from turnstream.gateway.rest.openapi import DOCUMENT, OpenApiRoutes
from turnstream.gateway.rest.pages import ChatPages, InspectorPages
from turnstream.gateway.rest.training import TrainingRoutes
from turnstream.gateway.rest.visitors import Visitors
from turnstream.gateway.rest.webhook import RestChannel, Route
from turnstream.gateway.switch import ModelSwitch
from turnstream.gateway.workshop import Workshop
from turnstream.inspector.histories import Histories
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class _Checked:
    """Routes of the inspector."""

    visitors: Visitors
    group: "Routes"

    def routes(self) -> Iterable[Route]:
        return map(self.visitors.checked, self.group.routes())


class Routes(Protocol):
    """A group of routes; a further channel is one more of these."""

    def routes(self) -> Iterable[Route]: ...


def build_app(
    door: Door,
    bundles: Bundles[LoadedGateway],
    parser: Parser,
    settings: GatewaySettings,
    switch: ModelSwitch | None = None,
    channels: Iterable[Channel] = (),
    workshop: Workshop | None = None,
    inspection: Inspection | None = None,
) -> web.Application:
    """Without `enable_api` only what is public is served; without `switch` the model stays.

    Without `workshop` nothing is trained or tested here. `channels` are open beside `rest`. With `inspection` the
    inspector is open, and the chat with it.
    """
    origins = [origin.strip() for origin in settings.cors.split(",") if origin.strip()]
    visitors = Visitors.of(settings, origins)
    limits = limiting(Limits.of(settings), settings.proxies)
    app = web.Application(middlewares=[observe, error_middleware, limits], client_max_size=settings.max_body_bytes)
    app[CLIENT_TIMEOUT_S] = settings.client_timeout_s
    outgoing = _outgoing(door, channels, visitors if inspection is not None else None)
    groups: list[Routes] = [HelloRoutes(), RestChannel(door), *outgoing.values()]
    if ChatChannel.name in outgoing:
        groups.append(ChatPages(origins))
    if settings.enable_api:
        active = (lambda: workshop.active_trainings) if workshop is not None else int
        groups += [ModelRoutes(bundles, parser, switch, active), ConversationRoutes(door, bundles, outgoing)]
        groups += _training(app, bundles, workshop)
    event_stream.install(app)
    if inspection is not None:
        groups += _inspector(app, inspection, door, visitors, workshop)
    Cors(origins).install(app)
    for deliveries in outgoing.values():
        _end_with(app, deliveries)
    _serve(app, groups, Guard.of(settings))
    return app


def _outgoing(door: Door, channels: Iterable[Channel], visitors: Visitors | None) -> dict[str, Deliveries]:
    """What brings replies to where they belong, by the name of the channel; the inspector's visitors have the chat."""
    if visitors is not None:
        others = [channel for channel in channels if channel.name != ChatChannel.name]
        channels = [*others, ChatChannel(tells_all=visitors.knows_all)]
    return {channel.name: Deliveries(channel, door) for channel in channels}


def _training(app: web.Application, bundles: Bundles[LoadedGateway], workshop: Workshop | None) -> Iterator[Routes]:
    if workshop is not None:
        training = TrainingRoutes(workshop, bundles)
        app.on_cleanup.append(training.close)
        yield training


def _inspector(
    app: web.Application, inspection: Inspection, door: Door, visitors: Visitors, workshop: Workshop | None
) -> Iterator[Routes]:
    histories = Histories(inspection.log, lambda: inspection.bundles.get().domain)
    inspector = InspectorRoutes(inspection, door, histories)
    app.on_cleanup.append(inspector.close)
    if workshop is not None:
        app.on_cleanup.append(lambda _: workshop.close())
    yield InspectorPages()
    yield _Checked(visitors, inspector)
    yield _Checked(visitors, InspectorChanges(inspection, door, histories, workshop))


def _serve(app: web.Application, groups: Iterable[Routes], guard: Guard) -> None:
    """Every route of the groups, and the document that describes them; a slash behind a path does no harm."""
    routes = [route for group in groups for route in group.routes()]
    openapi = OpenApiRoutes(routes)
    app[DOCUMENT] = openapi.document
    routes += openapi.routes()
    told = {(method, path) for method, path, _, _ in routes}
    for method, path, handler, access in routes:
        checked = guarded(guard, handler, access)
        app.router.add_route(method, path, checked)
        with_slash = f"{path}/"
        if not path.endswith(("/", "}")) and (method, with_slash) not in told:
            app.router.add_route(method, with_slash, checked)


def _end_with(app: web.Application, deliveries: Deliveries) -> None:
    async def drain(_: web.Application) -> None:
        await deliveries.drain()

    async def close(_: web.Application) -> None:
        await deliveries.close()

    app.on_shutdown.append(drain)
    app.on_cleanup.append(close)
