"""Whose turn it is where two engines share a conversation."""

import pytest
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_ROUTE_TO_CALM, ROUTE_TO_CALM_SLOT, Domain, Slot
from turnstream.dialogue import events as ev
from turnstream.dialogue.fold import Dialogue
from turnstream.policy.coexistence import decide

DOMAIN = Domain(slots={ROUTE_TO_CALM_SLOT: Slot(ROUTE_TO_CALM_SLOT, "bool", influence_conversation=False)})
LISTEN = ev.ActionExecuted(name=ACTION_LISTEN)
ASKED = ev.ActionExecuted(name=ACTION_ROUTE_TO_CALM)
REFUSED = ev.ActionExecutionRejected(name=ACTION_ROUTE_TO_CALM)
SPOKE = ev.ActionExecuted(name="utter_hi")


def says(intent: str = "hi") -> ev.UserUttered:
    return ev.UserUttered(text=intent, parse_data=ev.ParseData(text=intent, intent=ev.IntentScore(intent)))


def routed(value: bool | None) -> ev.SlotSet:
    return ev.SlotSet(name=ROUTE_TO_CALM_SLOT, value=value)


def next_action(*events: ev.Event, domain: Domain = DOMAIN) -> str | None:
    decision = decide(Dialogue("ann", domain, events).tracker, domain)
    return decision.action if decision else None


@pytest.mark.parametrize(
    ("events", "action"),
    [
        ((LISTEN, says(), routed(True)), ACTION_ROUTE_TO_CALM),
        ((LISTEN, says(), routed(True), ASKED), ACTION_LISTEN),
        ((LISTEN, says(), routed(True), REFUSED), None),
        ((LISTEN, says(), routed(True), REFUSED, SPOKE), None),
        ((LISTEN, says(), routed(True), REFUSED, SPOKE, LISTEN, says()), ACTION_ROUTE_TO_CALM),
        ((LISTEN, says("restart"), routed(True)), None),
        ((LISTEN, says(), routed(False)), None),
        ((LISTEN, says()), None),
        ((LISTEN, says(), routed(True), ASKED, routed(None), ev.RoutingSessionEnded()), ACTION_LISTEN),
        ((LISTEN, says(), SPOKE, ev.RoutingSessionEnded()), ACTION_LISTEN),
    ],
)
def test_the_slot_and_what_was_done_say_whose_turn_it_is(events: tuple[ev.Event, ...], action: str | None) -> None:
    assert next_action(*events) == action


def test_an_assistant_without_the_slot_is_left_to_its_policies() -> None:
    assert next_action(LISTEN, says(), ev.RoutingSessionEnded(), domain=Domain()) is None
