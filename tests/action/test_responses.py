"""Choosing a variation, as recorded in golden/micro/surface/resp-*."""

import random
from typing import Any

import pytest
from turnstream.action.messages import bot_event
from turnstream.action.responses import DomainResponses, eligible
from turnstream.action.scene import Scene
from turnstream.assistant.domain import Domain, ResponseCondition, ResponseVariation
from turnstream.dialogue.tracker import Tracker


def said(text: str, channel: str | None = None, **conditions: Any) -> ResponseVariation:
    constraints = tuple(ResponseCondition(slot, value) for slot, value in conditions.items())
    return ResponseVariation(text=text, channel=channel, conditions=constraints or None)


def texts(variations: tuple[ResponseVariation, ...], slots: dict[str, Any], channel: str = "rest") -> list[str | None]:
    return [v.text for v in eligible(variations, slots, channel)]


def test_the_channel_is_chosen_before_the_condition() -> None:
    variations = (
        said("default"),
        said("gold", tier="gold"),
        said("slack", "slack"),
        said("slack gold", "slack", tier="gold"),
        said("telegram gold", "telegram", tier="gold"),
    )
    assert texts(variations, {"tier": "gold"}) == ["gold"]
    assert texts(variations, {"tier": "tin"}) == ["default"]
    assert texts(variations, {"tier": "gold"}, "slack") == ["slack gold"]
    assert texts(variations, {"tier": "tin"}, "slack") == ["slack"]
    assert texts(variations, {"tier": "gold"}, "telegram") == ["telegram gold"]
    assert texts(variations, {"tier": "tin"}, "telegram") == ["default"]
    assert texts(variations, {"tier": "tin"}, "Slack") == ["default"]


def test_with_only_a_foreign_channel_nothing_is_said() -> None:
    assert texts((said("for slack only", "slack"),), {}) == []


@pytest.mark.parametrize(
    ("wanted", "actual", "fits"),
    [
        ("Gold", "gOLD", True),
        (True, 1, True),
        (1, True, True),
        (2, "2", False),
        (2, 2.0, True),
        (["ham", "egg"], ["ham", "egg"], True),
        (["ham", "egg"], ["egg", "ham"], False),
        (["ham"], ["Ham"], False),
        ({"a": 1}, {"a": 1}, True),
        (None, None, True),
    ],
)
def test_conditions_ignore_case_in_texts_and_compare_the_rest_plainly(wanted: Any, actual: Any, fits: bool) -> None:
    assert texts((said("yes", slot=wanted),), {"slot": actual}) == (["yes"] if fits else [])


def test_an_undefined_slot_equals_null() -> None:
    assert texts((said("yes", nowhere=None),), {}) == ["yes"]


def test_an_empty_list_of_conditions_never_applies() -> None:
    assert texts((ResponseVariation(text="never", conditions=()),), {}) == []


async def generate(domain: Domain, name: str, seed: str = "", **arguments: Any) -> dict[str, Any] | None:
    tracker = Tracker("c", slots={"city": "Rome"})
    scene = Scene(domain, tracker, channel="rest", chance=random.Random(seed))
    return await DomainResponses(domain).generate(name, scene, arguments)


async def test_every_part_of_a_message_is_filled_and_arguments_win_over_slots() -> None:
    variation = ResponseVariation(
        text="in {city}",
        buttons=({"title": "{city}", "payload": '/go{{"city": "{city}"}}'},),
        custom={"deep": [{"city": "{city}"}]},
        image="{city}.png",
        metadata={"tone": "{city}"},
        id="one",
    )
    message = await generate(Domain(responses={"utter_x": (variation,)}), "utter_x", city="Oslo")
    assert message == {
        "text": "in Oslo",
        "buttons": [{"title": "Oslo", "payload": '/go{"city": "Oslo"}'}],
        "custom": {"deep": [{"city": "Oslo"}]},
        "image": "Oslo.png",
        "metadata": {"tone": "{city}"},
        "id": "one",
        "utter_action": "utter_x",
    }


async def test_the_same_seed_chooses_the_same_variation_and_all_are_chosen_some_time() -> None:
    domain = Domain(responses={"utter_x": tuple(said(str(n)) for n in range(4))})
    chosen = [await generate(domain, "utter_x", f"key-{n}") for n in range(40)]
    again = [await generate(domain, "utter_x", f"key-{n}") for n in range(40)]
    assert chosen == again
    assert {m["text"] for m in chosen if m} == {"0", "1", "2", "3"}


async def test_nothing_is_said_for_a_response_without_variations() -> None:
    assert await generate(Domain(responses={"utter_x": ()}), "utter_x") is None
    assert await generate(Domain(), "utter_nowhere") is None


def test_an_event_has_all_data_keys_and_the_rest_as_metadata() -> None:
    event = bot_event({"text": "hi", "image": "a.png", "id": "one", "utter_action": "utter_x"}, 5.0)
    assert event.timestamp == 5.0
    assert event.data == {
        "elements": None,
        "quick_replies": None,
        "buttons": None,
        "attachment": "a.png",
        "image": "a.png",
        "custom": None,
    }
    assert event.metadata == {"id": "one", "utter_action": "utter_x"}
