"""The routes of the REST door, from its OpenAPI document."""

from collections.abc import Iterator, Mapping
from typing import Any

from turnstream.gateway.rest.openapi import all_operations

from reference.tables import table

METHODS = ("get", "post", "put", "delete")


def page() -> Iterator[str]:
    """docs/reference/rest.md"""
    whole = all_operations()
    yield f"{whole['info']['description'].strip()}\n"
    yield "A running server gives this as OpenAPI 3.1 at `/openapi.json`, with the routes that it has. Each route may"
    yield "also answer 400, 404, 405, 408, 413, 429, 503 and 504, and 401 and 403 where the API has a token."
    yield "[The HTTP API](../http-api.md) tells more.\n"
    for tag in whole["tags"]:
        yield f"## {tag['name'].capitalize()}\n"
        for path, operations in whole["paths"].items():
            if path != "/" and path.rstrip("/") in whole["paths"] and path.endswith("/"):
                continue  # the same route with a slash
            for method in METHODS:
                if tag["name"] in operations.get(method, {}).get("tags", ()):
                    yield from _operation(whole, method, path, operations)


def _operation(whole: Mapping[str, Any], method: str, path: str, operations: Mapping[str, Any]) -> Iterator[str]:
    operation = operations[method]
    yield f"### {method.upper()} `{path}`\n"
    yield f"{(operation.get('description') or operation.get('summary') or '').strip()}\n"
    given = [_resolved(whole, p) for p in (*operations.get("parameters", ()), *operation.get("parameters", ()))]
    rows = [
        (f"`{p['name']}`", p["in"], _type(whole, p.get("schema", {})), p.get("description", "")) for p in given
    ] + list(_body(whole, operation))
    if rows:
        yield from table("parameter", "in", "type", "meaning", rows=rows)
    answers = (
        (f"{code}", _resolved(whole, told).get("description", "")) for code, told in operation["responses"].items()
    )
    yield from table("answer", "meaning", rows=answers)


def _body(whole: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for kind, content in _resolved(whole, operation.get("requestBody", {})).get("content", {}).items():
        schema = _resolved(whole, content.get("schema", {}))
        properties = schema.get("properties")
        if not properties:
            yield "", f"body, `{kind}`", _type(whole, schema), schema.get("description", "")
        for name, each in (properties or {}).items():
            needed = " Needed." if name in schema.get("required", ()) else ""
            meaning = _resolved(whole, each).get("description", "").strip()
            yield f"`{name}`", "body", _type(whole, each), f"{meaning}{needed}".strip()


def _type(whole: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    schema = _resolved(whole, given)
    kind = schema.get("type", "")
    shown = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if "enum" in schema:
        shown = ", ".join(f"`{value}`" for value in schema["enum"])
    default = f", default `{schema['default']}`" if "default" in schema else ""
    return f"{shown}{default}"


def _resolved(whole: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `$ref` within the document leads to."""
    while "$ref" in given:
        found: Any = whole
        for part in given["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        given = found
    return given
