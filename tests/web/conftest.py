"""One assistant for all tests of this folder, a browser for those of a file, a profile of it for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.commands import turnstream
from support.web_project import write_web_project

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page
    from support.browser import Shop, Site


@pytest.fixture(scope="session")
def shop() -> Iterator["Shop"]:
    from support.browser import Shop

    with Shop() as shop:
        yield shop


@pytest.fixture(scope="session")
def site(shop: "Shop", tmp_path_factory: pytest.TempPathFactory) -> Iterator["Site"]:
    from support.browser import Site

    folder = write_web_project(tmp_path_factory.mktemp("web"))
    done = turnstream("train", cwd=folder)
    assert done.code == 0, done.errors
    with Site(folder, shop.url) as site:
        yield site


# Not for the session: as long as it is open, its event loop counts as running, and no other test may run one.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from support.browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture
def profile(browser: "Browser") -> Iterator["BrowserContext"]:
    """Storage of its own; wide, and with the movements of the page left out."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce", locale="en-GB")
    context.set_default_timeout(30_000)
    try:
        yield context
    finally:
        context.close()


def origin_of(address: str) -> str:
    return "/".join(address.split("/")[:3])


@pytest.fixture
def new_page(site: "Site", shop: "Shop", profile: "BrowserContext") -> Iterator[Callable[[str], "Page"]]:
    """Opens a path of the site in a tab; at the end no tab may have done what it must not do."""
    from support.browser import Watched

    watched: list[Watched] = []

    def opened(path: str) -> "Page":
        page = profile.new_page()
        address = path if path.startswith("http") else f"{site.url}{path}"
        watched.append(Watched(page, (site.url, shop.url, origin_of(address))))
        page.goto(address)
        return page

    yield opened
    assert [fault for one in watched for fault in one.faults] == []


@pytest.fixture(scope="session")
def other_bundle(site: "Site", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same assistant, which says another thing to a greeting."""
    folder = write_web_project(tmp_path_factory.mktemp("other"))
    domain = folder / "domain.yml"
    domain.write_text(domain.read_text(encoding="utf-8").replace("Hello, see", "Good day, see"), encoding="utf-8")
    done = turnstream("train", cwd=folder)
    assert done.code == 0, done.errors
    return next((folder / "models").iterdir())
