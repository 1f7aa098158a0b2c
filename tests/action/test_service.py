"""The gRPC face of actions."""

import socket
from typing import Any, cast

import pytest
from turnstream.action.action_server import ActionServerSettings
from turnstream.action.loaded import LoadedActions
from turnstream.action.service import ActionService
from turnstream.api.v1 import action_pb2 as pb
from turnstream.assistant.domain import Domain, Form, Intent, ResponseVariation, Slot
from turnstream.dialogue.events import (
    ActionExecuted,
    BotUttered,
    Event,
    IntentScore,
    ParseData,
    SelectedResponse,
    SlotSet,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, tracker_to_proto
from turnstream.dialogue.values import map_to_proto
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest, NotFound, UnknownBundle

DOMAIN = Domain(
    intents={"faq": Intent("faq", is_retrieval=True)},
    slots={
        "city": Slot("city", "text"),
        "shared": Slot("shared", "text", shared_for_coexistence=True),
        "requested_slot": Slot("requested_slot", "any"),
    },
    responses={
        "utter_many": tuple(ResponseVariation(text=str(n)) for n in range(8)),
        "utter_channel": (
            ResponseVariation(text="anywhere"),
            ResponseVariation(text="rest", channel="rest"),
            ResponseVariation(text="collected", channel="collector"),
            ResponseVariation(text="slack", channel="slack"),
        ),
        "utter_odd": (ResponseVariation(text="open {"),),
        "utter_faq/ask_name": (ResponseVariation(text="I am a bot"),),
        "utter_restart": (ResponseVariation(text="from the start"),),
        "utter_default": (ResponseVariation(text="sorry"),),
    },
    actions=("action_custom", "action_back", "form_b"),
    forms={"form_a": Form("form_a", ("city",)), "form_b": Form("form_b", ("city",))},
    e2e_actions=("Hello there {city}",),
)
LISTEN = ActionExecuted(name="action_listen")


def service() -> ActionService:
    return ActionService(Bundles({"1": LoadedActions.of_domain(DOMAIN)}), clock=lambda: 9.0)


def request(action: str, *events: Event, **fields: Any) -> pb.RunActionRequest:
    dialogue = Dialogue("c", DOMAIN, events)
    return pb.RunActionRequest(action=action, tracker=tracker_to_proto(dialogue.tracker, events), **fields)


async def run(action: str, *events: Event, **fields: Any) -> pb.RunActionResponse:
    return await service().RunAction(request(action, *events, **fields), None)


def events_of(response: pb.RunActionResponse) -> list[Event]:
    return [event_from_proto(e) for e in response.events]


def texts_of(response: pb.RunActionResponse) -> list[str | None]:
    return [e.text for e in events_of(response) if isinstance(e, BotUttered)]


async def test_a_request_without_action_or_tracker_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="`action` is missing"):
        await service().RunAction(pb.RunActionRequest(), None)
    with pytest.raises(InvalidRequest, match="`tracker` is missing"):
        await service().RunAction(pb.RunActionRequest(action="action_listen"), None)


async def test_an_unknown_action_or_bundle_is_not_found() -> None:
    with pytest.raises(NotFound, match="no action 'action_nowhere'"):
        await run("action_nowhere")
    with pytest.raises(UnknownBundle):
        await run("action_listen", bundle_version="2")


async def test_the_same_idempotency_key_says_the_same_again() -> None:
    said = [texts_of(await run("utter_many", idempotency_key=f"key-{n}")) for n in range(20)]
    again = [texts_of(await run("utter_many", idempotency_key=f"key-{n}")) for n in range(20)]
    assert said == again
    assert len({tuple(t) for t in said}) > 1


@pytest.mark.parametrize(("channel", "said"), [("rest", "collected"), ("slack", "slack"), ("", "anywhere")])
async def test_responses_over_rest_are_those_of_the_channel_that_collects_them(channel: str, said: str) -> None:
    assert texts_of(await run("utter_channel", channel=channel)) == [said]


async def test_a_custom_action_without_a_server_fails_and_the_call_does_not() -> None:
    response = await run("action_custom")
    assert response.custom
    assert response.failure.action == "action_custom"
    assert "endpoints.yml" in response.failure.message
    assert not response.events


async def test_a_server_that_is_down_is_a_failure_with_the_actions_name() -> None:
    settings = ActionServerSettings("http://127.0.0.1:9/webhook", connect_retry_delay_s=0.001)
    down = ActionService(Bundles({"1": LoadedActions.of_domain(DOMAIN)}), settings)
    response = await down.RunAction(request("action_custom"), None)
    await down.close()
    assert response.failure.action == "action_custom"
    assert "no action server answers" in response.failure.message


class Hurried:
    """A call whose client waits only so long."""

    def time_remaining(self) -> float:
        return 0.1


async def test_the_callers_deadline_ends_a_late_action_server_with_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = ActionServerSettings(f"http://127.0.0.1:{silent.getsockname()[1]}/webhook")
        waiting = ActionService(Bundles({"1": LoadedActions.of_domain(DOMAIN)}), settings)
        response = await waiting.RunAction(request("action_custom"), cast(Any, Hurried()))
        await waiting.close()
    assert "took longer than" in response.failure.message


async def test_a_default_action_or_form_that_the_domain_lists_is_the_authors() -> None:
    assert (await run("action_back")).custom
    assert (await run("form_b")).custom
    assert not (await run("form_a")).custom
    assert not (await run("action_restart")).custom


async def test_an_unbalanced_brace_is_named_and_nothing_is_said() -> None:
    response = await run("utter_odd")
    assert response.failure.action == "utter_odd"
    assert "unbalanced brace" in response.failure.message
    assert not response.events


async def test_a_selected_response_is_said_by_its_full_name() -> None:
    selected = SelectedResponse("faq/ask_name", 0.9, "utter_faq/ask_name")
    parse = ParseData("who?", IntentScore("faq", 1.0), response_selector={"default": selected})
    response = await run("utter_faq", UserUttered(text="who?", parse_data=parse))
    (event,) = events_of(response)
    assert isinstance(event, BotUttered)
    assert event.text == "I am a bot"
    assert event.metadata == {"utter_action": "utter_faq/ask_name"}


async def test_a_retrieval_intent_without_a_selected_response_is_a_failure() -> None:
    response = await run("utter_faq", UserUttered(text="who?"))
    assert "ResponseSelector" in response.failure.message


async def test_an_end_to_end_text_is_said_as_it_stands() -> None:
    assert texts_of(await run("Hello there {city}", is_text=True)) == ["Hello there {city}"]
    assert texts_of(await run("Hello there {city}")) == ["Hello there {city}"]


async def test_restarting_and_falling_back_say_their_response_first() -> None:
    assert [e.type_name for e in events_of(await run("action_restart"))] == ["bot", "restart"]
    assert [e.type_name for e in events_of(await run("action_default_fallback"))] == ["bot", "rewind"]


async def test_a_text_from_outside_is_sent() -> None:
    metadata = map_to_proto({"message": {"text": "hi", "buttons": [{"title": "a"}]}})
    (event,) = events_of(await run("action_send_text", metadata=metadata))
    assert isinstance(event, BotUttered)
    assert (event.text, event.data["buttons"]) == ("hi", [{"title": "a"}])
    assert texts_of(await run("action_send_text")) == [""]


async def test_a_rejection_carries_the_prediction() -> None:
    asked = [
        LISTEN,
        UserUttered(text="go"),
        ActionExecuted(name="form_a"),
        *events_of(await run("form_a", LISTEN, UserUttered(text="go"))),
        LISTEN,
        UserUttered(text="what?"),
    ]
    ask = request("form_a", *asked)
    ask.prediction.policy, ask.prediction.confidence = "RulePolicy", 1.0
    response = await service().RunAction(ask, None)
    assert response.rejected
    assert [e.action_execution_rejected.policy for e in response.events] == ["RulePolicy"]


async def test_slots_set_before_the_events_that_came_are_carried_over_as_well() -> None:
    told = [SlotSet(name="shared", value="x")]
    asked = request("action_session_start", SlotSet(name="city", value="Rome"), *told)
    del asked.tracker.events[0]
    response = await service().RunAction(asked, None)
    carried = [(e.name, e.value) for e in events_of(response) if isinstance(e, SlotSet)]
    assert carried == [("city", "Rome"), ("shared", "x")]


async def test_resetting_the_routing_empties_what_is_not_shared() -> None:
    filled = [SlotSet(name="city", value="Rome"), SlotSet(name="shared", value="x")]
    events = events_of(await run("action_reset_routing", *filled))
    assert [(e.name, e.value) for e in events if isinstance(e, SlotSet)] == [("city", None)]
    assert events[-1].type_name == "routing_session_ended"


async def test_every_event_is_stamped_with_the_services_clock() -> None:
    assert {e.timestamp for e in events_of(await run("action_session_start"))} == {9.0}
