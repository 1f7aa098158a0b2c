"""Recalling memorised states."""

from dataclasses import replace

import pytest
from turnstream.dialogue.prediction.memory import Memory, MemoryTable, by_intent, forgetting
from turnstream.dialogue.prediction.written import memory_key
from turnstream.dialogue.state import DialogueHistory, DialogueState, SlotFeature

START = DialogueState()
GREET = DialogueState(intent="greet", previous_action="action_listen")
GREETED = DialogueState(intent="greet", previous_action="utter_greet")
BYE = DialogueState(intent="bye", previous_action="action_listen")


def table(*remembered: tuple[tuple[DialogueState, ...], str], max_history: int | None = None) -> MemoryTable:
    memories = {memory_key(states): Memory(action, "a story") for states, action in remembered}
    return MemoryTable(max_history, max(len(states) for states, _ in remembered), memories)


def test_exactly_the_remembered_states_are_recalled() -> None:
    memory = table(((START, GREET), "utter_greet"))
    assert memory.recall(DialogueHistory((START, GREET))) == Memory("utter_greet", "a story")
    assert memory.recall(DialogueHistory((START, BYE))) is None
    assert memory.recall(DialogueHistory((START, BYE, GREET))) is None


def test_a_history_whose_beginning_was_cut_off_equals_no_whole_dialogue() -> None:
    memory = table(((START, GREET), "utter_greet"))
    assert memory.recall(DialogueHistory((START, GREET), first_index=4)) is None


def test_with_a_maximal_history_only_the_latest_states_count() -> None:
    memory = table(((GREET,), "utter_greet"), max_history=1)
    found = memory.recall(DialogueHistory((BYE, GREET), first_index=7))
    assert found is not None
    assert found.action == "utter_greet"
    assert memory.window == 2


def test_when_a_slot_was_set_and_the_sub_intent_make_no_difference() -> None:
    remembered = replace(GREET, slots=(SlotFeature("city", (1.0,), 1), SlotFeature("tags", (0.0,), 1)))
    live = replace(GREET, slots=(SlotFeature("city", (1.0,), 5),), full_retrieval_intent="greet/warmly")
    assert table(((remembered,), "x"), max_history=1).recall(DialogueHistory((live,))) is not None


def test_forgetting_drops_the_beginning_with_its_message_loop_and_slots() -> None:
    city, size = SlotFeature("city", (1.0,), 1), SlotFeature("size", (1.0,), 3)
    states = (
        START,
        replace(GREET, slots=(city,), active_loop="form"),
        replace(GREETED, slots=(city,), active_loop="form"),
        replace(BYE, slots=(city, size)),
    )
    shorter = list(forgetting(DialogueHistory(states)))
    assert shorter[0] == states
    assert shorter[1] == (START, DialogueState(previous_action="utter_greet"), replace(BYE, slots=(size,)))
    assert shorter[2] == (START, replace(BYE, slots=(size,)))
    assert len(shorter) == 3


def test_a_forgotten_slot_falls_back_to_its_initial_value() -> None:
    initial = SlotFeature("mood", (0.0, 1.0), -1)
    changed = SlotFeature("mood", (1.0, 0.0), 1)
    history = DialogueHistory((START, replace(GREET, slots=(changed,)), replace(BYE, slots=(changed,))))
    assert list(forgetting(history, (initial,)))[1] == (
        DialogueState(slots=(initial,)),
        replace(BYE, slots=(initial,)),
    )


def test_augmented_recall_finds_a_story_that_begins_later() -> None:
    memory = table(((START, BYE), "utter_bye"))
    history = DialogueHistory((START, GREET, GREETED, BYE))
    assert memory.recall(history) is None
    assert memory.recall_shorter(history) == Memory("utter_bye", "a story")


def test_what_a_rule_has_answered_begins_no_story() -> None:
    memory = table(((START, GREET), "utter_greet"))
    history = DialogueHistory((START, GREET, GREETED, GREET))
    assert memory.recall_shorter(history) == Memory("utter_greet", "a story")
    assert memory.recall_shorter(history, is_answered=True) is None


def test_augmented_recall_does_not_skip_what_was_said_in_between() -> None:
    memory = table(((START, GREET, BYE), "utter_bye"))
    assert memory.recall_shorter(DialogueHistory((START, GREET, GREETED, BYE))) is None


def test_augmented_recall_with_a_maximal_history_forgets_slots_set_long_ago() -> None:
    memory = table(((GREETED, BYE), "utter_bye"), max_history=2)
    old = SlotFeature("city", (1.0,), 2)
    states = tuple(replace(s, slots=(old,)) for s in (GREET, GREETED, BYE))
    history = DialogueHistory(states, first_index=20)
    assert memory.recall(history) is None
    assert memory.recall_shorter(history) == Memory("utter_bye", "a story")


@pytest.mark.parametrize("previous", ["action_listen", "utter_greet"])
def test_a_new_message_counts_by_its_intent_alone(previous: str) -> None:
    state = DialogueState(intent="greet", user_text="hi", previous_action=previous)
    last = by_intent(DialogueHistory((START, state))).states[-1]
    assert last.user_text == (None if previous == "action_listen" else "hi")


def test_the_json_form_gives_the_same_table_back() -> None:
    memory = table(((START, GREET), "utter_greet"), ((GREET,), "x"), max_history=3)
    assert MemoryTable.from_json(memory.to_json()) == memory
