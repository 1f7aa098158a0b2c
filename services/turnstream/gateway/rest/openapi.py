"""`/openapi.json`: the REST API as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0)."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from aiohttp import web

from turnstream.gateway.access import Access
from turnstream.gateway.rest.bodies import answer
from turnstream.gateway.rest.webhook import Route
from turnstream.runtime.version import VERSION

PATH = "/openapi.json"
DOCUMENT = web.AppKey("openapi", dict[str, Any])
_PATTERN = re.compile(r"\{(\w+):[^}]*\}")
_METHODS = ("get", "post", "put", "delete")
_ANYWHERE = ("400", "404", "405", "408", "413")
_GUARDED = ("401", "403")
_LATER = ("429", "503", "504")


@cache
def all_operations() -> Mapping[str, Any]:
    """The document with every route there can be; not to be changed."""
    content: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("openapi.yaml").read_text(encoding="utf-8"))
    return content


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document with these routes; those of authors' channels are there, and not described further."""
    whole = all_operations()
    paths: dict[str, Any] = {}
    for method, pattern, _, access in routes:
        path = _PATTERN.sub(r"{\1}", pattern)
        described = whole["paths"].get(path) or {method.lower(): _of_channel(method, path)}
        shared = {key: value for key, value in described.items() if key not in _METHODS}
        paths.setdefault(path, shared)[method.lower()] = _complete(described[method.lower()], access)
    return {**whole, "info": {**whole["info"], "version": VERSION}, "paths": paths}


def _complete(operation: Mapping[str, Any], access: Access) -> dict[str, Any]:
    """With who may call, and with what every route may answer."""
    is_public = access is Access.PUBLIC
    failures = dict.fromkeys((*_ANYWHERE, *(() if is_public else _GUARDED)), _reference("Failure"))
    responses = {**failures, **dict.fromkeys(_LATER, _reference("TryLater")), **operation["responses"]}
    security: list[dict[str, list[str]]] = [] if is_public else [{}, {"token": []}, {"bearer": []}]
    return {**operation, "security": security, "responses": dict(sorted(responses.items()))}


def _of_channel(method: str, path: str) -> dict[str, Any]:
    """Its path is all that is known of it."""
    operation_id = re.sub(r"\W+", "_", f"{method.lower()}_{path}").strip("_")
    responses = {"default": {"description": "What the channel answers."}}
    return {"tags": ["channels"], "operationId": operation_id, "responses": responses}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{name}"}


class OpenApiRoutes:
    """`described` are the other routes of the server that the document is about."""

    def __init__(self, described: Iterable[Route]) -> None:
        self.document = document((*described, *self.routes()))

    def routes(self) -> Iterable[Route]:
        return (("GET", PATH, self.serve, Access.PUBLIC),)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        return answer(self.document)
