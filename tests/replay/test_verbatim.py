"""A worker of the assistant commits imported events as they are."""

from support.turns import Conversation, events
from turnstream.api.v1.turnlog_pb2 import EventsToAppend
from turnstream.dialogue.events import ActionExecuted, BotUttered, Event, SlotSet, UnknownEvent
from turnstream.dialogue.proto import event_to_proto

EVENTS: list[Event] = [
    SlotSet(name="city", value="Rome", timestamp=5.0),
    BotUttered(text="Hi", timestamp=3.0, metadata={"a": 1}),
    UnknownEvent(original_type="moved", fields={"to": 1}),
    ActionExecuted(name="action_listen", timestamp=7.0),
]


async def test_nothing_is_added_and_no_session_begun() -> None:
    conversation = Conversation()
    message = conversation.message()
    appended = EventsToAppend(events=map(event_to_proto, EVENTS), verbatim=True)
    message.events_to_append.CopyFrom(appended)
    turn = await conversation.handle(message)
    assert events(turn.record) == EVENTS
    assert (list(turn.record.replies), list(turn.record.errors)) == ([], [])
    assert conversation.dialogue.tracker.slots["city"] == "Rome"
