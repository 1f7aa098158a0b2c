"""The chat in a real browser, against a real assistant."""

import base64
import hashlib
import json
from collections.abc import Callable

from support.browser import Shop, Site, findings, require_chromium
from support.web_project import LONG, MARKUP, RIGHT_TO_LEFT

require_chromium()

from playwright.sync_api import Page, expect  # noqa: E402

NewPage = Callable[[str], Page]


def say(page: Page, text: str) -> None:
    box = page.get_by_label("Your message")
    box.fill(text)
    box.press("Enter")


def said(page: Page, text: str) -> None:
    """Wait until the last message is this one."""
    expect(page.locator(".log .bubble .text").last).to_have_text(text)


def conversation_of(page: Page) -> str:
    value: str = page.locator("turnstream-chat").evaluate("chat => chat.conversation")
    return value


def user_texts(site: Site, conversation: str) -> list[str]:
    events = site.get(f"/conversations/{conversation}/tracker")["events"]
    return [event["text"] for event in events if event["event"] == "user"]


def test_a_message_is_answered_and_still_there_after_a_reload(new_page: NewPage) -> None:
    page = new_page("/chat/")
    say(page, "hello")
    said(page, "Hello, see https://example.org/help.")
    link = page.get_by_role("link", name="https://example.org/help")
    assert (link.get_attribute("href"), link.get_attribute("rel")) == (
        "https://example.org/help",
        "noopener noreferrer nofollow",
    )
    page.reload()
    said(page, "Hello, see https://example.org/help.")
    assert page.locator(".log .bubble").count() == 2


def test_a_button_sends_its_payload_and_shows_its_title_in_both_tabs(new_page: NewPage, site: Site) -> None:
    one = new_page("/chat/")
    say(one, "ask me")
    button = one.get_by_role("button", name="Yes, do")
    expect(button).to_be_visible()
    other = new_page("/chat/")
    expect(other.get_by_role("button", name="Yes, do")).to_be_visible()
    button.click()
    for page in (one, other):
        said(page, "You agreed.")
        expect(page.locator(".mine .text").last).to_have_text("Yes, do")
    say(other, "hello")
    said(one, "Hello, see https://example.org/help.")
    assert one.locator(".log .text").all_inner_texts() == other.locator(".log .text").all_inner_texts()
    texts = [
        e["text"] for e in site.get(f"/conversations/{conversation_of(one)}/tracker")["events"] if e["event"] == "user"
    ]
    assert texts == ["ask me", "/affirm", "hello"]


def test_conversations_are_kept_apart(new_page: NewPage) -> None:
    page = new_page("/chat/")
    say(page, "hello")
    said(page, "Hello, see https://example.org/help.")
    first = conversation_of(page)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".log .bubble")).to_have_count(0)
    say(page, "ask me")
    said(page, "Shall I?")
    assert conversation_of(page) != first
    page.get_by_label("Conversation", exact=True).select_option(label="hello")
    said(page, "Hello, see https://example.org/help.")
    assert conversation_of(page) == first


def test_what_is_said_while_the_gateway_is_away_is_answered_once_when_it_is_back(new_page: NewPage, site: Site) -> None:
    page = new_page("/chat/")
    say(page, "hello")
    said(page, "Hello, see https://example.org/help.")
    site.stop()
    try:
        expect(page.get_by_role("status")).to_have_text("No connection. Trying again …")
        say(page, "ask me")
        said(page, "ask me")
    finally:
        site.start()
    said(page, "Shall I?")
    expect(page.get_by_role("status")).to_have_text("")
    assert user_texts(site, conversation_of(page)) == ["hello", "ask me"]
    assert page.locator(".mine").count() == 2


def test_hostile_texts_are_text(new_page: NewPage) -> None:
    page = new_page("/chat/")
    say(page, MARKUP)
    said(page, "I did not get that.")
    say(page, "attack")
    said(page, RIGHT_TO_LEFT)
    assert page.locator(".mine .text").first.inner_text() == MARKUP
    assert page.locator(".theirs .text").nth(1).inner_text() == MARKUP
    expect(page.get_by_role("button", name="<b>bold</b>")).to_be_visible()
    assert page.locator(".log img, .log script, .log b, .log a").count() == 0
    assert page.title() == "Chat"
    direction = page.locator(".theirs .text").last.evaluate("text => getComputedStyle(text).direction")
    assert direction == "rtl"


def test_a_picture_that_is_no_web_address_is_not_loaded_and_data_is_shown_as_data(new_page: NewPage) -> None:
    page = new_page("/chat/")
    say(page, "show everything")
    expect(page.get_by_text("Picture that cannot be shown: javascript:alert(1)")).to_be_visible()
    page.get_by_text("Data", exact=True).click()
    shown = page.locator("details.data pre").inner_text()
    assert json.loads(shown) == {"kind": "map", "zoom": 3}
    assert page.locator(".log img").count() == 0


def test_long_texts_are_shortened_and_break_no_layout(new_page: NewPage) -> None:
    page = new_page("/chat/")
    page.set_viewport_size({"width": 375, "height": 740})
    unbroken = "x" * 100_000
    say(page, unbroken)
    expect(page.locator(".log .error")).to_contain_text("65536 at most")
    say(page, "talk a lot")
    more = page.get_by_role("button", name="Show all")
    expect(more).to_have_count(2)
    for width in (375, 1440):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".log").evaluate("log => log.scrollWidth - log.clientWidth") == 0
    more.last.click()
    assert page.locator(".theirs .text").last.inner_text().strip() == LONG.strip()


def test_the_chat_on_a_page_of_another_origin(new_page: NewPage, shop: Shop, site: Site) -> None:
    scripts = f"script-src {site.url} 'sha256-{_hash_of(LISTENING)}'"
    shop.policy = f"default-src 'none'; {scripts}; connect-src {site.url}; img-src data:"
    shop.html = f"""<!doctype html><html lang="en"><head><title>Shop</title><link rel="icon" href="data:,">
    <script>{LISTENING}</script></head>
    <body><main><h1>Shop</h1></main><script src="{site.url}/chat.js" data-title="Ask us"></script></body></html>"""
    page = new_page(f"{shop.url}/")
    launcher = page.get_by_role("button", name="Open: Ask us")
    launcher.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your message")).to_be_focused()
    assert findings(page) == []
    page.keyboard.type("show everything")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Look", exact=True)).to_be_visible()
    assert page.evaluate("window.seen") == [{"kind": "map", "zoom": 3}]
    page.keyboard.press("Escape")
    expect(launcher).to_be_focused()
    page.reload()
    page.get_by_role("button", name="Open: Ask us").click()
    expect(page.get_by_text("Look", exact=True)).to_be_visible()
    assert page.evaluate("window.seen") == []


LISTENING = "window.seen = []; addEventListener('custom', (event) => window.seen.push(event.detail.custom));"


def _hash_of(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
