"""The pages of the chat and of the inspector: files that `web/` is built into, with what a browser must know of them.

The policy is https://www.w3.org/TR/CSP3/: nothing from elsewhere but images, nothing written into the page runs.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from aiohttp import web

from turnstream.gateway.access import Access
from turnstream.gateway.rest.webhook import Route
from turnstream.runtime.errors import NotFound

STATIC = Path(__file__).resolve().parent.parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors {ancestors}"
)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
"""Machines differ in what they take these for."""
NOBODY, OWN = "'none'", "'self'"
_FILE = re.compile(r"[\w-][\w.-]*")


class _Pages:
    """`folder` holds the built files. A browser asks each time whether they are the same still."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder

    def _file(self, name: str, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
        """Raises NotFound."""
        path = self._folder / name
        if not path.is_file():
            why = "" if (self._folder / "index.html").is_file() else ": the pages are not built, see web/"
            raise NotFound(f"There is no file {name}{why}.")
        common = {
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        known = {"Content-Type": f"{TYPES[path.suffix]}; charset=utf-8"} if path.suffix in TYPES else {}
        return web.FileResponse(path, headers={**common, **known, **(headers or {})})

    def _page(self, name: str, ancestors: str) -> web.StreamResponse:
        return self._file(name, {"Content-Security-Policy": POLICY.format(ancestors=ancestors)})

    def _asset(self, request: web.Request) -> web.StreamResponse:
        """Only what lies in the folder itself."""
        name = request.match_info["name"]
        if not _FILE.fullmatch(name):
            raise NotFound("There is no such file.")
        return self._file(f"assets/{name}", {"Cross-Origin-Resource-Policy": "same-origin"})


class ChatPages(_Pages):
    """The chat alone: as a page, and as a script that pages of other origins may have.

    `origins` are those that may show the page in a frame; `*` all.
    """

    def __init__(self, origins: Iterable[str] = (), folder: Path = STATIC) -> None:
        super().__init__(folder)
        allowed = tuple(origins)
        self._ancestors = "*" if "*" in allowed else " ".join((OWN, *allowed))

    def routes(self) -> Iterable[Route]:
        return (
            ("GET", "/chat.js", self.script, Access.PUBLIC),
            ("GET", "/chat/", self.page, Access.PUBLIC),
            ("GET", "/chat", self.redirect, Access.PUBLIC),
        )

    async def script(self, request: web.Request) -> web.StreamResponse:
        return self._file("chat.js", {"Cross-Origin-Resource-Policy": "cross-origin"})

    async def page(self, request: web.Request) -> web.StreamResponse:
        return self._page("chat.html", self._ancestors)

    async def redirect(self, request: web.Request) -> web.StreamResponse:
        return _moved(request, "/chat/")


class InspectorPages(_Pages):
    """They hold nothing that is not in the package. The page asks its visitor for what the inspector's API wants."""

    def routes(self) -> Iterable[Route]:
        return (
            ("GET", "/inspector/", self.page, Access.PUBLIC),
            ("GET", "/inspector", self.redirect, Access.PUBLIC),
            ("GET", "/inspector/assets/{name}", self.asset, Access.PUBLIC),
        )

    async def page(self, request: web.Request) -> web.StreamResponse:
        return self._page("index.html", NOBODY)

    async def redirect(self, request: web.Request) -> web.StreamResponse:
        return _moved(request, "/inspector/")

    async def asset(self, request: web.Request) -> web.StreamResponse:
        return self._asset(request)


def _moved(request: web.Request, path: str) -> web.StreamResponse:
    """With the query, which may hold the token."""
    query = f"?{request.query_string}" if request.query_string else ""
    return web.Response(status=307, headers={"Location": f"{path}{query}"})
