"""A conversation that was restored from a snapshot goes on as the one that never stopped."""

from dataclasses import replace
from typing import Any

import pytest
from dialogue.test_fold_properties import CONVERSATIONS, DOMAIN, EVENTS, FORM_TURNS, user
from hypothesis import given, settings
from hypothesis import strategies as st
from turnstream.assistant.domain import Domain, Slot
from turnstream.dialogue import events as ev
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.cutting import Reach
from turnstream.dialogue.encoding import encoded_event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, event_to_proto
from turnstream.dialogue.snapshot import SnapshotRefused, restored, snapshot_of, trimmed

WINDOW = 3
NOTHING_TO_SPARE = Reach(messages=0, spare_states=0)
SESSION = [ev.ActionExecuted(name="action_session_start"), ev.SessionStarted(), ev.ActionExecuted(name="action_listen")]
TURN = st.builds(
    lambda message, actions, rest, hide: [
        message,
        *actions,
        *rest,
        ev.ActionExecuted(name="action_listen", hide_rule_turn=hide),
    ],
    st.builds(user, st.sampled_from(["inform", "greet"]), st.sampled_from(["one", "two"]), st.just([])),
    st.lists(st.builds(ev.ActionExecuted, name=st.just("utter_ok"), hide_rule_turn=st.booleans()), max_size=2),
    st.lists(EVENTS, max_size=2),
    st.booleans(),
)
LONG = st.lists(st.one_of(TURN, TURN, TURN, FORM_TURNS, st.just(SESSION)), max_size=14).map(
    lambda turns: [event for turn in turns for event in turn]
)


def at_times(events: list[ev.Event]) -> list[ev.Event]:
    """As a log gives them back: each has its time, and was read from bytes."""
    timed = [replace(event, timestamp=1.7e9 + n * 0.013) for n, event in enumerate(events)]
    return [event_from_proto(event_to_proto(event)) for event in timed]


def observed(dialogue: Dialogue, since: int) -> dict[str, Any]:
    """What anybody asks of a conversation that goes on; an error where it says that it needs the log."""
    questions = {
        "tracker": lambda: dialogue.tracker,
        **{f"history {n}": lambda n=n: dialogue.history(n) for n in range(1, WINDOW + 1)},
        **{f"visible {n}": lambda n=n: dialogue.visible_history(n) for n in range(1, WINDOW + 1)},
        "events": lambda: dialogue.events_since(since),
        "session": lambda: dialogue.session_start,
        "count": lambda: dialogue.event_count,
        "settings": lambda: [(s.name, s.value) for s in dialogue.latest_settings()],
        "new": lambda: all(isinstance(event, ev.SlotSet) for event in dialogue.latest_applied()),
        "applied": dialogue.applied_events,
        "restart": dialogue.events_after_restart,
    }
    return {name: answer(question) for name, question in questions.items()}


def answer(question: Any) -> Any:
    try:
        return question()
    except EarlierEventsNeeded:
        return EarlierEventsNeeded


def assert_goes_on(live: Dialogue, kept: Dialogue, since: int, rest: list[ev.Event]) -> int:
    """Whatever the kept one answers is right, after each event; returns how many answers it left to the log."""
    left = compare(live, kept, since)
    for event in rest:
        live.append(event)
        try:
            kept.append(event)
        except EarlierEventsNeeded:
            return left + 1
        left += compare(live, kept, since)
    return left


def compare(live: Dialogue, kept: Dialogue, since: int) -> int:
    left = 0
    for name, expected in observed(live, since).items():
        found = observed(kept, since)[name]
        if found is EarlierEventsNeeded:
            left += 1
        else:
            assert found == expected, name
    return left


@pytest.mark.parametrize(
    ("window", "reach"), [(0, NOTHING_TO_SPARE), (0, Reach(1, 0)), (WINDOW, Reach(1, 0)), (WINDOW, Reach())]
)
@given(events=LONG | CONVERSATIONS, position=st.integers(0, 80))
@settings(max_examples=60, deadline=None)
def test_restored_it_answers_as_the_whole_does_or_asks_for_the_log(
    window: int, reach: Reach, events: list[ev.Event], position: int
) -> None:
    events = at_times(events)
    live = Dialogue("c", DOMAIN, events[:position])
    data = snapshot_of(live, window, 7, reach)
    assert data is not None
    kept, last_session_start = restored(data, "c", DOMAIN)
    assert last_session_start == 7
    assert_goes_on(live, kept, live.event_count, events[position:])


@given(events=LONG, position=st.integers(0, 80), most=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_trimmed_it_answers_as_the_whole_does_or_asks_for_the_log(
    events: list[ev.Event], position: int, most: int
) -> None:
    events = at_times(events)
    live = Dialogue("c", DOMAIN, events[:position])
    kept = trimmed(live, 0, most, NOTHING_TO_SPARE)
    assert_goes_on(live, kept, max(0, live.event_count - most), events[position:])


@given(events=LONG, first=st.integers(0, 40), second=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_a_snapshot_of_a_restored_conversation_is_as_good(events: list[ev.Event], first: int, second: int) -> None:
    events = at_times(events)
    live = Dialogue("c", DOMAIN, events[:first])
    kept, _ = restored(snapshot_of(live, WINDOW, 0, NOTHING_TO_SPARE) or b"", "c", DOMAIN)
    try:
        kept.extend(events[first : first + second])
    except EarlierEventsNeeded:
        return
    live.extend(events[first : first + second])
    again, _ = restored(snapshot_of(kept, WINDOW, 0, NOTHING_TO_SPARE) or b"", "c", DOMAIN)
    assert_goes_on(live, again, live.event_count, events[first + second :])


def plain_turns(count: int) -> list[ev.Event]:
    turns = [
        [
            user("inform", f"message {n}", []),
            ev.SlotSet(name="city", value=f"city {n}"),
            ev.ActionExecuted(name="utter_ok"),
            ev.BotUttered(text="Hello"),
            ev.ActionExecuted(name="action_listen"),
        ]
        for n in range(count)
    ]
    return at_times([*SESSION, *(event for turn in turns for event in turn)])


def test_its_size_does_not_grow_with_the_conversation() -> None:
    sizes = [len(snapshot_of(Dialogue("c", DOMAIN, plain_turns(n)), WINDOW) or b"") for n in (150, 1500)]
    assert sizes[0] > 0
    assert abs(sizes[1] - sizes[0]) < 200


def test_ordinary_turns_never_need_the_log_after_a_snapshot() -> None:
    events = plain_turns(60)
    middle = len(events) // 2
    live = Dialogue("c", DOMAIN, events[:middle])
    kept, _ = restored(snapshot_of(live, WINDOW) or b"", "c", DOMAIN)
    kept.extend(events[middle:])
    live.extend(events[middle:])
    assert kept.history(WINDOW) == live.history(WINDOW)
    for _ in range(3):
        for dialogue in (live, kept):
            dialogue.append(ev.UserUtteranceReverted())
    assert (kept.tracker, kept.visible_history(WINDOW)) == (live.tracker, live.visible_history(WINDOW))


def test_what_was_taken_back_beyond_its_reach_asks_for_the_log_and_changes_nothing() -> None:
    kept, _ = restored(snapshot_of(Dialogue("c", DOMAIN, plain_turns(60)), WINDOW) or b"", "c", DOMAIN)
    with pytest.raises(EarlierEventsNeeded):
        kept.extend([ev.UserUtteranceReverted()] * 60)
    count = kept.event_count
    with pytest.raises(EarlierEventsNeeded):
        kept.append(ev.UserUtteranceReverted())
    assert kept.event_count == count


def test_a_loop_that_goes_on_from_before_its_reach_asks_for_the_log() -> None:
    run = ev.ActionExecuted(name="form_a")
    live = Dialogue("c", DOMAIN, at_times([user("inform", "x", []), run, ev.ActionExecuted(name="action_listen")]))
    kept, _ = restored(snapshot_of(live, 0, 0, NOTHING_TO_SPARE) or b"", "c", DOMAIN)
    rest = at_times([user("inform", "x", []), ev.ActiveLoopChanged(name="form_a"), run])
    kept.extend(rest[:2])
    with pytest.raises(EarlierEventsNeeded):
        kept.append(rest[2])


def test_earlier_events_can_be_given_back_from_the_log() -> None:
    events = plain_turns(60)
    kept, _ = restored(snapshot_of(Dialogue("c", DOMAIN, events), WINDOW) or b"", "c", DOMAIN)
    with pytest.raises(EarlierEventsNeeded):
        kept.events_since(len(events) - 20)
    again = kept.with_log(events[-50:])
    assert again.events_since(len(events) - 20) == tuple(events[-20:])
    assert again.held_from == len(events) - 50


def test_policies_that_look_at_everything_get_no_snapshot() -> None:
    assert snapshot_of(Dialogue("c", DOMAIN, plain_turns(60)), None) is None


def test_a_form_that_never_ends_gets_no_snapshot_rather_than_a_large_one() -> None:
    turn = [user("inform", "x", []), ev.ActionExecuted(name="form_a"), ev.ActiveLoopChanged(name="form_a")]
    asked = [ev.SlotSet(name="city", value="x"), ev.BotUttered(text="?"), ev.ActionExecuted(name="action_listen")]
    again = [user("inform", "x", []), ev.ActionExecuted(name="form_a"), *asked]
    dialogue = Dialogue("c", DOMAIN, at_times([*plain_turns(3), *turn, *asked, *(again * 400)]))
    assert snapshot_of(dialogue, WINDOW) is None


@pytest.mark.parametrize(
    ("domain", "is_taken"),
    [
        (replace(DOMAIN, actions=("action_new",)), True),
        (replace(DOMAIN, slots={**DOMAIN.slots, "city": Slot("city", "categorical", values=("a", "b"))}), False),
        (replace(DOMAIN, slots={**DOMAIN.slots, "more": Slot("more", "text")}), False),
    ],
)
def test_it_is_used_only_with_the_slots_that_it_was_folded_with(domain: Domain, is_taken: bool) -> None:
    data = snapshot_of(Dialogue("c", DOMAIN, plain_turns(60)), WINDOW) or b""
    try:
        kept, _ = restored(data, "c", domain)
        taken = kept.domain is domain
    except SnapshotRefused:
        taken = False
    assert taken is is_taken


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x08\x02"])
def test_one_that_is_damaged_or_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotRefused):
        restored(data, "c", DOMAIN)


@given(events=CONVERSATIONS)
@settings(max_examples=50, deadline=None)
def test_an_event_is_written_once_and_the_same_as_ever(events: list[ev.Event]) -> None:
    for event in at_times(events):
        assert encoded_event(event) == event_to_proto(event).SerializeToString()
        assert encoded_event(event) is encoded_event(event)
        assert replace(event, timestamp=1.0) == replace(event_from_proto(event_to_proto(event)), timestamp=1.0)
