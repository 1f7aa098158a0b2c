"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol), for the origins that are allowed."""

from collections.abc import Iterable

from aiohttp import web

from turnstream.gateway.rest.errors import Handler

METHODS = "GET, POST, PUT, DELETE, OPTIONS"
PREFLIGHT_MAX_AGE_S = 600
EXPOSED = "filename"
"""The name of a trained bundle."""


class Cors:
    """Among the origins `*` allows all; none allows nobody, which is what a browser does by itself.

    Pages may send credentials, as to Rasa. That gives nothing away: the API keeps no cookies, and a token is something
    that a page has to know.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def install(self, app: web.Application) -> None:
        @web.middleware
        async def preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._preflight(request, handler)

        app.middlewares.insert(0, preflight)
        app.on_response_prepare.append(self._add_headers)

    def _allows(self, origin: str | None) -> bool:
        return origin is not None and ("*" in self._origins or origin in self._origins)

    async def _preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not (is_preflight and self._allows(request.headers.get("Origin"))):
            return await handler(request)
        wanted = request.headers.get("Access-Control-Request-Headers") or "Content-Type, Authorization"
        headers = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": wanted,
            "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_S),
        }
        return web.Response(status=204, headers=headers)

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Just before the headers leave, which covers streams and errors alike."""
        origin = request.headers.get("Origin")
        if origin is not None and self._allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
            response.headers["Vary"] = "Origin"
