"""The pages, and what browsers are told of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from turnstream.gateway.rest.errors import error_middleware
from turnstream.gateway.rest.pages import ChatPages, InspectorPages

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors "
)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    for name in ("index.html", "chat.html", "chat.js", "assets/inspector.js", "assets/index.css"):
        (folder / name).write_text(f"this is {name}", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture
async def http(built: Path) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application(middlewares=[error_middleware])
    for group in (ChatPages(["https://shop.example"], built), InspectorPages(built)):
        for method, path, handler, _ in group.routes():
            app.router.add_route(method, path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        yield session
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "text", "kind", "headers"),
    [
        (
            "/inspector/",
            "this is index.html",
            "text/html",
            {"Content-Security-Policy": f"{POLICY}'none'"},
        ),
        (
            "/chat/",
            "this is chat.html",
            "text/html",
            {"Content-Security-Policy": f"{POLICY}'self' https://shop.example"},
        ),
        ("/chat.js", "this is chat.js", "text/javascript", {"Cross-Origin-Resource-Policy": "cross-origin"}),
        (
            "/inspector/assets/inspector.js",
            "this is assets/inspector.js",
            "text/javascript",
            {"Cross-Origin-Resource-Policy": "same-origin"},
        ),
        ("/inspector/assets/index.css", "this is assets/index.css", "text/css", {}),
    ],
)
async def test_a_file_comes_with_what_a_browser_must_know(
    http: aiohttp.ClientSession, path: str, text: str, kind: str, headers: dict[str, str]
) -> None:
    async with http.get(path) as response:
        assert (response.status, await response.text(), response.content_type) == (200, text, kind)
        common = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
        assert {name: response.headers.get(name) for name in {**common, **headers}} == {**common, **headers}
        tag = response.headers["ETag"]
    async with http.get(path, headers={"If-None-Match": tag}) as again:
        assert again.status == 304


@pytest.mark.parametrize(
    "path",
    [
        "/inspector/assets/..%2F..%2Fsecret.txt",
        "/inspector/assets/%2e%2e%2findex.html",
        "/inspector/assets/.hidden",
        "/inspector/assets/none.js",
        "/inspector/assets/",
    ],
)
async def test_nothing_else_is_served(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as response:
        assert (response.status, response.content_type) == (404, "application/json")


async def test_a_page_without_its_slash_leads_to_it_with_the_query(http: aiohttp.ClientSession) -> None:
    async with http.get("/inspector?token=a%26b", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (307, "/inspector/?token=a%26b")
    async with http.get("/chat", allow_redirects=False) as response:
        assert response.headers["Location"] == "/chat/"


async def test_pages_that_are_not_built_say_so(http: aiohttp.ClientSession, built: Path) -> None:
    (built / "index.html").unlink()
    async with http.get("/inspector/") as response:
        assert response.status == 404
        assert "the pages are not built, see web/" in await response.text()
