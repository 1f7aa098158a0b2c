"""A real Chromium, Debian's, and an assistant with its inspector to look at."""

import json
import os
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from support.commands import RunningAssistant

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = Path(__file__).resolve().parents[2] / ".cache" / "web-screenshots"
WIDE, NARROW = (1440, 900), (375, 740)


def require_chromium() -> None:
    """Leaves the module out, in one line for all of them."""
    if CHROMIUM is None:
        pytest.skip("no Chromium to test the pages in: apt-get install chromium", allow_module_level=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    assert CHROMIUM is not None
    expect.set_options(timeout=30_000)
    # Root, as in a container, has no sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class Shop:
    """Pages of another origin, with a strict policy of their own; `url` is that origin."""

    def __init__(self) -> None:
        self.html = ""
        self.policy = ""
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = shop.html.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", shop.policy)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Site:
    """`turnstream run --inspect` in a folder, always at the same address; as a context manager it is ended."""

    def __init__(self, folder: Path, friend: str, *options: str) -> None:
        """`friend` is another origin that may embed the chat; `options` are more of `run`'s."""
        self.folder = folder
        self._options = ("--inspect", "--cors", friend, *options)
        self._running = self._started("0")
        self.url = self._running.url

    def _started(self, port: str) -> RunningAssistant:
        running = RunningAssistant(*self._options, "--port", port, cwd=self.folder)
        return running.ready()

    def stop(self) -> None:
        self._running.__exit__()

    def start(self) -> None:
        self._running = self._started(self.url.rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def say(self, text: str, sender: str) -> None:
        """Over the REST channel."""
        self._running.say(text, sender)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
            return json.load(answer)


class Watched:
    """What a page did that it must not do: requests elsewhere, errors, breaches of its policy."""

    def __init__(self, page: Page, allowed: tuple[str, ...]) -> None:
        self.faults: list[str] = []
        self._allowed = allowed
        page.on("request", self._requested)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda said: self._said(said.type, said.text))

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((*self._allowed, "data:", "blob:", "about:")):
            self.faults.append(f"request: {request.url}")

    def _said(self, kind: str, text: str) -> None:
        # What a browser says of a gateway that is being restarted, asks who is there, or refuses.
        expected = ("net::ERR_", "status of 503", "status of 401", "status of 403", "status of 409")
        if kind == "error" and not any(one in text for one in expected):
            self.faults.append(f"console: {text}")


def shoot(page: Page, name: str) -> None:
    """Keep a picture to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def findings(page: Page) -> list[str]:
    """Of axe-core, on the page as it is now."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]
