"""The outermost middleware of REST: the trace begins or goes on here, and requests are counted."""

import asyncio
import time
from functools import lru_cache

from aiohttp import web

from turnstream.gateway.metrics import REST_IN_FLIGHT, REST_SECONDS
from turnstream.gateway.rest.errors import Handler
from turnstream.runtime.tracing import TRACEPARENT, begin_trace, in_trace, start_span, valid

UNKNOWN = "unknown"
GONE = 499
"""The status that nginx gives a request whose client did not wait; no status of HTTP says it."""

_seconds = lru_cache(maxsize=1000)(REST_SECONDS.labels)


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    route = _route(request)
    given = valid(request.headers.get(TRACEPARENT, ""))
    span = start_span(f"{request.method} {route}", "server", given, {"http.route": route})
    status, started = GONE, time.perf_counter()
    REST_IN_FLIGHT.inc()
    try:
        with in_trace(span.traceparent if span else begin_trace(given)):
            response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except Exception:
        status = 500
        raise
    finally:
        REST_IN_FLIGHT.dec()
        _seconds(route, str(status)).observe(time.perf_counter() - started)
        if span is not None:
            span.end("" if status < 500 else str(status))


def _route(request: web.Request) -> str:
    """With placeholders: paths hold conversation ids, and there are as many of them as a client likes."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNKNOWN
