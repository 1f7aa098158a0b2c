"""What the server is and what its assistant knows: `/`, `/version`, `/status`, `/domain`, `/model`."""

from collections.abc import Callable, Iterable

import yaml
from aiohttp import web

from turnstream.dialogue.parse_json import parse_result_to_rasa
from turnstream.gateway import emulation
from turnstream.gateway.access import Access
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.gateway.rest.bodies import answer, optional_text, query_text, read_object, text_field
from turnstream.gateway.rest.errors import BadField, NotAcceptable
from turnstream.gateway.rest.webhook import Route
from turnstream.gateway.switch import ModelSwitch
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest
from turnstream.runtime.version import VERSION

OLDEST_COMPATIBLE_VERSION = "0.1.0"
"""Bundles of this version and later can be served."""

_JSON = ("application/json", "*/*", "application/*", "")
_YAML = ("application/x-yaml", "application/x-yml", "application/yaml", "text/yaml")


class HelloRoutes:
    """Served with and without the API."""

    def routes(self) -> Iterable[Route]:
        return (("GET", "/", self.hello, Access.PUBLIC), ("GET", "/version", self.version, Access.PUBLIC))

    async def hello(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"Hello from Turnstream: {VERSION}")

    async def version(self, request: web.Request) -> web.StreamResponse:
        return answer({"version": VERSION, "minimum_compatible_version": OLDEST_COMPATIBLE_VERSION})


class ModelRoutes:
    """`switch` None: the model can be neither replaced nor unloaded."""

    def __init__(
        self,
        bundles: Bundles[LoadedGateway],
        parser: Parser,
        switch: ModelSwitch | None = None,
        active_trainings: Callable[[], int] = lambda: 0,
    ) -> None:
        self._bundles = bundles
        self._parser = parser
        self._switch = switch
        self._active_trainings = active_trainings

    def routes(self) -> Iterable[Route]:
        yield "GET", "/status", self.status, Access.ADMIN
        yield "GET", "/domain", self.domain, Access.ADMIN
        yield "POST", "/model/parse", self.parse, Access.ADMIN
        if self._switch is not None:
            yield "PUT", "/model", self.replace, Access.ADMIN
            yield "DELETE", "/model", self.unload, Access.ADMIN

    async def status(self, request: web.Request) -> web.StreamResponse:
        assistant = self._bundles.get()
        return answer(
            {
                "model_id": assistant.model_id,
                "model_file": assistant.model_file,
                "num_active_training_jobs": self._active_trainings(),
            }
        )

    async def domain(self, request: web.Request) -> web.StreamResponse:
        domain = dict(self._bundles.get().domain)
        for accepted in _accepted(request):
            if accepted in _JSON:
                return answer(domain)
            if accepted in _YAML:
                text = yaml.safe_dump(domain, sort_keys=False, allow_unicode=True)
                return web.Response(body=text.encode(), content_type="application/x-yaml")
        raise NotAcceptable(
            "Invalid Accept header. The domain can be provided as JSON (application/json) or YAML (application/x-yaml)."
        )

    async def parse(self, request: web.Request) -> web.StreamResponse:
        mode = query_text(request, "emulation_mode")
        if mode and mode.upper() not in emulation.MODES:
            known = ", ".join(f"'{name}'" for name in emulation.MODES)
            message = f"Invalid parameter value for 'emulation_mode'. Should be one of {known}."
            raise BadField(message, "emulation_mode", "query")
        body = await read_object(request)
        text = text_field(body, "text")
        parse = await self._parser.parse(text, optional_text(body, "message_id") or "")
        return answer(emulation.MODES[mode.upper()](parse) if mode else parse_result_to_rasa(parse))

    async def replace(self, request: web.Request) -> web.StreamResponse:
        """`model_file`: path of a bundle, or of a folder of bundles, on the server."""
        body = await read_object(request)
        for key in ("model_server", "remote_storage"):
            if body.get(key) is not None:
                raise BadField(f"{key!r} is not supported: bundles are read from the server's disk.", key)
        path = text_field(body, "model_file", "No path to model file defined in request body.")
        assert self._switch is not None
        try:
            await self._switch.replace(path)
        except InvalidRequest as error:
            raise BadField(error.message, "model_file") from error
        return web.Response(status=204)

    async def unload(self, request: web.Request) -> web.StreamResponse:
        assert self._switch is not None
        await self._switch.unload()
        return web.Response(status=204)


def _accepted(request: web.Request) -> list[str]:
    """The client's media types in its order; without their parameters."""
    return [part.split(";")[0].strip().lower() for part in request.headers.get("Accept", "*/*").split(",")]
