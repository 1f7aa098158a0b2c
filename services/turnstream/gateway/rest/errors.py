"""Errors as Rasa's HTTP API shows them, whatever was raised."""

import json
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from turnstream.runtime import errors as err
from turnstream.runtime.version import VERSION

_LOG = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RETRY_AFTER_S = 1
JSON = "application/json"

_KINDS: Mapping[type[err.TurnstreamError], tuple[int, str]] = {
    err.InvalidRequest: (400, "BadRequest"),
    err.Unauthenticated: (401, "NotAuthenticated"),
    err.Forbidden: (403, "NotAuthorized"),
    err.NoBundle: (409, "Conflict"),
    err.NotFound: (404, "NotFound"),
    err.Conflict: (409, "Conflict"),
    err.Precondition: (409, "Conflict"),
    err.TooManyRequests: (429, "TooManyRequests"),
    err.TryLater: (503, "TryLater"),
    err.Unavailable: (503, "Unavailable"),
    err.DeadlinePassed: (504, "Timeout"),
    err.NotImplementedHere: (501, "NotImplemented"),
}


class NotAcceptable(err.TurnstreamError):
    """No representation that the client accepts."""


class ConversationNotFound(err.NotFound):
    """Rasa's clients know it by a reason of its own."""

    def __init__(self, message: str = "Conversation ID not found.") -> None:
        super().__init__(message)


_REST_KINDS: Mapping[type[err.TurnstreamError], tuple[int, str]] = {
    NotAcceptable: (406, "NotAcceptable"),
    ConversationNotFound: (404, "Not found"),
    **_KINDS,
}


class BadField(err.InvalidRequest):
    """A parameter that cannot be used; `where` is `body`, `query` or `header`."""

    def __init__(self, message: str, parameter: str = "", where: str = "body") -> None:
        super().__init__(message)
        self.details = {"parameter": parameter, "in": where}


def failure(status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> web.Response:
    body = {
        "version": VERSION,
        "status": "failure",
        "message": message,
        "reason": reason,
        "details": dict(details or {}),
        "help": None,
        "code": status,
    }
    try:
        return json_response(body, status)
    except UnicodeEncodeError:
        # It quotes half a pair of surrogates, which JSON can escape and UTF-8 cannot say.
        return web.Response(status=status, body=json.dumps(body).encode(), content_type=JSON)


def json_response(value: Any, status: int = 200) -> web.Response:
    """Without a charset, which JSON has none of (RFC 8259, section 11). Raises UnicodeEncodeError."""
    return web.Response(status=status, body=dumps(value).encode(), content_type=JSON)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def failure_of(error: Exception) -> web.Response:
    """The answer for an exception; an unexpected one is logged with an id and told without its text."""
    if isinstance(error, err.TurnstreamError):
        for kind, (status, reason) in _REST_KINDS.items():
            if isinstance(error, kind):
                response = failure(status, reason, error.message, getattr(error, "details", None))
                if error.retriable:
                    response.headers["Retry-After"] = str(math.ceil(getattr(error, "retry_after_s", RETRY_AFTER_S)))
                return response
        return failure(500, "ServerError", error.message)
    error_id = uuid.uuid4().hex[:12]
    _LOG.error("unexpected error %s in the REST door", error_id, exc_info=error)
    return failure(500, "ServerError", f"internal error {error_id}: the server's log says more")


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        reason = (error.reason or "").replace(" ", "")
        message = f"{request.method} {request.path}: {error.text or error.reason}"
        answer = failure(error.status, reason, message)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except ConnectionResetError:
        raise
    except Exception as error:
        return failure_of(error)
