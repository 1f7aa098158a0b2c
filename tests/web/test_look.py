"""How the pages look on a wide and on a narrow screen, for everybody, and what they weigh."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.browser import NARROW, WIDE, Site, findings, require_chromium, shoot

require_chromium()

from playwright.sync_api import BrowserContext, Page, expect  # noqa: E402

NewPage = Callable[[str], Page]
CONVERSATION = "looked-at"
SAID = ("hello", "travel to Berlin", "ask me", "show everything", "attack", "talk a lot", "qwertz")
MOST_BYTES = 200_000
OVERLAPS = (Path(__file__).parent / "overlaps.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def conversation(site: Site) -> str:
    for text in SAID:
        site.say(text, CONVERSATION)
    return CONVERSATION


def inspected(page: Page) -> None:
    expect(page.get_by_text(f"Tracker as of turn {len(SAID)}")).to_be_attached()
    expect(page.locator(".decisions")).to_be_attached()


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "light"), (NARROW, "light"), (WIDE, "dark")], ids=["1440", "375", "1440-dark"]
)
def test_nothing_overlaps_and_everybody_can_use_it(
    new_page: NewPage, conversation: str, size: tuple[int, int], scheme: str
) -> None:
    page = new_page("/inspector/")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": size[0], "height": size[1]})
    faults: dict[str, list[str]] = {}

    def look(name: str) -> None:
        shoot(page, f"{name}-{size[0]}-{scheme}")
        faults[name] = [*page.evaluate(OVERLAPS), *findings(page)]

    expect(page.get_by_text("Say something, and see here")).to_be_attached()
    look("empty")
    page.goto(page.url.partition("#")[0] + f"#/c/{conversation}")
    inspected(page)
    for pane in ("Chat", "Timeline", "Detail"):
        if size is NARROW:
            page.get_by_role("button", name=pane, exact=True).click()
        if size is NARROW or pane == "Chat":
            look(pane.lower())
    for asked, ready in (("Save as story", "Not saved yet"), ("Save as example", "Not saved yet"), ("Compare", "")):
        page.get_by_role("button", name=asked).click()
        expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text(ready)
        look(asked.lower().replace(" ", "-"))
        page.keyboard.press("Escape")
    page.get_by_role("link", name="Conversations").click()
    expect(page.get_by_role("listbox", name="Conversations").get_by_role("option").first).to_be_visible()
    look("conversations")
    page.goto(page.url.partition("/inspector")[0] + "/chat/")
    for text in ("hello", "ask me", "show everything", "attack"):
        page.get_by_label("Your message").fill(text)
        page.keyboard.press("Enter")
        expect(page.locator(".mine:not(.sending):not(.accepted) .text").last).to_have_text(text)
    look("page")
    assert faults == {name: [] for name in faults}


@pytest.mark.parametrize("path", ["/inspector/", "/chat/"])
def test_a_page_is_light(profile: BrowserContext, site: Site, path: str) -> None:
    page = profile.new_page()
    sizes: dict[str, int] = {}
    page.on("requestfinished", lambda r: sizes.update({r.url: r.sizes()["responseBodySize"]}))
    page.goto(f"{site.url}{path}")
    expect(page.get_by_label("Your message")).to_be_visible()
    assert 10_000 < sum(sizes.values()) < MOST_BYTES


def tab_to(page: Page, role: str, name: str) -> None:
    """Press Tab until this has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(60):
        if wanted.count() and wanted.evaluate("one => one === one.getRootNode().activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to the {role} {name}")


def test_every_function_is_reached_by_the_keyboard(new_page: NewPage) -> None:
    page = new_page("/inspector/")
    tab_to(page, "textbox", "Your message")
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Tracker as of turn 1")).to_be_attached()
    for button in ("Save as story …", "Save as example …", "Compare …"):
        tab_to(page, "button", button)
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("button", name=button)).to_be_focused()
    tab_to(page, "button", "Fork from here")
    page.keyboard.press("Enter")
    page.wait_for_url("**/*-fork-*")
    tab_to(page, "link", "Conversations")
    page.keyboard.press("Enter")
    tab_to(page, "listbox", "Conversations")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Tracker as of turn 1")).to_be_attached()
    assert "#/c/" in page.url
