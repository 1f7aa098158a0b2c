"""Reading requests: JSON bodies and query parameters, every fault named with the parameter it is in."""

import asyncio
import json
import math
from typing import Any, NoReturn

from aiohttp import web

from turnstream.gateway.rest.errors import BadField, json_response
from turnstream.runtime.errors import InvalidRequest

CLIENT_TIMEOUT_S = web.AppKey("client_timeout_s", float)
"""How long a body may take to arrive."""


async def read_json(request: web.Request) -> Any:
    """Raises InvalidRequest, see `parse_json`; HTTPRequestTimeout."""
    return parse_json(await read_bytes(request))


def parse_json(raw: bytes) -> Any:
    """Raises InvalidRequest for what is no UTF-8 or no JSON; NaN and Infinity are none."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadField(f"The body is not valid UTF-8: {error.reason} at byte {error.start}", "") from error
    if not text.strip():
        raise BadField("The body is empty; JSON is expected", "")
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise BadField("The body is nested too deep", "") from error
    except ValueError as error:
        raise BadField(f"The body is not valid JSON: {error}", "") from error


async def read_bytes(request: web.Request) -> bytes:
    """Raises HTTPRequestTimeout."""
    try:
        async with asyncio.timeout(request.app.get(CLIENT_TIMEOUT_S)):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error


def _finite(digits: str) -> float:
    """1e999 is infinite, which no answer can say in JSON."""
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


async def read_object(request: web.Request) -> dict[str, Any]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BadField("The body must be a JSON object", "")
    return body


def text_field(body: dict[str, Any], name: str, missing: str | None = None) -> str:
    """A text that must be there, and may be empty."""
    value = body.get(name)
    if value is None:
        raise BadField(missing or f"{name!r} is missing", name)
    if not isinstance(value, str):
        raise BadField(f"{name!r} must be a text", name)
    return value


def optional_text(body: dict[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else text_field(body, name)


def optional_number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadField(f"{name!r} must be a number", name)
    try:
        return float(value)
    except OverflowError:
        raise BadField(f"{name!r} is too large", name) from None


def query_text(request: web.Request, name: str) -> str | None:
    """A parameter without a value counts as one that is missing, as in Rasa."""
    return request.query.get(name) or None


def query_number(request: web.Request, name: str) -> float | None:
    text = query_text(request, name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        raise BadField(f"{name!r} must be a number, not {text!r}", name, "query") from None
    if not 0 <= number < 253402300800:
        raise BadField(f"{name!r} must be seconds since 1970 and before the year 10000", name, "query")
    return number


def query_flag(request: web.Request, name: str, *, missing: bool = False) -> bool:
    value = query_text(request, name)
    return missing if value is None else value.lower() == "true"


def query_integer(request: web.Request, name: str, least: int, most: int, missing: int) -> int:
    text = query_text(request, name)
    if text is None:
        return missing
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or not least <= int(text) <= most:
        raise BadField(f"{name!r} must be a whole number from {least} to {most}, not {text!r}", name, "query")
    return int(text)


def conversation_id_of(request: web.Request) -> str:
    value = request.match_info["conversation_id"]
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("the conversation's id in the path is not valid UTF-8") from None
    return value


def answer(value: Any, status: int = 200) -> web.Response:
    return json_response(value, status)
