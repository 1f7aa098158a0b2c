"""The inspector of a gateway that asks who is there, by a JSON Web Token or by a token alone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
import pytest
from support.browser import NARROW, WIDE, Shop, Site, findings, require_chromium, shoot

require_chromium()

from playwright.sync_api import expect  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NewPage = Callable[[str], "Page"]
SECRET = "a secret that is long enough for HS256"
TOKEN = "ö & = ?"
OVERLAPS = (Path(__file__).parent / "overlaps.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def guarded(site: Site, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same assistant with a log of its own, for admins."""
    folder = tmp_path_factory.mktemp("guarded")
    shutil.copytree(site.folder / "models", folder / "models")
    with Site(folder, shop.url, "--jwt-secret", SECRET, "--auth-token", TOKEN) as guarded:
        yield guarded


@pytest.fixture
def open_guarded(guarded: Site, new_page: NewPage) -> Callable[[str], "Page"]:
    """Opens the guarded inspector with a query."""
    return lambda query: new_page(f"{guarded.url}/inspector/{query}")


def credential_of(role: str) -> str:
    return jwt.encode({"user": {"username": "ada", "role": role}}, SECRET, algorithm="HS256")


def give(page: "Page", credential: str) -> None:
    page.get_by_label("Token").fill(credential)
    page.keyboard.press("Enter")


def told(page: "Page") -> "Locator":
    """Why the page does not open; nothing where it did."""
    return page.locator(".login").get_by_role("status")


def test_an_admin_s_web_token_opens_the_inspector_and_its_streams(open_guarded: NewPage, guarded: Site) -> None:
    page = open_guarded("")
    expect(page.get_by_label("Token")).to_be_focused()
    assert told(page).inner_text() == ""
    for width, height in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": height})
        shoot(page, f"login-{width}")
        assert [*page.evaluate(OVERLAPS), *findings(page)] == []
    give(page, "no.web.token")
    expect(told(page)).to_have_text("User is not authenticated.")
    give(page, credential_of("user"))
    expect(told(page)).to_have_text("User has insufficient permissions.")
    give(page, credential_of("admin"))
    box = page.get_by_label("Your message")
    box.fill("hello")
    box.press("Enter")
    expect(page.locator(".log .bubble .text").last).to_have_text("Hello, see https://example.org/help.")
    expect(page.get_by_text("Tracker as of turn 1")).to_be_attached()
    guarded.say("ask me", page.url.rpartition("/")[2])
    expect(page.get_by_text("Tracker as of turn 2")).to_be_attached()
    expect(page.locator(".log .bubble .text").last).to_have_text("Shall I?")
    page.reload()
    expect(page.get_by_text("Tracker as of turn 2")).to_be_attached()


def test_another_tab_is_asked_again(open_guarded: NewPage) -> None:
    give(open_guarded(""), credential_of("admin"))
    expect(open_guarded("").get_by_label("Token")).to_be_visible()


def test_a_token_in_the_address_is_taken_out_of_it(open_guarded: NewPage, guarded: Site) -> None:
    page = open_guarded("?token=%C3%B6%20%26%20%3D%20%3F#/conversations")
    expect(page.get_by_label("Search in ids and texts")).to_be_visible()
    assert page.url == f"{guarded.url}/inspector/#/conversations"


def test_who_is_no_longer_let_in_is_asked(open_guarded: NewPage) -> None:
    page = open_guarded("")
    give(page, credential_of("admin"))
    expect(page.get_by_label("Your message")).to_be_visible()
    page.evaluate("sessionStorage.setItem('turnstream-inspector', 'out of date')")
    page.reload()
    expect(told(page)).to_have_text("User is not authenticated.")
