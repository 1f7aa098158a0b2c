"""One message, one turn: what is recorded, in which order, and what is sent."""

import pytest
from support.turns import SESSION, Conversation, a_domain, events, names, texts
from turnstream.api.v1.action_pb2 import RunActionRequest, RunActionResponse
from turnstream.api.v1.selection_pb2 import SelectResponseResponse
from turnstream.assistant.domain import Slot
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.dialogue import events as ev
from turnstream.dialogue.proto import selected_to_proto
from turnstream.testing.scripted_services import ScriptedServices


async def test_the_first_message_begins_a_session_and_is_answered() -> None:
    turn = await Conversation().say("hello")
    assert names(turn.record) == [
        *SESSION,
        "user",
        "user_featurization",
        "action utter_greet",
        "bot",
        "action action_listen",
    ]
    assert texts(turn.record) == ["utter_greet"]
    assert not turn.record.errors


async def test_events_have_growing_times_and_name_the_model_and_the_assistant() -> None:
    turn = await Conversation().say("hello")
    times = [event.timestamp for event in events(turn.record)]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    for event in events(turn.record):
        assert event.metadata["model_id"] == "model"
        assert event.metadata["assistant_id"] == "assistant"


async def test_an_assistant_of_nlu_alone_understands_a_message_and_does_nothing() -> None:
    conversation = Conversation(assistant=LoadedAssistant("v1", a_domain(), has_policies=False))
    assert names((await conversation.say("hello")).record) == [*SESSION, "user"]
    turn = await conversation.say("hello")
    assert names(turn.record) == ["user"]
    assert not turn.record.errors


async def test_slots_are_filled_before_anything_is_predicted_and_without_an_action_event() -> None:
    services = ScriptedServices()
    services.action.events["action_extract_slots"] = (ev.SlotSet(name="city", value="Rome"),)
    conversation = Conversation(services)
    turn = await conversation.say('/greet{"city": "Rome"}')
    assert names(turn.record)[3:6] == ["user", "slot city", "user_featurization"]
    assert "action action_extract_slots" not in names(turn.record)
    assert services.policy.requests[0].tracker.slots[0].value.string_value == "Rome"


async def test_an_action_follows_an_action_until_the_policies_listen() -> None:
    services = ScriptedServices()
    services.action.events["action_order"] = (ev.SlotSet(name="city", value="Oslo"), ev.BotUttered(text="ordering"))
    turn = await Conversation(services).say("I order")
    assert names(turn.record)[5:] == [
        "action action_order",
        "slot city",
        "bot",
        "action utter_done",
        "bot",
        "action action_listen",
    ]
    assert texts(turn.record) == ["ordering", "utter_done"]


async def test_the_events_of_a_prediction_come_before_its_action_which_sees_them() -> None:
    services = ScriptedServices()
    services.policy.mandatory_events = [ev.LoopInterrupted(is_interrupted=True)]
    conversation = Conversation(services)
    conversation.dialogue.extend(
        [ev.ActionExecuted(name="action_listen"), ev.ActiveLoopChanged(name="trip_form"), ev.SlotSet(name="city")]
    )
    turn = await conversation.say("hello")
    assert names(turn.record)[:4] == ["user", "loop_interrupted", "user_featurization", "action utter_greet"]
    assert services.action.requests[-1].tracker.active_loop.is_interrupted


async def test_a_rejected_action_leaves_a_rejection_and_nothing_of_its_prediction() -> None:
    services = ScriptedServices()

    async def reject(request: RunActionRequest) -> RunActionResponse:
        services.policy.plans["book"] = ["utter_more"]
        return RunActionResponse(rejected=True)

    services.action.acts["trip_form"] = reject
    turn = await Conversation(services).say("/book")
    assert names(turn.record)[3:] == [
        "user",
        "action_execution_rejected trip_form",
        "user_featurization",
        "action utter_more",
        "bot",
        "action action_listen",
    ]
    rejection = events(turn.record)[4]
    assert isinstance(rejection, ev.ActionExecutionRejected)
    assert (rejection.policy, rejection.confidence) == ("Script", 1.0)


async def test_a_follow_up_action_runs_without_asking_the_policies() -> None:
    services = ScriptedServices()
    services.action.events["action_order"] = (
        ev.FollowupActionSet(name="utter_greet"),
        ev.FollowupActionSet(name="utter_more"),
    )
    turn = await Conversation(services).say("I order")
    run = [e for e in events(turn.record) if isinstance(e, ev.ActionExecuted)]
    assert [(e.name, e.policy) for e in run[2:]] == [
        ("action_order", "Script"),
        ("utter_more", "followup_action"),
        ("action_listen", "Script"),
    ]
    assert len(services.policy.requests) == 2


async def test_an_authors_own_listen_is_run_in_place_of_the_default_one() -> None:
    services = ScriptedServices()
    services.action.events["action_listen"] = (ev.BotUttered(text="Your turn."),)
    domain = a_domain(actions=("action_listen",))
    conversation = Conversation(services, LoadedAssistant("v1", domain))
    turn = await conversation.say("hello")
    assert texts(turn.record) == ["utter_greet", "Your turn."]
    assert names(turn.record)[-2:] == ["action action_listen", "bot"]
    assert texts((await conversation.say("hello")).record) == ["utter_greet", "Your turn."]


async def test_an_authors_own_listen_that_is_rejected_leaves_a_conversation_that_listens() -> None:
    services = ScriptedServices()

    async def reject(request: RunActionRequest) -> RunActionResponse:
        return RunActionResponse(rejected=True, custom=True)

    services.action.acts["action_listen"] = reject
    conversation = Conversation(services, LoadedAssistant("v1", a_domain(actions=("action_listen",))))
    assert names((await conversation.say("hello")).record)[-2:] == [
        "action_execution_rejected action_listen",
        "action action_listen",
    ]
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_what_the_validation_of_slots_says_is_sent() -> None:
    services = ScriptedServices()
    services.action.events["action_extract_slots"] = (ev.BotUttered(text="Bonn it is."),)
    turn = await Conversation(services).say("hello")
    assert texts(turn.record) == ["Bonn it is.", "utter_greet"]


async def test_an_authors_own_extraction_is_run_after_a_message_where_no_slot_is_mapped() -> None:
    services = ScriptedServices()
    services.action.events["action_extract_slots"] = (ev.SlotSet(name="city", value="Bonn"),)
    domain = a_domain(slots={"city": Slot("city", "text")}, actions=("action_extract_slots",))
    conversation = Conversation(services, LoadedAssistant("v1", domain))
    await conversation.say("hello")
    assert conversation.dialogue.tracker.slots["city"] == "Bonn"


async def test_a_user_message_that_an_action_returns_fills_slots_and_is_answered() -> None:
    services = ScriptedServices()
    said = ev.UserUttered(text="hey", parse_data=ev.ParseData(text="hey", intent=ev.IntentScore("greet")))
    services.action.events["action_order"] = (ev.ActionExecuted(name="action_listen"), said)
    services.action.events["action_extract_slots"] = ()
    turn = await Conversation(services).say("I order")
    assert names(turn.record)[5:8] == ["action action_order", "action action_listen", "user"]
    assert texts(turn.record) == ["utter_greet"]
    assert len(services.action.keys("action_extract_slots")) == 2


async def test_selectors_are_asked_for_texts_and_not_for_payloads() -> None:
    chosen = ev.SelectedResponse("faq/name", 0.9, "utter_faq/name")
    answer = SelectResponseResponse(all_retrieval_intents=["faq"], selections={"faq": selected_to_proto(chosen)})
    services = ScriptedServices()
    services.selection.answer = answer
    services.nlu.intents = {"who are you": "faq", "hello": "greet"}
    conversation = Conversation(services, LoadedAssistant("v1", a_domain(), has_selectors=True))
    faq, greet, payload = [
        next(e for e in events((await conversation.say(text)).record) if isinstance(e, ev.UserUttered)).parse_data
        for text in ("who are you", "hello", "/greet")
    ]
    assert (faq.full_retrieval_intent_name, faq.has_full_retrieval_intent_name) == ("faq/name", True)
    assert faq.response_selector["faq"].intent_response_key == "faq/name"
    assert (greet.full_retrieval_intent_name, greet.has_full_retrieval_intent_name) == (None, False)
    assert greet.response_selector
    assert not payload.response_selector
    assert len(services.selection.requests) == 2


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("/order", ["action", "session_started", "action", "user", "user_featurization"]),
        ("/book", ["user", "user_featurization"]),
        ("/greet", []),
    ],
)
async def test_only_actions_that_need_them_are_sent_events(action: str, expected: list[str]) -> None:
    conversation = Conversation()
    await conversation.say(action)
    sent = next(
        r for r in conversation.services.action.requests if r.action in ("action_order", "trip_form", "utter_greet")
    )
    bodies = {"action_executed": "action", "user_uttered": "user", "user_featurized": "user_featurization"}
    assert [bodies.get(e.WhichOneof("body") or "", e.WhichOneof("body")) for e in sent.tracker.events] == expected


async def test_what_an_action_server_is_sent_does_not_grow_with_the_conversation() -> None:
    conversation = Conversation(max_events_for_actions=20)
    for _ in range(10):
        await conversation.say("hello")
    await conversation.say("I order")
    sent = next(r for r in conversation.services.action.requests if r.action == "action_order")
    assert len(sent.tracker.events) == 20


async def test_the_same_message_is_given_the_same_idempotency_keys_again() -> None:
    conversation = Conversation()
    before = conversation.dialogue
    message = conversation.message()
    message.user_message.text = "I order"
    await conversation.handler.handle(message, before)
    await conversation.handler.handle(message, before)
    first, second = conversation.services.action.keys("action_order")
    assert first == second
    assert "m1" in first


async def test_a_turn_tells_which_services_it_asked_and_when() -> None:
    record = (await Conversation().say("hello")).record
    calls = [(call.service, call.what) for call in record.calls]
    predict = ("policy", "PredictNextAction")
    assert calls[:2] == [("action", "action_session_start"), ("nlu", "Parse")]
    assert calls[-3:] == [predict, ("action", "utter_greet"), predict]
    ends = [call.start.ToTimedelta() + call.duration.ToTimedelta() for call in record.calls]
    assert ends == sorted(ends)
    assert ends[-1] <= record.duration.ToTimedelta()
