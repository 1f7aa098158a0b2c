"""What the action service does where two engines share a conversation."""

from typing import Any

import pytest
from turnstream.action.action_server import ActionAnswer, ActionRequest, ActionServer, NoOtherEngine
from turnstream.action.failures import ActionRejected
from turnstream.action.loaded import LoadedActions
from turnstream.action.scene import Scene
from turnstream.assistant.domain import (
    ACTION_EXTRACT_SLOTS,
    ACTION_RESET_ROUTING,
    ACTION_ROUTE_TO_CALM,
    ROUTE_TO_CALM_SLOT,
    Domain,
    Entity,
    Form,
    Intent,
    Slot,
    SlotMapping,
)
from turnstream.assistant.routing import IntentRouter
from turnstream.dialogue import events as ev
from turnstream.dialogue.fold import Dialogue

FROM_CITY = (SlotMapping("from_entity", entity="city"),)
DOMAIN = Domain(
    intents={n: Intent(n, frozenset({"city"})) for n in ("order", "chat", "travel")},
    entities={"city": Entity("city")},
    slots={
        ROUTE_TO_CALM_SLOT: Slot(ROUTE_TO_CALM_SLOT, "bool", influence_conversation=False, initial_value=None),
        "city": Slot("city", "text", mappings=FROM_CITY),
        "shared": Slot("shared", "text", mappings=FROM_CITY, shared_for_coexistence=True),
    },
    forms={"trip_form": Form("trip_form")},
)
ROUTER = IntentRouter(nlu_non_sticky=frozenset({"chat"}), calm=frozenset({"travel"}))


class Engine:
    """Another engine that answers always the same."""

    def __init__(self, *events: Any) -> None:
        self._answer = ActionAnswer(events, ({"text": "elsewhere"},))
        self.asked: list[str] = []

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        self.asked.append(request.action)
        return self._answer


def says(intent: str) -> ev.UserUttered:
    entities = (ev.ExtractedEntity(entity="city", value="Rome"),)
    return ev.UserUttered(
        text=intent, parse_data=ev.ParseData(text=intent, intent=ev.IntentScore(intent), entities=entities)
    )


def sets(name: str, value: Any) -> ev.SlotSet:
    return ev.SlotSet(name=name, value=value)


def scene_after(*events: ev.Event, engine: ActionServer | None = None) -> Scene:
    dialogue = Dialogue("ann", DOMAIN, events)
    return Scene(DOMAIN, dialogue.tracker, dialogue.events, other_engine=engine or NoOtherEngine())


async def run(action: str, scene: Scene) -> list[ev.Event]:
    return await LoadedActions.of_domain(DOMAIN, router=ROUTER).actions.run(action, scene)


def settings(events: list[ev.Event]) -> list[tuple[str, Any]]:
    return [(e.name, e.value) for e in events if isinstance(e, ev.SlotSet)]


@pytest.mark.parametrize(
    ("intent", "filled"),
    [
        ("travel", [(ROUTE_TO_CALM_SLOT, True), ("shared", "Rome")]),
        ("order", [(ROUTE_TO_CALM_SLOT, False), ("city", "Rome"), ("shared", "Rome")]),
        ("chat", [("city", "Rome"), ("shared", "Rome")]),
    ],
)
async def test_a_session_begins_by_the_intent_before_slots_are_filled(intent: str, filled: list[Any]) -> None:
    assert settings(await run(ACTION_EXTRACT_SLOTS, scene_after(says(intent)))) == filled


@pytest.mark.parametrize("route", [True, False])
async def test_a_session_that_has_begun_is_not_chosen_again(route: bool) -> None:
    intent = "order" if route else "travel"
    found = settings(await run(ACTION_EXTRACT_SLOTS, scene_after(sets(ROUTE_TO_CALM_SLOT, route), says(intent))))
    assert ROUTE_TO_CALM_SLOT not in dict(found)


async def test_the_other_engine_is_asked_as_an_action_server_is() -> None:
    engine = Engine({"event": "slot", "name": "city", "value": "Bonn"})
    events = await run(ACTION_ROUTE_TO_CALM, scene_after(says("travel"), engine=engine))
    assert engine.asked == [ACTION_ROUTE_TO_CALM]
    assert [e.text for e in events if isinstance(e, ev.BotUttered)] == ["elsewhere"]
    assert settings(events) == [("city", "Bonn")]


async def test_where_no_other_engine_answers_this_one_does_and_the_failure_is_told() -> None:
    scene = scene_after(says("travel"))
    with pytest.raises(ActionRejected):
        await run(ACTION_ROUTE_TO_CALM, scene)
    assert [f.action for f in scene.failures] == [ACTION_ROUTE_TO_CALM]
    assert "set calm_endpoint.url" in scene.failures[0].message


async def test_a_reset_leaves_the_form_and_opens_the_choice() -> None:
    begun = [sets(ROUTE_TO_CALM_SLOT, False), sets("city", "Rome"), sets("shared", "x")]
    events = await run(ACTION_RESET_ROUTING, scene_after(*begun, ev.ActiveLoopChanged(name="trip_form")))
    assert settings(events) == [(ROUTE_TO_CALM_SLOT, None), ("city", None)]
    assert [type(e) for e in events if not isinstance(e, ev.SlotSet)] == [ev.ActiveLoopChanged, ev.RoutingSessionEnded]
