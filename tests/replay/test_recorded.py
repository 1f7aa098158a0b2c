"""A recorded conversation is cut into its messages and what was done for each."""

from pathlib import Path

import pytest
from support.records import conversations, load_record, record_files, record_name
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    BotUttered,
    Event,
    ExtractedEntity,
    IntentScore,
    LoopInterrupted,
    ParseData,
    SessionStarted,
    SlotSet,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.rasa_json import event_from_rasa
from turnstream.dialogue.values import map_from_proto
from turnstream.replay.recorded import Step, recorded_turns

LISTEN = ActionExecuted(name="action_listen")
SESSION = (ActionExecuted(name="action_session_start"), SessionStarted(), LISTEN)
CITY = SlotSet(name="city", value="Rome")


def user(text: str) -> UserUttered:
    return UserUttered(text=text, message_id=text, parse_data=ParseData(text=text, metadata={"a": 1}))


def test_a_turn_is_a_message_and_what_follows_until_the_bot_listens() -> None:
    first = (CITY, UserFeaturized(), ActionExecuted(name="utter_hi"), BotUttered(text="Hi"), LISTEN)
    events: list[Event] = [*SESSION, user("hi"), *first, SlotSet(name="posted", value=1), user("bye"), LISTEN]
    one, two = recorded_turns("ada", events)
    assert (one.number, one.start, one.before, one.answer) == (1, 3, SESSION, first)
    assert one.extracted() == (CITY,)
    assert one.steps() == [Step("utter_hi", (BotUttered(text="Hi"),)), Step("action_listen")]
    assert (two.number, two.before, two.answer) == (2, (SlotSet(name="posted", value=1),), (LISTEN,))
    assert (one.between(), two.between()) == ((), two.before)
    assert one.session_start() == Step("action_session_start", SESSION[1:])


def test_a_message_that_an_action_brought_begins_no_turn() -> None:
    events: list[Event] = [user("hi"), ActionExecuted(name="action_back_to"), user("changed"), LISTEN, user("bye")]
    assert [turn.message.text for turn in recorded_turns("ada", events)] == ["hi", "bye"]


def test_a_message_that_was_never_answered_is_a_turn() -> None:
    one, two = recorded_turns("ada", [*SESSION, user("hi"), user("there"), LISTEN])
    assert (one.answer, two.answer) == ((), (LISTEN,))


def test_steps_know_a_refusal_and_leave_what_the_next_prediction_brought() -> None:
    events: list[Event] = [
        user("no"), ActionExecutionRejected(name="trip_form"), LoopInterrupted(is_interrupted=True),
        ActionExecuted(name="action_x"), CITY, LoopInterrupted(), ActionExecuted(name="trip_form"), LISTEN,
    ]  # fmt: skip
    (turn,) = recorded_turns("ada", events)
    assert turn.steps() == [
        Step("trip_form", (), rejected=True), Step("action_x", (CITY,)), Step("trip_form"), Step("action_listen"),
    ]  # fmt: skip


def test_the_message_goes_to_the_inbox_as_it_came() -> None:
    (turn,) = recorded_turns("ada", [user("hi")])
    message = turn.inbox_message()
    assert (message.conversation_id, message.message_id, message.user_message.text) == ("ada", "hi", "hi")
    assert map_from_proto(message.user_message.metadata) == {"a": 1}


def test_what_came_from_outside_is_triggered_again() -> None:
    parse = ParseData(intent=IntentScore("remind"), entities=(ExtractedEntity("name", "Ada"),))
    event = UserUttered(text="EXTERNAL: remind", parse_data=parse, metadata={"is_external": True})
    (turn,) = recorded_turns("ada", [event])
    message = turn.inbox_message()
    assert message.intent_trigger.intent == "remind"
    assert map_from_proto(message.intent_trigger.entities) == {"name": "Ada"}


RECORDS = [path for path in record_files() if load_record(path).get("conversations") and "micro" not in str(path)]


@pytest.mark.parametrize("path", RECORDS, ids=record_name)
def test_conversations_of_rasa_have_the_turns_that_were_recorded(path: Path) -> None:
    for conversation in conversations(path):
        events = [event_from_rasa(event) for turn in conversation.turns for event in turn.events]
        found = [turn.message.text for turn in recorded_turns("x", events)]
        assert found == [turn.record["user"] for turn in conversation.turns if turn.events]
