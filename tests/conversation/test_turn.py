"""One message, one turn: what is recorded, in which order, and what is sent."""

import grpc
import pytest
from support.turns import Conversation, a_domain, events, names, texts
from turnstream.api.v1.action_pb2 import ActionFailure, RunActionRequest, RunActionResponse
from turnstream.api.v1.events_pb2 import ReminderScheduled as ReminderProto
from turnstream.api.v1.selection_pb2 import SelectResponseResponse
from turnstream.assistant.domain import SessionConfig, Slot
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.dialogue import events as ev
from turnstream.dialogue.proto import event_to_proto, selected_to_proto
from turnstream.dialogue.values import map_to_proto
from turnstream.testing.scripted_services import ScriptedServices

SESSION = ["action action_session_start", "session_started", "action action_listen"]


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


async def test_the_session_starts_as_a_recorded_conversation_does() -> None:
    start, _, listen, user, *_ = events((await Conversation().say(" hello ")).record)
    assert isinstance(start, ev.ActionExecuted)
    assert (start.policy, start.confidence) == (None, 1.0)
    assert isinstance(listen, ev.ActionExecuted)
    assert (listen.policy, listen.confidence) == (None, None)
    assert isinstance(user, ev.UserUttered)
    assert (user.text, user.input_channel, user.message_id) == ("hello", "rest", "m1")
    assert (user.parse_data.message_id, user.parse_data.intent.name) == ("m1", "greet")


async def test_an_assistant_of_nlu_alone_understands_a_message_and_does_nothing() -> None:
    conversation = Conversation(assistant=LoadedAssistant("v1", a_domain(), has_policies=False))
    assert names((await conversation.say("hello")).record) == [*SESSION, "user"]
    turn = await conversation.say("hello")
    assert names(turn.record) == ["user"]
    assert not turn.record.errors


async def test_a_second_message_begins_no_session() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    assert names((await conversation.say("hello")).record)[0] == "user"


async def test_a_session_that_expired_begins_anew_and_one_that_did_not_goes_on() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    conversation.clock.now += 59 * 60
    assert names((await conversation.say("hello")).record)[0] == "user"
    conversation.clock.now += 61 * 60
    assert names((await conversation.say("hello")).record)[:3] == SESSION


async def test_a_session_never_expires_where_the_domain_says_zero() -> None:
    domain = a_domain(session=SessionConfig(expiration_minutes=0))
    conversation = Conversation(assistant=LoadedAssistant("v1", domain))
    await conversation.say("hello")
    conversation.clock.now += 10_000 * 60
    assert names((await conversation.say("hello")).record)[0] == "user"


async def test_metadata_of_the_first_message_is_a_slot_before_the_session() -> None:
    turn = await Conversation().say("hello", user="Ada")
    first, *_ = events(turn.record)
    assert isinstance(first, ev.SlotSet)
    assert (first.name, first.value) == ("session_started_metadata", {"user": "Ada"})
    user = next(e for e in events(turn.record) if isinstance(e, ev.UserUttered))
    assert user.metadata["user"] == "Ada"


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


async def test_an_unknown_follow_up_action_is_noted_and_passed_over() -> None:
    services = ScriptedServices()
    services.action.events["action_order"] = (ev.FollowupActionSet(name="utter_nowhere"),)
    turn = await Conversation(services).say("I order")
    assert texts(turn.record) == ["utter_done"]
    assert "utter_nowhere" in turn.record.errors[0].message
    assert not services.policy.requests[-1].tracker.HasField("followup_action")


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


async def test_a_failing_custom_action_is_recorded_as_run_and_noted_for_the_author() -> None:
    services = ScriptedServices()

    async def fail(request: RunActionRequest) -> RunActionResponse:
        return RunActionResponse(custom=True, failure=ActionFailure(action=request.action, message="it raised"))

    services.action.acts["action_order"] = fail
    turn = await Conversation(services).say("I order")
    assert "action action_order" in names(turn.record)
    assert texts(turn.record) == ["utter_done"]
    assert [(e.where, e.message) for e in turn.record.errors] == [("action_order", "it raised")]


async def test_a_user_message_that_an_action_returns_fills_slots_and_is_answered() -> None:
    services = ScriptedServices()
    said = ev.UserUttered(text="hey", parse_data=ev.ParseData(text="hey", intent=ev.IntentScore("greet")))
    services.action.events["action_order"] = (ev.ActionExecuted(name="action_listen"), said)
    services.action.events["action_extract_slots"] = ()
    turn = await Conversation(services).say("I order")
    assert names(turn.record)[5:8] == ["action action_order", "action action_listen", "user"]
    assert texts(turn.record) == ["utter_greet"]
    assert len(services.action.keys("action_extract_slots")) == 2


async def test_after_the_limit_of_actions_the_next_message_is_answered() -> None:
    services = ScriptedServices()
    services.action.events["action_spin"] = (ev.BotUttered(text="spin"), ev.FollowupActionSet(name="action_spin"))
    conversation = Conversation(services)
    turn = await conversation.say("/spin")
    assert texts(turn.record) == ["spin"] * 10
    assert names(turn.record)[-1] == "action action_listen"
    assert "10 actions" in turn.record.errors[0].message
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_an_action_that_always_refuses_ends_the_turn_too() -> None:
    services = ScriptedServices()

    async def reject(request: RunActionRequest) -> RunActionResponse:
        return RunActionResponse(rejected=True)

    services.action.acts["trip_form"] = reject
    conversation = Conversation(services)
    turn = await conversation.say("/book")
    assert turn.record.errors
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_a_paused_conversation_keeps_messages_and_says_nothing() -> None:
    services = ScriptedServices()
    services.action.events["action_order"] = (ev.ConversationPaused(),)
    conversation = Conversation(services)
    turn = await conversation.say("I order")
    assert names(turn.record)[-2:] == ["pause", "action action_listen"]
    assert names((await conversation.say("hello")).record) == ["user"]
    conversation.dialogue.append(ev.ConversationResumed())
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_a_restart_wakes_a_paused_conversation() -> None:
    services = ScriptedServices()
    services.policy.plans = {"restart": ["action_restart"], "greet": ["utter_greet"]}
    services.action.events["action_restart"] = (ev.Restarted(),)
    conversation = Conversation(services)
    await conversation.say("hello")
    conversation.dialogue.append(ev.ConversationPaused())
    turn = await conversation.say("/restart")
    assert names(turn.record) == ["user", "user_featurization", "action action_restart", "restart", *SESSION]
    start = [e for e in events(turn.record) if isinstance(e, ev.ActionExecuted)][1]
    assert start.policy == "followup_action"
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_a_message_that_nobody_understood_is_kept_with_the_error() -> None:
    services = ScriptedServices()
    services.nlu.outage.statuses = [grpc.StatusCode.INTERNAL]
    conversation = Conversation(services)
    turn = await conversation.say("hello")
    assert names(turn.record) == [*SESSION, "user"]
    assert turn.record.errors[0].where == "nlu"
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_a_service_that_comes_back_in_time_leaves_no_trace() -> None:
    services = ScriptedServices()
    services.nlu.outage.statuses = [grpc.StatusCode.UNAVAILABLE]
    services.policy.outage.statuses = [grpc.StatusCode.UNAVAILABLE]
    turn = await Conversation(services).say("hello")
    assert texts(turn.record) == ["utter_greet"]
    assert not turn.record.errors


async def test_a_turn_cut_short_in_the_middle_listens_and_keeps_what_happened() -> None:
    services = ScriptedServices()
    conversation = Conversation(services)
    await conversation.say("hello")
    services.action.events["action_order"] = (ev.BotUttered(text="ordering"),)

    async def fail_later(request: RunActionRequest) -> RunActionResponse:
        services.policy.outage.statuses = [grpc.StatusCode.INTERNAL]
        return RunActionResponse(events=[event_to_proto(ev.BotUttered(text="ordering"))])

    services.action.acts["action_order"] = fail_later
    turn = await conversation.say("I order")
    assert names(turn.record)[-3:] == ["action action_order", "bot", "action action_listen"]
    assert (texts(turn.record), turn.record.errors[0].where) == (["ordering"], "policy")
    assert texts((await conversation.say("hello")).record) == ["utter_greet"]


async def test_a_session_begins_also_where_its_action_cannot_be_run() -> None:
    services = ScriptedServices()
    services.action.outage.statuses = [grpc.StatusCode.INTERNAL]
    turn = await Conversation(services).say("hello")
    assert names(turn.record)[:4] == [*SESSION, "user"]
    assert texts(turn.record) == ["utter_greet"]
    assert turn.record.errors


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


async def test_an_intent_from_outside_is_answered_on_the_channel_where_the_user_was_last() -> None:
    conversation = Conversation()
    await conversation.say("hello", channel="slack")
    message = conversation.message(channel="")
    message.intent_trigger.intent = "order"
    message.intent_trigger.entities.CopyFrom(map_to_proto({"city": "Rome"}))
    message.intent_trigger.full_entities.add(entity="city", role="from").value.string_value = "Bonn"
    turn = await conversation.handle(message)
    user = events(turn.record)[0]
    assert isinstance(user, ev.UserUttered)
    assert (user.text, user.input_channel, user.message_id) == ("EXTERNAL: order", "slack", None)
    assert user.metadata["is_external"] is True
    there, here = user.parse_data.entities
    assert (there, here) == (ev.ExtractedEntity("city", "Rome"), ev.ExtractedEntity("city", "Bonn", role="from"))
    assert texts(turn.record) == ["utter_done"]
    assert conversation.services.action.requests[-1].channel == "slack"


async def test_an_unknown_intent_from_outside_is_refused() -> None:
    conversation = Conversation()
    message = conversation.message()
    message.intent_trigger.intent = "ordr"
    turn = await conversation.handle(message)
    assert "'ordr'" in turn.record.errors[0].message
    assert names(turn.record) == SESSION


async def test_events_are_appended_as_they_are_after_a_first_session() -> None:
    conversation = Conversation()
    message = conversation.message(channel="")
    message.events_to_append.events.extend(
        event_to_proto(e) for e in (ev.SlotSet(name="city", value="Rome", timestamp=5.0), ev.BotUttered(text="hi"))
    )
    turn = await conversation.handle(message)
    assert names(turn.record) == [*SESSION, "slot city", "bot"]
    assert events(turn.record)[3].timestamp == 5.0
    assert texts(turn.record) == []


@pytest.mark.parametrize("has_effects", [True, False])
async def test_appended_events_that_bring_their_own_session_get_no_other_and_are_sent_where_asked(
    has_effects: bool,
) -> None:
    conversation = Conversation()
    message = conversation.message(channel="rest")
    appended = (ev.ActionExecuted(name="action_session_start"), ev.SessionStarted(), ev.BotUttered(text="hi"))
    message.events_to_append.events.extend(event_to_proto(e) for e in appended)
    message.events_to_append.has_effects = has_effects
    turn = await conversation.handle(message)
    assert names(turn.record) == ["action action_session_start", "session_started", "bot"]
    assert texts(turn.record) == (["hi"] if has_effects else [])


async def test_a_loop_that_the_domain_does_not_have_is_not_activated() -> None:
    conversation = Conversation()
    message = conversation.message(channel="")
    appended = (ev.ActiveLoopChanged(name="trip_from"), ev.SlotSet(name="city", value="Rome"))
    message.events_to_append.events.extend(event_to_proto(e) for e in appended)
    turn = await conversation.handle(message)
    assert names(turn.record) == [*SESSION, "slot city"]
    assert turn.record.errors[0].message.endswith("the domain has no form 'trip_from'. Did you mean 'trip_form'?")


async def test_a_conversation_in_a_form_that_this_version_lacks_leaves_it_and_goes_on() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    conversation.dialogue.append(ev.ActiveLoopChanged(name="old_form"))
    turn = await conversation.say("hello")
    assert names(turn.record)[0] == "active_loop"
    assert texts(turn.record) == ["utter_greet"]
    assert "'old_form'" in turn.record.errors[0].message


async def test_an_action_is_executed_without_a_prediction() -> None:
    conversation = Conversation()
    message = conversation.message()
    message.action_to_execute.action = "utter_greet"
    turn = await conversation.handle(message)
    assert names(turn.record) == [*SESSION, "action utter_greet", "bot"]
    executed = events(turn.record)[3]
    assert isinstance(executed, ev.ActionExecuted)
    assert (executed.policy, executed.confidence) == (None, 0.0)
    assert not conversation.services.policy.requests


async def test_an_unknown_action_is_not_executed() -> None:
    conversation = Conversation()
    message = conversation.message()
    message.action_to_execute.action = "utter_gret"
    assert "'utter_gret'" in (await conversation.handle(message)).record.errors[0].message


async def test_a_message_is_added_and_not_answered() -> None:
    conversation = Conversation()
    message = conversation.message()
    message.message_to_add.text = "hello"
    turn = await conversation.handle(message)
    assert names(turn.record) == [*SESSION, "user"]
    assert not conversation.services.policy.requests


@pytest.mark.parametrize("with_parse", [False, True])
async def test_a_message_that_is_added_fills_slots(with_parse: bool) -> None:
    services = ScriptedServices()
    services.action.events["action_extract_slots"] = (ev.SlotSet(name="city", value="Rome"),)
    conversation = Conversation(services)
    message = conversation.message(channel="")
    message.message_to_add.text = "to Rome"
    if with_parse:
        message.message_to_add.parse_data.text = "to Rome"
    turn = await conversation.handle(message)
    assert names(turn.record) == [*SESSION, "user", "slot city"]
    assert conversation.dialogue.tracker.latest_input_channel is None


async def test_a_due_reminder_is_answered_as_an_intent_from_outside_on_the_channel_of_the_user() -> None:
    conversation = Conversation()
    await conversation.say("hello", channel="socketio")
    message = conversation.message(channel="")
    message.due_reminder.reminder.CopyFrom(ReminderProto(intent="greet", trigger_date_time="2030-01-01", name="r"))
    turn = await conversation.handle(message)
    assert names(turn.record)[0] == "user"
    assert texts(turn.record) == ["utter_greet"]
    assert turn.record.channel == "socketio"


async def test_a_paused_conversation_is_told_of_a_reminder_and_says_nothing() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    conversation.dialogue.append(ev.ConversationPaused())
    message = conversation.message(channel="")
    message.due_reminder.reminder.CopyFrom(ReminderProto(intent="greet", trigger_date_time="2030-01-01", name="r"))
    turn = await conversation.handle(message)
    assert names(turn.record)[0] == "user"
    assert texts(turn.record) == []


async def test_entities_of_a_reminder_that_are_none_are_told_and_the_intent_is_answered() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    message = conversation.message(channel="")
    reminder = ev.ReminderScheduled(intent="greet", trigger_date_time="2030-01-01", entities=[{"value": "Bonn"}])
    message.due_reminder.reminder.CopyFrom(event_to_proto(reminder).reminder_scheduled)
    turn = await conversation.handle(message)
    assert texts(turn.record) == ["utter_greet"]
    assert "'entity.entity'" in turn.record.errors[0].message


async def test_a_reminder_that_is_over_is_passed_over() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    message = conversation.message(channel="")
    message.due_reminder.reminder.CopyFrom(ReminderProto(intent="greet", trigger_date_time="2030-01-01", name="r"))
    record = conversation.handler.pass_over(message, conversation.dialogue, conversation.assistant).record
    assert names(record) == []
    assert not record.errors


async def test_an_erased_conversation_is_new() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    message = conversation.message()
    message.erasure.reason = "asked for"
    assert names((await conversation.handle(message)).record) == ["conversation_erased"]
    assert names((await conversation.say("hello")).record)[:3] == SESSION


async def test_a_request_of_a_later_version_is_answered_with_an_error() -> None:
    conversation = Conversation()
    turn = await conversation.handle(conversation.message())
    assert turn.record.errors


async def test_a_message_for_a_bundle_that_is_gone_is_answered_by_the_newest() -> None:
    conversation = Conversation()
    message = conversation.message()
    message.bundle_version = "v0"
    message.user_message.text = "hello"
    turn = await conversation.handle(message)
    assert turn.record.bundle_version == "v1"
    assert texts(turn.record) == ["utter_greet"]
    assert "v0" in turn.record.errors[0].message


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


async def test_a_session_start_that_fails_leaves_a_conversation_that_listens() -> None:
    services = ScriptedServices()

    async def fail(request: RunActionRequest) -> RunActionResponse:
        return RunActionResponse(custom=True, failure=ActionFailure(action=request.action, message="it raised"))

    services.action.acts["action_session_start"] = fail
    turn = await Conversation(services).say("hello")
    assert names(turn.record)[:3] == ["action action_session_start", "action action_listen", "user"]
    assert texts(turn.record) == ["utter_greet"]


async def test_a_turn_tells_which_services_it_asked_and_when() -> None:
    record = (await Conversation().say("hello")).record
    calls = [(call.service, call.what) for call in record.calls]
    predict = ("policy", "PredictNextAction")
    assert calls[:2] == [("action", "action_session_start"), ("nlu", "Parse")]
    assert calls[-3:] == [predict, ("action", "utter_greet"), predict]
    ends = [call.start.ToTimedelta() + call.duration.ToTimedelta() for call in record.calls]
    assert ends == sorted(ends)
    assert ends[-1] <= record.duration.ToTimedelta()


async def test_a_service_that_failed_is_among_those_that_were_asked() -> None:
    services = ScriptedServices()
    services.nlu.outage.statuses = [grpc.StatusCode.INTERNAL]
    record = (await Conversation(services).say("hello")).record
    assert record.errors
    assert record.calls[-1].service == "nlu"
