"""What an action server answered becomes events."""

import json
from collections.abc import Sequence
from typing import Any

from turnstream.action.action_server import ActionAnswer, ActionRequest, WireDomain
from turnstream.action.custom import CustomActions
from turnstream.action.dispatch import Actions
from turnstream.action.responding import Speaker
from turnstream.action.responses import DomainResponses
from turnstream.action.scene import Scene
from turnstream.action.server_client import request_body
from turnstream.assistant.domain import (
    ACTION_EXTRACT_SLOTS,
    REQUESTED_SLOT,
    Domain,
    Form,
    ResponseVariation,
    Slot,
)
from turnstream.dialogue.events import BotUttered, Event, SlotSet, UserUttered
from turnstream.dialogue.fold import Dialogue

DOMAIN = Domain(
    slots={"city": Slot("city", "text", initial_value="Rome")},
    responses={
        "utter_city": (ResponseVariation(text="in {city}", buttons=({"title": "a"},)),),
        "utter_odd": (ResponseVariation(text="open {"),),
    },
    actions=("action_x", "action_y"),
    actions_with_domain=frozenset({"action_y"}),
)


class FakeServer:
    """Answers every call in the same way and keeps the requests."""

    def __init__(self, events: Sequence[Any] = (), responses: Sequence[Any] = ()) -> None:
        self.answer = ActionAnswer(tuple(events), tuple(responses))
        self.requests: list[ActionRequest] = []

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        self.requests.append(request)
        return self.answer


def scene_with(server: FakeServer) -> Scene:
    dialogue = Dialogue("ann", DOMAIN, [UserUttered(text="hi"), SlotSet(name="city", value="Bonn")])
    return Scene(DOMAIN, dialogue.tracker, dialogue.events, server, channel="rest", now=7.0)


async def run(server: FakeServer, name: str = "action_x") -> tuple[list[Event], Scene]:
    scene = scene_with(server)
    actions = CustomActions(Speaker(DomainResponses(DOMAIN)), {"intents": ["é"]})
    return await actions.run(name, scene), scene


def texts(events: list[Event]) -> list[str | None]:
    return [e.text for e in events if isinstance(e, BotUttered)]


async def test_the_request_says_what_the_webhook_needs() -> None:
    server = FakeServer()
    await run(server)
    (request,) = server.requests
    body = json.loads(request_body(request, with_domain=True))
    assert set(body) == {"next_action", "sender_id", "tracker", "version", "domain", "domain_digest"}
    assert body["next_action"] == "action_x"
    assert body["sender_id"] == "ann"
    assert body["domain"] == {"intents": ["é"]}
    assert body["tracker"]["slots"] == {"city": "Bonn"}
    assert [e["event"] for e in body["tracker"]["events"]] == ["user", "slot"]
    assert json.loads(request_body(request, with_domain=False)) == {k: v for k, v in body.items() if k != "domain"}


async def test_an_action_that_is_marked_in_the_domain_is_marked_in_the_request() -> None:
    server = FakeServer()
    await run(server, "action_x")
    await run(server, "action_y")
    assert [r.marked for r in server.requests] == [False, True]


async def test_the_digest_is_that_of_the_domain() -> None:
    first, same, other = (WireDomain.of({"intents": [i]}).digest for i in ("a", "a", "b"))
    assert first == same
    assert first != other


async def test_messages_come_before_events_and_responses_use_the_slots_as_they_were() -> None:
    server = FakeServer(
        [{"event": "slot", "name": "city", "value": "Oslo"}, {"event": "bot", "text": "in between", "data": {}}],
        [{"text": "first"}, {"response": "utter_city", "template": "utter_city", "buttons": []}],
    )
    events, scene = await run(server)
    assert [type(e).__name__ for e in events] == ["BotUttered", "BotUttered", "SlotSet", "BotUttered"]
    assert texts(events) == ["first", "in Bonn", "in between"]
    assert {e.timestamp for e in events} == {7.0}
    assert scene.failures == []


async def test_own_words_win_over_the_named_response_and_buttons_are_added() -> None:
    server = FakeServer((), [{"response": "utter_city", "city": "Bern", "image": "a.png", "buttons": [{"title": "b"}]}])
    (event,), _ = await run(server)
    assert isinstance(event, BotUttered)
    assert event.text == "in Bern"
    assert event.data["buttons"] == [{"title": "a"}, {"title": "b"}]
    assert event.data["attachment"] == "a.png"
    assert event.metadata == {"utter_action": "utter_city", "city": "Bern"}


async def test_an_empty_standard_key_does_not_hide_a_slot_but_an_empty_argument_does() -> None:
    events, _ = await run(FakeServer((), [{"response": "utter_city", "text": None, "city": None}]))
    assert texts(events) == ["in None"]


async def test_an_unknown_response_is_passed_over() -> None:
    events, scene = await run(FakeServer((), [{"text": "a"}, {"response": "utter_nowhere"}, {"text": "b"}]))
    assert texts(events) == ["a", "b"]
    assert scene.failures == []


async def test_what_is_unusable_is_left_out_by_name_and_nothing_else_is_lost() -> None:
    server = FakeServer(
        [
            {"event": "bogus"},
            {"event": "slot", "name": "city"},
            {"event": "reminder", "intent": "hi", "date_time": "tomorrow"},
            {"event": "slot", "name": "city", "value": "Oslo"},
        ],
        [{"response": "utter_odd"}, "hi", {"text": 5}, {"buttons": "b"}, {"text": "kept"}],
    )
    events, scene = await run(server)
    assert texts(events) == ["kept"]
    assert [e.value for e in events if isinstance(e, SlotSet)] == ["Oslo"]
    messages = [f.message for f in scene.failures]
    assert len(messages) == 7
    for expected in ("unbalanced brace", "no JSON object", "'text'", "'buttons'", "bogus", "'value'", "'tomorrow'"):
        assert any(expected in m for m in messages), expected


async def test_a_loop_that_the_domain_does_not_have_is_left_out_and_named() -> None:
    server = FakeServer([{"event": "active_loop", "name": "order_form"}, {"event": "active_loop", "name": None}])
    events, scene = await run(server)
    assert [type(e).__name__ for e in events] == ["ActiveLoopChanged"]
    assert "the domain has no form 'order_form'" in scene.failures[0].message


async def test_a_form_that_starts_fills_slots_by_the_authors_own_extraction() -> None:
    domain = Domain(
        slots={name: Slot(name, "text") for name in ("city", REQUESTED_SLOT)},
        actions=(ACTION_EXTRACT_SLOTS,),
        forms={"trip_form": Form("trip_form", ("city",))},
    )
    server = FakeServer([{"event": "slot", "name": "city", "value": "Bonn"}])
    dialogue = Dialogue("ann", domain, [UserUttered(text="go")])
    scene = Scene(domain, dialogue.tracker, dialogue.events, server)
    made = await Actions(domain, DomainResponses(domain), {}).run("trip_form", scene)
    assert [request.action for request in server.requests] == [ACTION_EXTRACT_SLOTS]
    assert [(e.name, e.value) for e in made if isinstance(e, SlotSet)] == [("city", "Bonn"), (REQUESTED_SLOT, None)]
