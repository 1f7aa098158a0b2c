"""The document at /openapi.json: every route that there is, nothing else, and valid."""

from typing import Any

import aiohttp
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.gateway import running_gateway
from turnstream.assistant.credentials import ChannelConfig
from turnstream.gateway.channels.opening import open_channels
from turnstream.gateway.inspection import Inspection
from turnstream.gateway.rest.app import build_app
from turnstream.gateway.rest.openapi import DOCUMENT, all_operations
from turnstream.runtime.settings import GatewaySettings
from turnstream.runtime.version import VERSION

CHANNELS = (ChannelConfig("callback", {"url": "http://127.0.0.1:1"}), ChannelConfig("chat"), ChannelConfig("socketio"))
METHODS = ("get", "post", "put", "delete")


def app_of(switch: Any, **settings: Any) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """The document, and method and path of every route; nothing stands behind them."""
    nothing: Any = None
    channels = CHANNELS if switch is not None else ()
    opened = open_channels(channels)
    inspection = None if switch is None else Inspection(nothing, nothing, nothing)
    given = GatewaySettings(**settings), switch, opened, switch, inspection
    app = build_app(nothing, nothing, nothing, *given)
    every = {(r.method.lower(), r.resource.canonical) for r in app.router.routes() if r.resource is not None}
    document = app[DOCUMENT]
    # A path is served with a slash behind it as well, which the document does not say of each.
    return document, {
        (m, p) for m, p in every if p in document["paths"] or p.removesuffix("/") not in document["paths"]
    }


def described(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method, path) for path, item in document["paths"].items() for method in METHODS if method in item}


def test_every_route_is_described_and_nothing_else_is() -> None:
    document, routes = app_of(object(), enable_api=True)
    assert described(document) == routes
    assert described(dict(all_operations())) == routes


def test_what_is_not_served_is_not_described() -> None:
    document, routes = app_of(None)
    assert described(document) == routes
    assert ("post", "/webhooks/rest/webhook") in routes
    assert not [path for path in document["paths"] if path.startswith("/conversations")]


async def test_the_document_is_valid_and_names_the_version() -> None:
    async with (
        running_gateway(auth_token="secret") as behind,
        aiohttp.ClientSession(behind.url) as http,
        http.get("/openapi.json") as response,
    ):
        assert response.status == 200
        document = await response.json()
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())
    assert document["info"]["version"] == VERSION


def test_the_document_tells_who_may_call() -> None:
    document, _ = app_of(None, enable_api=True, auth_token="secret")
    assert document["paths"]["/status"]["get"]["security"] == [{}, {"token": []}, {"bearer": []}]
    assert document["paths"]["/version"]["get"]["security"] == []
    assert "401" in document["paths"]["/status"]["get"]["responses"]
    assert "401" not in document["paths"]["/version"]["get"]["responses"]
