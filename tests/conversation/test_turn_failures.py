"""Turns in which something fails: each ends with a conversation that listens, and tells the author."""

import grpc
from support.turns import SESSION, Conversation, names, texts
from turnstream.api.v1.action_pb2 import ActionFailure, RunActionRequest, RunActionResponse
from turnstream.dialogue import events as ev
from turnstream.dialogue.proto import event_to_proto
from turnstream.testing.scripted_services import ScriptedServices


async def test_an_unknown_follow_up_action_is_noted_and_passed_over() -> None:
    services = ScriptedServices()
    services.action.events["action_order"] = (ev.FollowupActionSet(name="utter_nowhere"),)
    turn = await Conversation(services).say("I order")
    assert texts(turn.record) == ["utter_done"]
    assert "utter_nowhere" in turn.record.errors[0].message
    assert not services.policy.requests[-1].tracker.HasField("followup_action")


async def test_a_failing_custom_action_is_recorded_as_run_and_noted_for_the_author() -> None:
    services = ScriptedServices()

    async def fail(request: RunActionRequest) -> RunActionResponse:
        return RunActionResponse(custom=True, failure=ActionFailure(action=request.action, message="it raised"))

    services.action.acts["action_order"] = fail
    turn = await Conversation(services).say("I order")
    assert "action action_order" in names(turn.record)
    assert texts(turn.record) == ["utter_done"]
    assert [(e.where, e.message) for e in turn.record.errors] == [("action_order", "it raised")]


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


async def test_a_conversation_in_a_form_that_this_version_lacks_leaves_it_and_goes_on() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    conversation.dialogue.append(ev.ActiveLoopChanged(name="old_form"))
    turn = await conversation.say("hello")
    assert names(turn.record)[0] == "active_loop"
    assert texts(turn.record) == ["utter_greet"]
    assert "'old_form'" in turn.record.errors[0].message


async def test_a_message_for_a_bundle_that_is_gone_is_answered_by_the_newest() -> None:
    conversation = Conversation()
    message = conversation.message()
    message.bundle_version = "v0"
    message.user_message.text = "hello"
    turn = await conversation.handle(message)
    assert turn.record.bundle_version == "v1"
    assert texts(turn.record) == ["utter_greet"]
    assert "v0" in turn.record.errors[0].message


async def test_a_service_that_failed_is_among_those_that_were_asked() -> None:
    services = ScriptedServices()
    services.nlu.outage.statuses = [grpc.StatusCode.INTERNAL]
    record = (await Conversation(services).say("hello")).record
    assert record.errors
    assert record.calls[-1].service == "nlu"
