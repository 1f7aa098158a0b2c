"""Stories as a graph, and the page that shows it."""

from xml.etree import ElementTree as ET

import pytest
from support.stories import DOMAIN, either, rule, slot, story
from turnstream.assistant.stories import BotStep, StoryEntity, UserStep
from turnstream.authoring.chart_html import chart_html
from turnstream.authoring.story_chart import Chart, story_chart

SVG = "{http://www.w3.org/2000/svg}"
CHAT = story("chat", "greet", "utter_greet", "bye", "utter_bye")
HELP = story("help", "greet", "utter_greet", "help", "utter_help", "bye", "utter_bye")


def edges(chart: Chart) -> list[str]:
    return sorted(f"{source[-1].label} > {target[-1].label}" for source, target in chart.edges)


def page(chart: Chart) -> ET.Element:
    text = chart_html(chart, "Stories")
    assert text.startswith("<!DOCTYPE html>\n")
    return ET.fromstring(text.partition("\n")[2])


def test_nodes_and_edges_of_two_stories() -> None:
    chart = story_chart([CHAT, HELP], [], DOMAIN, 2)
    assert edges(chart) == [
        "bye > utter_bye",
        "bye > utter_bye",
        "greet > utter_greet",
        "help > utter_help",
        "start > greet",
        "utter_bye > end",
        "utter_bye > end",
        "utter_greet > bye",
        "utter_greet > help",
        "utter_help > bye",
    ]


@pytest.mark.parametrize(("max_history", "goodbyes"), [(1, 1), (2, 2)])
def test_what_is_the_same_after_the_same_actions_is_drawn_once(max_history: int, goodbyes: int) -> None:
    chart = story_chart([CHAT, HELP], [], DOMAIN, max_history)
    assert sum(key[-1].label == "utter_bye" for key in chart.nodes) == goodbyes
    assert sum(key[-1].label == "utter_greet" for key in chart.nodes) == 1


def test_a_node_knows_its_stories() -> None:
    chart = story_chart([CHAT, HELP], [], DOMAIN, 2)
    greeting = next(names for key, names in chart.nodes.items() if key[-1].label == "utter_greet")
    assert list(greeting) == ["chat (stories.yml:5)", "help (stories.yml:5)"]


def test_checkpoints_are_followed_and_every_branch_is_taken() -> None:
    begin, end = story("begin", either("greet", "help"), "utter_greet", ">on"), story("end", ">on", "bye", "utter_bye")
    assert edges(story_chart([begin, end], [], DOMAIN, 1)) == [
        "bye > utter_bye",
        "greet > utter_greet",
        "help > utter_greet",
        "start > greet",
        "start > help",
        "utter_bye > end",
        "utter_greet > bye",
    ]


def test_rules_begin_anywhere_with_their_conditions() -> None:
    order = rule("order", "order", "order_form", "@order_form", conditions=(slot("vip", True),))
    assert edges(story_chart([], [order, rule("hi", "greet", "utter_greet", conversation_start=True)], DOMAIN, 2)) == [
        "at any point > slot vip = true",
        "greet > utter_greet",
        "order > order_form",
        "order_form > loop order_form",
        "slot vip = true > order",
        "start > greet",
    ]


def test_messages_show_entities_and_texts() -> None:
    told = story(
        "told",
        UserStep("order", entities=(StoryEntity("city", "Rome"), StoryEntity("size"))),
        BotStep("Here you are"),
        UserStep(text="thanks"),
        "utter_ok",
    )
    labels = [key[-1].label for key in story_chart([told], [], DOMAIN, 2).nodes]
    assert labels == ["start", "order (city: Rome, size)", '"Here you are"', '"thanks"', "utter_ok", "end"]


def test_the_page_shows_every_node_and_every_edge_between_them() -> None:
    chart = story_chart([CHAT, HELP], [rule("hi", "greet", "utter_greet")], DOMAIN, 2)
    root = page(chart)
    shown = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    assert len(shown) == len(chart.nodes)
    labels = {number: "".join(group.find(f"{SVG}text").itertext()) for number, group in shown.items()}  # type: ignore[union-attr]
    drawn = [path for path in root.iter(f"{SVG}path") if path.get("class") == "edge"]
    assert sorted(f"{labels[p.get('data-from')]} > {labels[p.get('data-to')]}" for p in drawn) == edges(chart)


def test_nodes_do_not_lie_on_each_other() -> None:
    chart = story_chart([CHAT, HELP], [rule(name, name, "utter_ok") for name in ("greet", "order", "bye")], DOMAIN, 1)
    boxes = [[float(r.get(n) or 0) for n in ("x", "y", "width", "height")] for r in page(chart).iter(f"{SVG}rect")]
    overlapping = [
        (a, b)
        for number, a in enumerate(boxes)
        for b in boxes[:number]
        if a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    ]
    assert overlapping == []
    assert all(x >= 0 and y >= 0 for x, y, _, _ in boxes)


def test_the_page_needs_nothing_else() -> None:
    text = chart_html(story_chart([CHAT], [], DOMAIN, 2), "Stories")
    names = {element.tag.partition("}")[2] or element.tag for element in ET.fromstring(text.partition("\n")[2]).iter()}
    assert not names & {"script", "link", "img", "image", "iframe", "use"}
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_hostile_texts_are_shown_and_do_nothing() -> None:
    hostile = '</text><script>alert("1")</script>&amp; \x00\ud800'
    chart = story_chart([story(hostile, UserStep(text=hostile), BotStep(hostile))], [], DOMAIN, 2)
    text = chart_html(chart, hostile)
    assert "<script" not in text
    root = ET.fromstring(text.partition("\n")[2])
    cleaned = hostile.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert root.findtext("body/h1") == cleaned
    assert [t.text for t in root.iter(f"{SVG}text")][1] == f'"{cleaned}"'


def test_stories_that_go_round_are_drawn() -> None:
    again = [story("in", "greet", "utter_greet", ">on"), story("round", ">on", "help", "utter_greet", ">on")]
    chart = story_chart([*again, story("out", ">on", "bye", "utter_bye")], [], DOMAIN, 1)
    assert "utter_greet > help" in edges(chart)
    assert "help > utter_greet" in edges(chart)
    assert len([path for path in page(chart).iter(f"{SVG}path") if path.get("class") == "edge"]) == len(chart.edges)


def test_action_that_repeats_itself_is_drawn_with_a_way_to_itself() -> None:
    chart = story_chart([story("twice", "greet", "utter_greet", "utter_greet")], [], DOMAIN, 1)
    assert "utter_greet > utter_greet" in edges(chart)
    drawn = [path for path in page(chart).iter(f"{SVG}path") if path.get("class") == "edge"]
    assert sum(path.get("data-from") == path.get("data-to") for path in drawn) == 1
