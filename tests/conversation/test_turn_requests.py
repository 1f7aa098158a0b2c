"""Turns that no message of a user's asked for: intents from outside, events, actions and reminders."""

import pytest
from support.turns import SESSION, Conversation, events, names, texts
from turnstream.api.v1.events_pb2 import ReminderScheduled as ReminderProto
from turnstream.dialogue import events as ev
from turnstream.dialogue.proto import event_to_proto
from turnstream.dialogue.values import map_to_proto
from turnstream.testing.scripted_services import ScriptedServices


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


async def test_a_request_of_a_later_version_is_answered_with_an_error() -> None:
    conversation = Conversation()
    turn = await conversation.handle(conversation.message())
    assert turn.record.errors
