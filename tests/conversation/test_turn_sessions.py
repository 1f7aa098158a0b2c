"""When a session begins, what it begins with, and a conversation that is paused, restarted or erased."""

import grpc
from support.turns import SESSION, Conversation, a_domain, events, names, texts
from turnstream.api.v1.action_pb2 import ActionFailure, RunActionRequest, RunActionResponse
from turnstream.assistant.domain import SessionConfig
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.dialogue import events as ev
from turnstream.testing.scripted_services import ScriptedServices


async def test_the_session_starts_as_a_recorded_conversation_does() -> None:
    start, _, listen, user, *_ = events((await Conversation().say(" hello ")).record)
    assert isinstance(start, ev.ActionExecuted)
    assert (start.policy, start.confidence) == (None, 1.0)
    assert isinstance(listen, ev.ActionExecuted)
    assert (listen.policy, listen.confidence) == (None, None)
    assert isinstance(user, ev.UserUttered)
    assert (user.text, user.input_channel, user.message_id) == ("hello", "rest", "m1")
    assert (user.parse_data.message_id, user.parse_data.intent.name) == ("m1", "greet")


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


async def test_a_session_begins_also_where_its_action_cannot_be_run() -> None:
    services = ScriptedServices()
    services.action.outage.statuses = [grpc.StatusCode.INTERNAL]
    turn = await Conversation(services).say("hello")
    assert names(turn.record)[:4] == [*SESSION, "user"]
    assert texts(turn.record) == ["utter_greet"]
    assert turn.record.errors


async def test_an_erased_conversation_is_new() -> None:
    conversation = Conversation()
    await conversation.say("hello")
    message = conversation.message()
    message.erasure.reason = "asked for"
    assert names((await conversation.handle(message)).record) == ["conversation_erased"]
    assert names((await conversation.say("hello")).record)[:3] == SESSION


async def test_a_session_start_that_fails_leaves_a_conversation_that_listens() -> None:
    services = ScriptedServices()

    async def fail(request: RunActionRequest) -> RunActionResponse:
        return RunActionResponse(custom=True, failure=ActionFailure(action=request.action, message="it raised"))

    services.action.acts["action_session_start"] = fail
    turn = await Conversation(services).say("hello")
    assert names(turn.record)[:3] == ["action action_session_start", "action action_listen", "user"]
    assert texts(turn.record) == ["utter_greet"]
