"""Stories and rules written out as dialogues."""

import itertools
from collections.abc import Sequence

import pytest
from support.stories import DOMAIN, either, order_from, rule, slot, story
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.stories import BotStep, CheckpointStep, OrStep, Story, UserStep
from turnstream.dialogue.events import ActionExecuted, SlotSet
from turnstream.training import story_paths
from turnstream.training.dialogues import TrainingDialogue, TrainingDialogues, sliced, training_dialogues


def made(*stories: Story, augmentation: int = 0, problems: Problems | None = None) -> TrainingDialogues:
    return training_dialogues(stories, (), DOMAIN, problems or Problems(), augmentation=augmentation)


def warnings(*stories: Story) -> list[str]:
    problems = Problems()
    made(*stories, problems=problems)
    return [str(warning) for warning in problems.warnings]


def actions(dialogues: Sequence[TrainingDialogue]) -> list[tuple[str, ...]]:
    return [dialogue.actions for dialogue in dialogues]


LISTEN = "action_listen"


def test_each_message_follows_a_listen_and_the_story_ends_with_one() -> None:
    (dialogue,) = made(story("a", "greet", "utter_greet", "bye", "utter_bye")).stories
    assert dialogue.actions == (LISTEN, "utter_greet", LISTEN, "utter_bye", LISTEN)
    assert [state.intent for state in dialogue.states] == [None, "greet", "greet", "bye", "bye"]
    assert (dialogue.name, dialogue.location.file) == ("a", "stories.yml")


def test_a_listen_that_is_written_out_is_not_doubled() -> None:
    (dialogue,) = made(story("a", "greet", "utter_greet", LISTEN, "bye")).stories
    assert dialogue.actions == (LISTEN, "utter_greet", LISTEN, LISTEN)
    assert dialogue.final_state.intent == "bye"


def test_an_action_that_nothing_precedes_cannot_be_predicted() -> None:
    (dialogue,) = made(story("a", "utter_greet", "bye", "utter_bye")).stories
    assert dialogue.predictable == (False, True, True, True)
    assert [e.action for e in sliced([dialogue], 1)] == [LISTEN, "utter_bye", LISTEN]


def test_entities_of_a_story_fill_slots_and_names_alone_count_as_filled() -> None:
    named = UserStep(intent="order", entities=order_from("").entities)
    for message in (order_from("Rome"), named):
        (dialogue,) = made(story("a", message, "utter_ok")).stories
        assert dialogue.states[1].entities == ("city",)
        assert [s.name for s in dialogue.states[1].slots if s.since_index >= 0] == ["city"]


def test_every_branch_of_an_or_is_taken() -> None:
    slots = OrStep((slot("vip", True), slot("vip", False)))
    found = made(story("a", either("greet", "help"), "utter_greet", slots, "utter_ok")).stories
    assert len(found) == 4
    assert {d.states[1].intent for d in found} == {"greet", "help"}


def test_a_step_by_its_text_alone_keeps_the_text_and_its_entities() -> None:
    by_text = UserStep(text="hello you")
    both = UserStep(text="good day", intent="greet")
    (dialogue,) = made(story("a", by_text, BotStep("Hello!"), both, "utter_greet")).stories
    assert (dialogue.states[1].user_text, dialogue.states[1].intent) == ("hello you", None)
    assert dialogue.actions[1] == "Hello!"
    assert dialogue.states[2].previous_action_text == "Hello!"
    assert (dialogue.states[3].user_text, dialogue.states[3].intent) == (None, "greet")


def test_checkpoints_join_stories_and_the_name_tells_which() -> None:
    found = made(
        story("start", "greet", "utter_greet", ">c"),
        story("one", ">c", "bye", "utter_bye"),
        story("two", ">c", "help", "utter_help"),
    ).stories
    assert [d.name for d in found] == ["start > one", "start > two"]


def test_a_checkpoint_that_asks_for_a_slot_lets_in_who_has_its_value() -> None:
    found = made(
        story("yes", "greet", slot("vip", True), ">c"),
        story("no", "greet", slot("vip", False), ">c"),
        story("vips", CheckpointStep("c", {"vip": True}), "utter_greet"),
        story("others", CheckpointStep("c", {"vip": False}), "utter_bye"),
    ).stories
    assert [d.name for d in found] == ["yes > vips", "no > others"]


def test_slot_values_that_look_alike_to_policies_are_kept_apart_for_checkpoints() -> None:
    found = made(
        story("rome", "greet", slot("city", "Rome"), ">c"),
        story("oslo", "greet", slot("city", "Oslo"), ">c"),
        story("middle", ">c", "utter_ok", ">d"),
        story("to oslo", CheckpointStep("d", {"city": "Oslo"}), "utter_bye"),
    ).stories
    assert [d.name for d in found] == ["oslo > middle > to oslo"]


def test_a_cycle_is_run_a_bounded_number_of_times() -> None:
    found = made(
        story("in", "greet", "utter_greet", ">c"),
        story("lap", ">c", "order", "utter_ok", ">c"),
        story("out", ">c", "bye", "utter_bye"),
    ).stories
    assert sorted(d.actions.count("utter_ok") for d in found) == [0, 1, 2, 3]


def test_a_way_that_ends_in_a_checkpoint_without_story_has_no_last_listen() -> None:
    (dialogue,) = made(story("a", "greet", "utter_greet", ">nowhere")).stories
    assert dialogue.actions == (LISTEN, "utter_greet")


@pytest.mark.parametrize(
    ("stories", "told"),
    [
        ([story("lost", ">never", "utter_bye")], "no story leads to its checkpoint 'never'"),
        (
            [story("lost", "greet", ">c"), story("more", CheckpointStep("c", {"vip": True}), "utter_ok")],
            "no story goes on from its checkpoint 'c'",
        ),
        (
            [story("start", "greet", ">c"), story("lost", ">c", "order", ">c")],
            "Story 'lost' is not used",
        ),
    ],
    ids=["never reached", "no slot fits", "no way out of a cycle"],
)
def test_a_story_that_is_lost_is_told(stories: list[Story], told: str) -> None:
    problems = Problems()
    assert made(*stories, problems=problems).stories == ()
    assert any(told in str(w) for w in problems.warnings)
    assert all(str(w).startswith("stories.yml:") for w in problems.warnings)


def test_stories_that_are_all_used_are_no_cause_for_a_warning() -> None:
    assert warnings(story("a", "greet", "utter_greet", ">c"), story("b", ">c", "bye")) == []


def test_equal_dialogues_are_kept_once() -> None:
    found = made(story("a", "greet", "utter_greet"), story("b", "greet", "utter_greet")).stories
    assert [d.name for d in found] == ["a"]


def test_too_many_ways_through_a_story_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_paths, "MAX_WAYS", 7)
    with pytest.raises(ProjectError, match=r"Story 'a'.*more than 7"):
        made(story("a", *[either("greet", "help")] * 3, "utter_greet"))


def test_of_a_story_or_rule_that_ends_with_an_or_nothing_is_learned() -> None:
    found = made(story("a", "greet", "utter_greet", either("bye", "help")), story("b", "help", either("greet")))
    assert [d.name for d in found.stories] == ["b"]


def test_a_rule_is_its_conditions_then_anything_then_its_steps() -> None:
    rules = [rule("r", "greet", "utter_greet", conditions=(slot("vip", None),))]
    (dialogue,) = training_dialogues((), rules, DOMAIN, Problems()).rules
    assert isinstance(dialogue.events[0], SlotSet)
    assert dialogue.actions == ("...", LISTEN, "utter_greet", LISTEN)
    assert dialogue.null_parts[0].slots == {"vip"}
    assert dialogue.predictable[0] is False


def test_a_rule_that_does_not_wait_ends_open_and_one_for_the_start_begins_there() -> None:
    rules = [rule("r", "greet", "utter_greet", wait_for_user_input=False, conversation_start=True)]
    (dialogue,) = training_dialogues((), rules, DOMAIN, Problems()).rules
    assert dialogue.actions == (LISTEN, "utter_greet", "...", LISTEN)


def test_the_conditions_of_a_rule_for_the_start_hold_after_the_first_listen() -> None:
    start = rule("r", "greet", "utter_greet", conditions=(slot("vip", True),), conversation_start=True)
    (dialogue,) = training_dialogues((), [start], DOMAIN, Problems()).rules
    assert dialogue.actions == (LISTEN, "utter_greet", LISTEN)
    assert [[found.name for found in state.slots] for state in dialogue.states] == [
        ["asked_by"],
        *[["asked_by", "vip"]] * 2,
    ]


def test_a_rule_without_steps_is_skipped() -> None:
    assert training_dialogues((), [rule("r")], DOMAIN, Problems()).rules == ()


STORIES = [
    story("a", "greet", "utter_greet"),
    story("b", "help", "utter_help"),
    story("c", "bye", "utter_bye"),
    story("d", "order", "utter_ok"),
]


def test_augmentation_glues_stories_with_one_listen_in_between() -> None:
    found = made(*STORIES, augmentation=1)
    assert 0 < len(found.augmented) <= 10
    for dialogue in found.augmented:
        assert dialogue.is_augmented
        events = [e.name for e in dialogue.events if isinstance(e, ActionExecuted)]
        assert (LISTEN, LISTEN) not in set(itertools.pairwise(events))
    assert found.for_models == found.stories + found.augmented


def test_augmentation_is_the_same_for_the_same_seed_and_none_at_zero() -> None:
    def names(seed: int) -> list[str]:
        made_with = training_dialogues(STORIES, (), DOMAIN, Problems(), augmentation=2, seed=seed)
        return [d.name for d in made_with.augmented]

    assert names(1) == names(1)
    assert names(1) != names(2)
    assert made(*STORIES).augmented == ()


def test_slices_are_cut_to_the_maximal_history_and_equal_ones_kept_once() -> None:
    twice = made(story("a", "greet", "utter_greet", "greet", "utter_greet")).stories
    assert [(len(e.states), e.action) for e in sliced(twice, 1)] == [
        (1, LISTEN),
        (1, "utter_greet"),
        (1, LISTEN),
    ]
    assert [len(e.states) for e in sliced(twice, None)] == [1, 2, 3, 4, 5]


def test_slices_may_leave_an_action_out() -> None:
    (dialogue,) = made(story("a", "greet", "action_unlikely_intent", "utter_greet")).stories
    found = sliced([dialogue], None, ignore_action="action_unlikely_intent")
    assert [e.action for e in found] == [LISTEN, "utter_greet", LISTEN]
    assert all(s.previous_action != "action_unlikely_intent" for e in found for s in e.states)
