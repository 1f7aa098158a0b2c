"""Whose browser may use the inspector: it shows every conversation, writes files, and asks for no token by default.

Against pages of other sites that are open in the same browser (https://owasp.org/www-community/attacks/csrf), and
against names that are made to lead here (https://en.wikipedia.org/wiki/DNS_rebinding).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from turnstream.gateway.access import Access, Guard
from turnstream.gateway.rest.errors import Handler
from turnstream.gateway.rest.webhook import Route
from turnstream.runtime.errors import Forbidden, TurnstreamError
from turnstream.runtime.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class Visitors:
    """`origins` are those of other pages that may write; `is_local`: only this machine is listened to, unguarded."""

    guard: Guard
    origins: frozenset[str] = frozenset()
    is_local: bool = False

    @classmethod
    def of(cls, settings: GatewaySettings, origins: Iterable[str]) -> "Visitors":
        guard = Guard.of(settings)
        is_guarded = bool(guard.token or guard.jwt_key)
        return cls(guard, frozenset(origins), not is_guarded and _is_loopback(settings.host))

    def checked(self, route: Route) -> Route:
        """The route for those alone who may."""
        method, path, handler, access = route
        return method, path, self._checked(handler, writes=method != "GET"), access

    def _checked(self, handler: Handler, *, writes: bool) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            if self.is_local and not _is_loopback(_name_in(request.host)):
                raise Forbidden(f"the inspector is for this machine: open it at localhost, not at {request.host}")
            if writes:
                self._require_origin(request)
            return await handler(request)

        return checked

    def _require_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self.origins and origin.partition("://")[2] != request.host:
            raise Forbidden(f"pages of {origin} may not do this; --cors names those that may")

    def knows_all(self, request: web.Request) -> bool:
        """Whether whoever asks may use the inspector."""
        token, authorization = request.query.get("token"), request.headers.get("Authorization")
        try:
            self.guard.check(Access.ADMIN, token=token, authorization=authorization, conversation_id=None)
        except TurnstreamError:
            return False
        return not self.is_local or _is_loopback(_name_in(request.host))


def _name_in(host: str) -> str:
    """Without the port; empty where it is no host at all."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
