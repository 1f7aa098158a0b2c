"""The guard and the limits before REST's routes; what they ask for is in `gateway.access` and `gateway.limits`."""

from aiohttp import web
from aiohttp.typedefs import Middleware

from turnstream.gateway.access import Access, Guard
from turnstream.gateway.limits import Limits, client_of
from turnstream.gateway.rest.errors import Handler


def guarded(guard: Guard, handler: Handler, access: Access) -> Handler:
    """The handler behind the guard."""

    async def checked(request: web.Request) -> web.StreamResponse:
        guard.check(
            access,
            token=request.query.get("token"),
            authorization=request.headers.get("Authorization"),
            conversation_id=request.match_info.get("conversation_id"),
        )
        return await handler(request)

    return checked


def limiting(limits: Limits, proxies: int) -> Middleware:
    """A middleware that counts each client's requests."""

    @web.middleware
    async def limited(request: web.Request, handler: Handler) -> web.StreamResponse:
        forwarded_for = ",".join(request.headers.getall("X-Forwarded-For", ())) if proxies else ""
        with limits.admitted(client_of(request.remote or "", forwarded_for, proxies)):
            return await handler(request)

    return limited
