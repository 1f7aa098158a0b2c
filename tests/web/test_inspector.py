"""The inspector in a real browser, against a real assistant."""

import json
from collections.abc import Callable
from pathlib import Path

import yaml
from support.browser import Site, findings, require_chromium
from support.commands import turnstream

require_chromium()

from playwright.sync_api import Locator, Page, expect  # noqa: E402

NewPage = Callable[[str], Page]


def talk(page: Page, *texts: str) -> str:
    """Say them in a new conversation, each after the answer to the one before; its id."""
    for number, text in enumerate(texts, start=1):
        box = page.get_by_label("Your message")
        box.fill(text)
        box.press("Enter")
        expect(page.get_by_role("heading", name=f"Turn {number}", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Slots and form")).to_be_visible()
    value: str = page.locator("turnstream-chat").evaluate("chat => chat.conversation")
    return value


def shows_slot(page: Page, turn: int, name: str, value: str) -> None:
    """Once the tracker of the chosen turn is there."""
    expect(page.get_by_text(f"Tracker as of turn {turn}")).to_be_visible()
    expect(page.locator(f"tr[data-slot={name}] td").first).to_have_text(value)


def row(page: Page, text: str) -> None:
    page.get_by_role("option").filter(has_text=text).first.click()


def test_what_is_shown_is_what_the_tracker_says(new_page: NewPage, site: Site) -> None:
    page = new_page("/inspector/")
    conversation = talk(page, "travel to Berlin")
    tracker = site.get(f"/conversations/{conversation}/tracker?include_events=ALL")
    assert tracker["slots"]["city"] == "Berlin"
    shows_slot(page, 1, "city", "Berlin")
    page.get_by_text("Raw events").click()
    shown = json.loads(page.get_by_label("Events of the turn").inner_text())
    assert shown == tracker["events"]
    user = tracker["latest_message"]
    assert page.locator("mark").inner_text().startswith(user["entities"][0]["value"])
    assert page.get_by_label("Intents").locator(".name").inner_text() == user["intent"]["name"]
    assert page.locator(".tokens code").all_inner_texts() == ["travel", "to", "Berlin"]
    actions = [event["name"] for event in tracker["events"] if event["event"] == "action"]
    assert page.locator(".decisions > li > details > summary code").all_inner_texts() == actions
    assert "answer travel" in page.locator(".decisions > li").nth(2).inner_text()
    assert page.locator(".calls tbody tr").count() >= 3


def test_the_timeline_follows_what_is_said_elsewhere(new_page: NewPage, site: Site) -> None:
    page = new_page("/inspector/")
    conversation = talk(page, "hello")
    other = new_page(f"/inspector/#/c/{conversation}")
    expect(other.get_by_text("Live, 1 turn", exact=True)).to_be_visible()
    box = page.get_by_label("Your message")
    box.fill("ask me")
    box.press("Enter")
    expect(other.get_by_text("Live, 2 turns")).to_be_visible()
    expect(other.get_by_role("option").filter(has_text="Shall I?")).to_be_visible()


def test_a_step_back_shows_the_state_of_then(new_page: NewPage, site: Site) -> None:
    page = new_page("/inspector/")
    conversation = talk(page, "hello", "travel to Berlin", "travel to Paris")
    expected = {1: "—", 2: "Berlin", 3: "Paris"}
    shows_slot(page, 3, "city", expected[3])
    for turn in (2, 1):
        page.get_by_role("button", name="One turn back").click()
        shows_slot(page, turn, "city", expected[turn])
        expect(page.get_by_text(f"As of turn {turn} of 3")).to_be_visible()
    page.get_by_text("Tracker as of turn 1").click()
    shown = json.loads(page.get_by_label("Tracker", exact=True).inner_text())
    assert shown == site.get(f"/inspector/api/conversations/{conversation}/tracker?turn=1")
    assert page.locator(".row.later").count() > 0
    page.get_by_role("button", name="Live").click()
    shows_slot(page, 3, "city", "Paris")
    page.get_by_role("listbox").press("Home")
    expect(page.get_by_text("As of turn 1 of 3")).to_be_visible()


def test_an_event_is_shown_as_it_is(new_page: NewPage) -> None:
    page = new_page("/inspector/")
    talk(page, "hello")
    row(page, "utter_greet")
    event = json.loads(page.get_by_label("Event", exact=True).inner_text())
    assert (event["event"], event["name"]) == ("action", "utter_greet")


def test_a_fork_goes_on_from_its_turn_and_leaves_the_first_as_it_was(new_page: NewPage, site: Site) -> None:
    page = new_page("/inspector/")
    first = talk(page, "travel to Berlin", "hello")
    row(page, "Turn 1")
    page.get_by_role("button", name="Fork from here").click()
    expect(page.get_by_text("Live, 1 turn", exact=True)).to_be_visible()
    fork = page.url.rpartition("/")[2]
    assert fork != first
    box = page.get_by_label("Your message")
    box.fill("ask me")
    box.press("Enter")
    expect(page.get_by_text("Live, 2 turns")).to_be_visible()
    expect(page.locator(".log .bubble").last).to_have_text("Shall I?")
    texts = {
        conversation: [
            event["text"]
            for event in site.get(f"/conversations/{conversation}/tracker")["events"]
            if event["event"] == "user"
        ]
        for conversation in (first, fork)
    }
    assert texts == {first: ["travel to Berlin", "hello"], fork: ["travel to Berlin", "ask me"]}


def test_a_conversation_of_another_channel_is_read_not_answered(new_page: NewPage, site: Site) -> None:
    site.say("hello", "somebody")
    page = new_page("/inspector/#/c/somebody")
    expect(page.get_by_text("This conversation was begun elsewhere")).to_be_visible()
    expect(page.locator(".log .bubble").first).to_have_text("hello")
    assert page.get_by_label("Your message").count() == 0


def story_dialog(new_page: NewPage, *texts: str) -> Locator:
    """In which a new conversation is about to be saved."""
    page = new_page("/inspector/")
    talk(page, *texts)
    page.get_by_role("button", name="Save as story").click()
    return page.get_by_role("dialog")


def test_a_conversation_saved_as_a_test_story_passes(new_page: NewPage, site: Site) -> None:
    dialog = story_dialog(new_page, "hello", "travel to Berlin")
    dialog.get_by_label("Name").fill("seen in the inspector")
    expect(dialog.get_by_label("Change")).to_contain_text("+- story: seen in the inspector")
    expect(dialog.get_by_role("status")).to_contain_text("Not saved yet")
    file = site.folder / "tests" / "test_stories.yml"
    assert not file.exists()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_have_text("Saved in tests/test_stories.yml.")
    assert file.read_text(encoding="utf-8") == dialog.get_by_label("Story", exact=True).text_content()
    done = turnstream("test", "core", "--stories", str(file), cwd=site.folder)
    assert done.code == 0, done.output + done.errors


def test_a_conversation_saved_as_a_training_story_is_valid_training_data(new_page: NewPage, site: Site) -> None:
    dialog = story_dialog(new_page, "hello", "ask me")
    dialog.get_by_role("combobox").select_option("story")
    dialog.get_by_label("Name").fill("learned in the inspector")
    dialog.get_by_label("File").fill("data/learned.yml")
    expect(dialog.get_by_label("Change")).to_contain_text("data/learned.yml")
    expect(dialog.get_by_label("Change")).to_contain_text("+- story: learned in the inspector")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_have_text("Saved in data/learned.yml.")
    file = site.folder / "data" / "learned.yml"
    (story,) = yaml.safe_load(file.read_text(encoding="utf-8"))["stories"]
    assert story["steps"] == [
        {"intent": "greet"},
        {"action": "utter_greet"},
        {"intent": "ask"},
        {"action": "utter_ask"},
    ]
    valid = turnstream("data", "validate", cwd=site.folder)
    assert valid.code == 0, valid.output + valid.errors


def test_what_is_marked_in_a_message_becomes_an_entity_of_the_example(new_page: NewPage, site: Site) -> None:
    page = new_page("/inspector/")
    talk(page, "flüge 🛫 Ulm")
    page.get_by_role("button", name="Save as example").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Intent").select_option("travel")
    marked = dialog.get_by_label("Entities").get_by_role("listitem")
    expect(marked).to_have_count(0)
    dialog.get_by_label("Text").evaluate("box => box.setSelectionRange(box.value.indexOf('Ulm'), box.value.length)")
    dialog.get_by_label("Mark what is selected as").select_option("city")
    dialog.get_by_role("button", name="Mark", exact=True).click()
    expect(marked).to_have_count(1)
    expect(dialog.get_by_label("Change")).to_contain_text("flüge 🛫 [Ulm](city)")
    dialog.get_by_role("button", name="Remove city").click()
    expect(marked).to_have_count(0)
    expect(dialog.get_by_label("Change")).to_contain_text("+    - flüge 🛫 Ulm")


def test_a_message_becomes_an_example_of_another_intent(new_page: NewPage, site: Site) -> None:
    page = new_page("/inspector/")
    talk(page, "qwertz Paris")
    page.get_by_role("button", name="Save as example").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Intent").select_option("travel")
    expect(dialog.get_by_label("Change")).to_contain_text("qwertz [Paris](city)")
    data = site.folder / "data" / "nlu.yml"
    assert "qwertz" not in data.read_text(encoding="utf-8")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("status")).to_contain_text("Saved in data/nlu.yml")
    assert "- qwertz [Paris](city)" in data.read_text(encoding="utf-8")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_conversations_are_found_by_text_and_by_what_went_wrong(new_page: NewPage, site: Site) -> None:
    site.say("zebra", "misunderstood")
    site.say("hello", "understood")
    page = new_page("/inspector/#/conversations")
    page.get_by_label("Search in ids and texts").fill("understood")
    found = page.get_by_role("listbox", name="Conversations").get_by_role("option")
    expect(found).to_have_count(2)
    page.get_by_label("With").select_option("fallback")
    expect(found).to_have_count(1)
    found.click()
    expect(page.get_by_role("heading", name="Turn 1")).to_be_visible()
    assert page.url.endswith("#/c/misunderstood")


def test_another_bundle_is_compared_side_by_side(new_page: NewPage, other_bundle: Path) -> None:
    page = new_page("/inspector/")
    talk(page, "hello", "ask me")
    page.get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill(str(other_bundle))
    dialog.get_by_role("button", name="Compare", exact=True).click()
    expect(dialog.get_by_role("status")).to_have_text("1 of 2 turns differ.")
    assert findings(page) == []
    texts = dialog.locator(".message").all_inner_texts()
    assert texts[:2] == ["Hello, see https://example.org/help.", "Good day, see https://example.org/help."]
    assert texts[2] == texts[3]
