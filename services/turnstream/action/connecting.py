"""Where custom actions run: a server, by the protocol that its URL names, or this process."""

from typing import Protocol

from turnstream.action.action_server import ActionServer, ActionServerSettings
from turnstream.action.grpc_client import GrpcActionServer
from turnstream.action.module_server import ModuleActionServer
from turnstream.action.server_client import HttpActionServer


class ConnectedServer(ActionServer, Protocol):
    async def close(self) -> None: ...


def open_action_server(settings: ActionServerSettings) -> ConnectedServer:
    """Connects at the first call. Raises BadCertificate."""
    if settings.module:
        return ModuleActionServer(settings)
    return GrpcActionServer(settings) if settings.is_grpc else HttpActionServer(settings)
