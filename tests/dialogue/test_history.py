"""What policies see of a conversation."""

from typing import Any

from turnstream.assistant.domain import Domain, Entity, Intent, Slot
from turnstream.dialogue import events as ev
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.state import DialogueState, SlotFeature

DOMAIN = Domain(
    intents={
        "inform": Intent("inform", frozenset({"city", "city#to", "city.1", "day"})),
        "greet": Intent("greet"),
        "faq": Intent("faq", frozenset({"city"}), is_retrieval=True),
    },
    entities={"city": Entity("city", roles=("to",), groups=("1",)), "day": Entity("day")},
    slots={
        "name": Slot("name", "text"),
        "age": Slot("age", "float"),
        "vip": Slot("vip", "bool", initial_value=True),
        "quiet": Slot("quiet", "text", influence_conversation=False),
        "free": Slot("free", "any"),
    },
)


def says(intent: str | None, text: str | None = "text", *entities: ev.ExtractedEntity, **parse: Any) -> ev.UserUttered:
    data = ev.ParseData(text or "", ev.IntentScore(intent), entities=entities, **parse)
    return ev.UserUttered(text=text, parse_data=data)


def runs(name: str, hide: bool = False) -> ev.ActionExecuted:
    return ev.ActionExecuted(name=name, hide_rule_turn=hide)


BY_INTENT = ev.UserFeaturized(use_text_for_featurization=False)
BY_TEXT = ev.UserFeaturized(use_text_for_featurization=True)
VIP = SlotFeature("vip", (1.0, 1.0))


def dialogue(*events: ev.Event) -> Dialogue:
    return Dialogue("c", DOMAIN, events)


def now(*events: ev.Event) -> DialogueState:
    return dialogue(*events).history(1).states[-1]


def test_there_is_a_state_before_each_action_and_a_current_one() -> None:
    history = dialogue(
        runs("action_listen"), says("greet"), BY_INTENT, runs("utter_hi"), runs("action_listen")
    ).history()
    assert history.states == (
        DialogueState(slots=(VIP,)),
        DialogueState("greet", previous_action="action_listen", slots=(VIP,)),
        DialogueState("greet", previous_action="utter_hi", slots=(VIP,)),
        DialogueState("greet", previous_action="action_listen", slots=(VIP,)),
    )


def test_a_live_message_shows_intent_and_text_until_a_policy_has_decided() -> None:
    said = says("greet", "hello")
    assert (now(said).intent, now(said).user_text) == ("greet", "hello")
    assert (now(said, BY_INTENT).intent, now(said, BY_INTENT).user_text) == ("greet", None)
    assert (now(said, BY_TEXT).intent, now(said, BY_TEXT).user_text) == (None, "hello")


def test_in_a_story_a_message_has_an_intent_or_a_text() -> None:
    assert now(says("greet", None)) == DialogueState("greet", slots=(VIP,))
    assert now(says(None, "hello")) == DialogueState(user_text="hello", slots=(VIP,))


def test_entities_are_seen_by_name_role_and_group_as_far_as_the_intent_uses_them() -> None:
    there = ev.ExtractedEntity("city", "Rome", role="to", group="1")
    plane = ev.ExtractedEntity("plane", "A380")
    assert now(says("inform", "t", there, plane, there)).entities == ("city", "city#to", "city.1")
    assert now(says("greet", "t", there)).entities == ()
    assert now(says("unheard_of", "t", plane)).entities == ("plane",)
    assert now(says("inform", "t", there), BY_TEXT).entities == ()


def test_entities_that_a_policy_found_are_seen_too() -> None:
    found = ev.EntitiesAdded(entities=(ev.ExtractedEntity("day", "monday"),))
    assert now(says("inform", "t", ev.ExtractedEntity("city", "Rome")), found).entities == ("city", "day")


def test_a_retrieval_intent_counts_as_its_base() -> None:
    understood = now(says("faq", full_retrieval_intent_name="faq/ask", has_full_retrieval_intent_name=True))
    assert (understood.intent, understood.full_retrieval_intent) == ("faq", "faq/ask")


def test_a_retrieval_intent_from_outside_counts_as_it_stands() -> None:
    """No selector has split it: Rasa knows no intent of that name."""
    triggered = now(says("faq/ask", "t"))
    assert (triggered.intent, triggered.full_retrieval_intent) == ("faq/ask", None)


def test_slots_are_seen_that_influence_and_have_a_feature() -> None:
    state = now(
        ev.SlotSet(name="name", value="Ann"),
        ev.SlotSet(name="age", value="old"),
        ev.SlotSet(name="vip", value="perhaps"),
        ev.SlotSet(name="quiet", value="x"),
        ev.SlotSet(name="free", value="x"),
    )
    assert state.slots == (SlotFeature("name", (1.0,), since_index=0),)


def test_a_setting_has_the_index_of_the_first_state_that_saw_it() -> None:
    done = dialogue(
        ev.SlotSet(name="name", value="Ann"),
        runs("action_listen"),
        ev.SlotSet(name="age", value=1),
        runs("utter_hi"),
        ev.SlotSet(name="name", value="Bob"),
    )
    assert done.history(1).first_index == 2
    assert {s.name: s.since_index for s in done.history(1).states[0].slots} == {"name": 2, "age": 1, "vip": -1}


def test_end_to_end_actions_are_seen_by_their_text() -> None:
    state = now(runs("action_listen"), ev.ActionExecuted(action_text="Well, hello"))
    assert (state.previous_action, state.previous_action_text) == (None, "Well, hello")


def test_the_active_loop_is_seen() -> None:
    assert now(ev.ActiveLoopChanged(name="form")).active_loop == "form"
    assert now(ev.ActiveLoopChanged(name="form"), ev.ActiveLoopChanged(name=None)).active_loop is None


def turn(intent: str, action: str, hide: bool) -> tuple[ev.Event, ...]:
    return says(intent), BY_INTENT, runs(action, hide), runs("action_listen", hide)


def seen(done: Dialogue) -> list[tuple[str | None, str | None]]:
    return [(s.intent, s.previous_action) for s in done.visible_history().states]


def test_a_turn_that_only_rules_cover_is_not_seen_by_others() -> None:
    done = dialogue(
        runs("action_listen"), *turn("greet", "utter_hi", False), *turn("faq", "utter_faq", True), says("inform")
    )
    assert seen(done) == [
        (None, None),
        ("greet", "action_listen"),
        ("greet", "utter_hi"),
        ("inform", "action_listen"),
    ]
    assert done.visible_history(2).first_index == 2
    assert len(done.history().states) == 6


def test_after_a_hidden_turn_the_action_before_is_the_last_one_seen() -> None:
    """A rule answers and leaves the next action to others: they go on from where they were."""
    done = dialogue(runs("action_listen"), says("faq"), BY_INTENT, runs("utter_faq", hide=True))
    assert seen(done) == [(None, None), (None, "action_listen")]


def test_a_slot_set_in_a_hidden_turn_is_first_seen_after_it() -> None:
    set_name = ev.SlotSet(name="name", value="Ann")
    done = dialogue(runs("action_listen"), says("faq"), set_name, runs("utter_faq", True), runs("action_listen", True))
    done.append(says("inform"))
    last = done.visible_history().states[-1]
    assert {s.name: s.since_index for s in last.slots} == {"name": 1, "vip": -1}
    assert {s.name: s.since_index for s in done.history().states[-1].slots} == {"name": 1, "vip": -1}
    done.extend([BY_INTENT, runs("utter_ok"), ev.SlotSet(name="age", value=1), runs("action_listen")])
    assert {s.name: s.since_index for s in done.visible_history().states[-1].slots}["age"] == 2
    assert {s.name: s.since_index for s in done.history().states[-1].slots}["age"] == 4


def test_a_form_that_a_rule_started_stays_hidden_while_it_goes_on() -> None:
    done = dialogue(runs("action_listen"), says("greet"), BY_INTENT, runs("form", True))
    done.append(ev.ActiveLoopChanged(name="form"))
    assert seen(done) == [(None, None)]
    done.extend([runs("action_listen", True), says("inform"), BY_INTENT])
    assert seen(done) == [(None, None), ("inform", "action_listen")]
    done.append(runs("form", True))
    assert seen(done) == [(None, None)]


def test_a_follow_up_action_belongs_to_the_turn_that_it_is_in() -> None:
    hidden = dialogue(runs("action_listen"), says("faq"), BY_INTENT, runs("utter_faq", True))
    hidden.append(ev.FollowupActionSet(name="utter_more"))
    hidden.append(runs("utter_more"))
    assert len(hidden.visible_history().states) == 2
    shown = dialogue(runs("action_listen"), says("faq"), BY_INTENT, runs("utter_faq"))
    shown.append(ev.FollowupActionSet(name="utter_more"))
    shown.append(runs("utter_more", True))
    assert [s.previous_action for s in shown.visible_history().states] == [
        None,
        "action_listen",
        "utter_faq",
        "utter_more",
    ]


def test_states_after_an_unlikely_intent_do_not_count_in_a_window_of_the_visible_history() -> None:
    unlikely = runs("action_unlikely_intent")
    turn = (says("greet"), BY_INTENT, unlikely, runs("utter_hi"), runs("action_listen"))
    seen = dialogue(runs("action_listen"), *turn, *turn).visible_history(3)
    assert [state.previous_action for state in seen.states] == [
        "action_listen",
        "action_unlikely_intent",
        "utter_hi",
        "action_listen",
    ]
