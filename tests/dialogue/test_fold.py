"""What events do to a conversation, one rule at a time."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from turnstream.assistant.domain import Domain, Form, Intent, Slot
from turnstream.dialogue import events as ev
from turnstream.dialogue.fold import Dialogue

LISTEN = ev.ActionExecuted(name="action_listen")
DOMAIN = Domain(
    intents={"inform": Intent("inform", frozenset({"city"})), "greet": Intent("greet")},
    slots={
        "city": Slot("city", "text"),
        "size": Slot("size", "float", initial_value=0.5),
        "tags": Slot("tags", "list"),
        "requested_slot": Slot("requested_slot", "any", influence_conversation=False),
    },
    forms={"trip_form": Form("trip_form", ("city",)), "hotel_form": Form("hotel_form", ("tags",))},
)


def says(text: str, intent: str = "inform", *entities: ev.ExtractedEntity) -> ev.UserUttered:
    return ev.UserUttered(text=text, parse_data=ev.ParseData(text, ev.IntentScore(intent, 1.0), entities=entities))


def runs(name: str, hide: bool = False) -> ev.ActionExecuted:
    return ev.ActionExecuted(name=name, hide_rule_turn=hide)


def sets(name: str, value: Any) -> ev.SlotSet:
    return ev.SlotSet(name=name, value=value)


def dialogue(*events: ev.Event) -> Dialogue:
    return Dialogue("c1", DOMAIN, events)


def test_a_new_conversation_awaits_its_first_listen() -> None:
    tracker = dialogue().tracker
    assert tracker.slots == {"city": None, "size": 0.5, "tags": None, "requested_slot": None}
    assert (tracker.followup_action, tracker.latest_message, tracker.latest_action_name) == (
        "action_listen",
        None,
        None,
    )
    assert tracker.latest_event_time is None


def test_a_rewind_takes_back_the_message_its_slots_and_the_listen_before_it() -> None:
    done = dialogue(LISTEN, says("hi"), runs("utter_hi"), LISTEN, says("Rome"), sets("city", "Rome"), runs("utter_no"))
    done.append(ev.UserUtteranceReverted())
    assert done.tracker.slots["city"] is None
    assert done.tracker.latest_action_name == "utter_hi"
    assert done.applied_events() == (LISTEN, says("hi"), runs("utter_hi"))
    assert done.event_count == 8


def test_two_rewinds_take_back_two_messages() -> None:
    done = dialogue(LISTEN, says("a"), runs("utter_hi"), LISTEN, says("b"), ev.UserUtteranceReverted())
    done.append(ev.UserUtteranceReverted())
    assert done.applied_events() == ()


def test_an_undone_action_takes_what_followed_it_along() -> None:
    done = dialogue(LISTEN, says("a"), runs("action_set"), sets("city", "Rome"), ev.ActionReverted())
    assert done.tracker.slots["city"] is None
    assert done.tracker.latest_action_name == "action_listen"


def test_there_may_be_nothing_to_take_back() -> None:
    assert dialogue(ev.UserUtteranceReverted(), ev.ActionReverted()).applied_events() == ()


def test_a_restart_forgets_everything_and_asks_for_a_new_session() -> None:
    done = dialogue(LISTEN, says("a"), sets("city", "Rome"), ev.ConversationPaused(), runs("action_restart"))
    done.append(ev.Restarted())
    tracker = done.tracker
    assert (tracker.slots["city"], tracker.paused, tracker.followup_action) == (None, False, "action_session_start")
    assert done.applied_events() == ()
    assert done.events_after_restart() == ()
    done.append(LISTEN)
    assert done.events_after_restart() == (LISTEN,)


def test_a_session_begins_with_empty_slots_and_its_start_action() -> None:
    start = runs("action_session_start")
    done = dialogue(LISTEN, sets("city", "Rome"), start, ev.SessionStarted(), sets("size", 0.7), LISTEN)
    assert done.tracker.slots["city"] is None
    assert done.tracker.slots["size"] == 0.7
    assert done.session_events() == (start, ev.SessionStarted(), sets("size", 0.7), LISTEN)
    assert done.applied_events() == (sets("size", 0.7), LISTEN)


def test_all_slots_go_back_to_their_initial_values() -> None:
    done = dialogue(sets("city", "Rome"), sets("size", 0.9), ev.AllSlotsReset())
    assert done.tracker.slots["city"] is None
    assert done.tracker.slots["size"] == 0.5
    assert [s.since_index for s in done.history().states[-1].slots] == [-1]


def test_a_list_slot_makes_a_lone_value_a_list() -> None:
    assert dialogue(sets("tags", "solo")).tracker.slots["tags"] == ["solo"]
    assert dialogue(sets("tags", "")).tracker.slots["tags"] == ""


def test_a_slot_that_the_domain_does_not_have_is_left_alone() -> None:
    assert "colour" not in dialogue(sets("colour", "red")).tracker.slots


def test_a_loop_remembers_the_message_that_started_it() -> None:
    done = dialogue(LISTEN, says("book"), runs("trip_form"), ev.ActiveLoopChanged(name="trip_form"))
    loop = done.tracker.active_loop
    assert loop is not None
    assert loop.trigger_message is not None
    assert loop.trigger_message.text == "book"
    done.append(ev.ActiveLoopChanged(name=None))
    assert done.tracker.active_loop is None


def test_a_rejected_loop_is_taken_up_again_when_it_runs() -> None:
    done = dialogue(LISTEN, says("book"), runs("trip_form"), ev.ActiveLoopChanged(name="trip_form"), LISTEN)
    done.extend([says("hm"), ev.ActionExecutionRejected(name="hotel_form")])
    assert done.tracker.active_loop is not None
    assert not done.tracker.active_loop.rejected
    done.append(ev.ActionExecutionRejected(name="trip_form"))
    assert done.tracker.active_loop.rejected
    done.append(runs("utter_chat"))
    assert done.tracker.active_loop.rejected
    done.append(runs("trip_form"))
    assert not done.tracker.active_loop.rejected


def test_an_interrupted_loop_is_so_until_the_next_action() -> None:
    done = dialogue(ev.ActiveLoopChanged(name="trip_form"), ev.LoopInterrupted(is_interrupted=True))
    assert done.tracker.active_loop is not None
    assert done.tracker.active_loop.is_interrupted
    done.append(runs("utter_chat"))
    assert not done.tracker.active_loop.is_interrupted


def test_a_follow_up_action_is_done_with_once_any_action_ran() -> None:
    done = dialogue(LISTEN, ev.FollowupActionSet(name="utter_hi"))
    assert done.tracker.followup_action == "utter_hi"
    done.append(runs("utter_hi"))
    assert done.tracker.followup_action is None


def test_entities_are_added_to_the_latest_message_and_not_to_its_event() -> None:
    found = ev.ExtractedEntity("city", "Rome")
    done = dialogue(LISTEN, says("to Rome"), ev.EntitiesAdded(entities=(found, found)))
    assert done.tracker.latest_message is not None
    assert done.tracker.latest_message.parse_data.entities[0] == found
    assert done.events[1] == says("to Rome")


def test_a_conversation_is_paused_until_it_is_resumed() -> None:
    done = dialogue(LISTEN, says("wait"), ev.ConversationPaused(), LISTEN, says("hello?"))
    assert done.tracker.paused
    done.append(ev.ConversationResumed())
    assert not done.tracker.paused


@pytest.mark.parametrize(
    "event",
    [
        ev.BotUttered(text="hi", timestamp=3.0),
        ev.AgentUttered(text="hi", timestamp=3.0),
        ev.ReminderScheduled(intent="inform", trigger_date_time="2030-01-01", timestamp=3.0),
        ev.ReminderCancelled(timestamp=3.0),
        ev.StoryExported(timestamp=3.0),
        ev.UnknownEvent(original_type="later", timestamp=3.0),
    ],
    ids=lambda event: event.type_name,
)
def test_events_without_a_meaning_for_the_state_change_nothing_but_the_time(event: ev.Event) -> None:
    before = (LISTEN, says("to Rome"), sets("city", "Rome"), ev.ActiveLoopChanged(name="trip_form"), runs("trip_form"))
    unchanged = replace(dialogue(*before).tracker, latest_event_time=3.0)
    after = dialogue(*before, event)
    assert after.tracker == unchanged
    assert after.events[-1] == event


FORM_BEGUN = (LISTEN, says("book"), runs("trip_form"), ev.ActiveLoopChanged(name="trip_form"), LISTEN)


def test_the_turns_of_a_form_count_as_one() -> None:
    answered = dialogue(*FORM_BEGUN, says("Rome"), sets("city", "Rome"), runs("trip_form"), LISTEN)
    assert answered.applied_events() == (*FORM_BEGUN[:4], sets("city", "Rome"), LISTEN)
    assert [s.previous_action for s in answered.history().states] == [
        None,
        "action_listen",
        "trip_form",
        "action_listen",
    ]


def test_within_a_turn_the_form_s_answer_is_the_latest_message_and_between_turns_the_one_that_started_it() -> None:
    answered = dialogue(*FORM_BEGUN, says("Rome"), runs("trip_form"))
    assert answered.tracker.latest_message == says("Rome")
    answered.append(LISTEN)
    assert answered.tracker.latest_message == says("book")


def test_a_loop_started_by_the_answer_of_another_is_triggered_by_the_first_message_from_the_next_turn_on() -> None:
    chained = dialogue(*FORM_BEGUN, says("Rome"), runs("trip_form"), ev.ActiveLoopChanged(name="hotel_form"))
    chained.append(says("next"))
    loop = chained.tracker.active_loop
    assert loop is not None
    assert loop.trigger_message is not None
    assert loop.trigger_message.text == "book"


def test_a_rewind_in_a_form_takes_back_all_that_was_folded_into_its_first_turn() -> None:
    done = dialogue(*FORM_BEGUN, says("Rome"), sets("city", "Rome"), runs("trip_form"), LISTEN)
    done.append(ev.UserUtteranceReverted())
    assert done.applied_events() == ()
    assert done.tracker.active_loop is None


def test_an_unhappy_turn_of_a_form_stays() -> None:
    rejected = (says("hm"), ev.ActionExecutionRejected(name="trip_form"), runs("utter_chat"), runs("trip_form"))
    assert dialogue(*FORM_BEGUN, *rejected).applied_events() == (*FORM_BEGUN, *rejected)
    story = (says("hm"), runs("utter_chat"), runs("trip_form"))
    assert dialogue(*FORM_BEGUN, *story).applied_events() == (*FORM_BEGUN, *story)


def test_two_loops_run_in_one_turn_do_not_hide_each_other_s_actions() -> None:
    """The second loop folds back past what the first has folded already."""
    begun = (
        LISTEN,
        says("book"),
        runs("hotel_form"),
        ev.ActiveLoopChanged(name="hotel_form"),
        runs("trip_form"),
        ev.ActiveLoopChanged(name="trip_form"),
        LISTEN,
    )
    done = dialogue(*begun, says("Rome"), sets("city", "Rome"), runs("trip_form"), runs("hotel_form"))
    assert done.applied_events() == (*begun[:4], ev.ActiveLoopChanged(name="trip_form"), sets("city", "Rome"))


def test_ending_a_routed_session_hides_what_was_before_and_keeps_the_slots() -> None:
    done = dialogue(LISTEN, says("a"), sets("city", "Rome"), runs("utter_hi"), ev.RoutingSessionEnded(), LISTEN)
    assert done.applied_events() == (LISTEN,)
    assert [s.previous_action for s in done.history().states] == [None, "action_listen"]
    assert done.tracker.slots["city"] == "Rome"


def test_an_erased_conversation_begins_anew() -> None:
    done = dialogue(LISTEN, says("a"), sets("city", "Rome"), ev.ConversationErased())
    assert done.tracker.slots["city"] is None
    assert done.applied_events() == ()


@pytest.mark.parametrize(
    "step",
    [
        lambda d: d.append(says("Rome")),
        lambda d: d.append(runs("trip_form")),
        lambda d: d.branch().append(ev.UserUtteranceReverted()),
        lambda d: d.history(5),
        lambda d: d.visible_history(5),
        lambda d: d.tracker,
    ],
    ids=["user", "form", "rewind", "history", "visible", "tracker"],
)
@pytest.mark.parametrize("unhappy", [False, True], ids=["happy", "unhappy"])
def test_a_long_conversation_costs_no_more_than_a_short_one(step: Callable[[Dialogue], object], unhappy: bool) -> None:
    assert work(step, 200, unhappy) == work(step, 20, unhappy)


def work(step: Callable[[Dialogue], object], turns: int, unhappy: bool) -> int:
    """Lines of Python executed by one step after so many turns, all of them within one form."""
    done = dialogue(*FORM_BEGUN)
    for turn in range(turns):
        done.extend([says("Rome"), sets("city", str(turn)), runs("trip_form"), ev.BotUttered(text="?"), LISTEN])
        if unhappy:
            done.extend([says("hm"), runs("utter_chat"), runs("trip_form"), LISTEN])
    lines = 0

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        step(done)
    finally:
        sys.settrace(before)
    return lines
