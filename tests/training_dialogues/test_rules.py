"""What rules learn, and what is wrong with them."""

from typing import Any

from support.stories import DOMAIN, either, rule, slot, story
from turnstream.assistant.components import RulePolicyOptions
from turnstream.assistant.problems import Problems
from turnstream.assistant.stories import ActiveLoopStep, Rule, SlotStep, Story
from turnstream.dialogue.prediction.rules import RuleTable, intent_source, loop_source
from turnstream.training.dialogues import training_dialogues
from turnstream.training.rules import learn_rules


def learn(rules: list[Rule], stories: list[Story] | None = None, **options: Any) -> tuple[RuleTable, list[str]]:
    problems = Problems()
    dialogues = training_dialogues(stories or [], rules, DOMAIN, problems, augmentation=0)
    table = learn_rules(dialogues, DOMAIN, RulePolicyOptions(**options), problems)
    return table, [str(error) for error in sorted(problems.errors)]


GREET = rule("greet", "greet", "utter_greet")
IN_FORM = (ActiveLoopStep("order_form"),)


def test_a_rule_gives_one_entry_for_each_of_its_actions_and_the_listen() -> None:
    table, errors = learn([GREET])
    assert errors == []
    assert [(len(r.states), r.action) for r in table.rules] == [(1, "utter_greet"), (2, "action_listen")]
    assert all(r.hidden and r.names == ("greet",) for r in table.rules)


def test_conditions_become_demands_and_null_demands_to_be_unset() -> None:
    table, _ = learn([rule("r", "greet", "utter_greet", conditions=(slot("vip", True), slot("city", None)))])
    state = table.rules[0].states[0]
    assert (dict(state.slots), state.unset_slots) == ({"vip": (1.0, 1.0)}, {"city"})
    table, _ = learn([rule("r", "greet", "utter_greet", conditions=(ActiveLoopStep(None),))])
    assert table.rules[0].states[0].no_loop


def test_a_bool_slot_by_its_name_alone_must_be_unset_and_a_text_slot_set() -> None:
    conditions = (SlotStep("vip", by_name_only=True), SlotStep("city", by_name_only=True))
    table, _ = learn([rule("r", "greet", "utter_greet", conditions=conditions)])
    state = table.rules[0].states[0]
    assert (dict(state.slots), state.unset_slots) == ({"city": (1.0,)}, {"vip"})


def test_slots_without_influence_and_initial_values_are_not_demanded() -> None:
    table, _ = learn([rule("r", "greet", "utter_greet", conditions=(slot("note", 1),))])
    assert dict(table.rules[0].states[0].slots) == {}


def test_an_or_gives_a_rule_for_each_branch() -> None:
    table, _ = learn([rule("r", either("greet", "help"), "utter_greet")])
    assert {r.states[0].intent for r in table.rules if r.action == "utter_greet"} == {"greet", "help"}


def test_a_rule_that_stories_go_through_is_not_hidden() -> None:
    table, errors = learn([GREET], [story("s", "greet", "utter_greet")])
    assert errors == []
    assert not any(r.hidden for r in table.rules)
    assert table.hidden_sources >= {intent_source("restart"), loop_source("order_form")}


def test_slots_and_loops_that_only_rules_mention_are_known() -> None:
    submit = rule("submit", "order_form", "@", "utter_ok", conditions=IN_FORM)
    table, errors = learn([submit, rule("v", "greet", "utter_greet", conditions=(slot("vip", True),))])
    assert errors == []
    assert (table.rule_only_slots, table.rule_only_loops) == ({"vip"}, {"order_form"})
    inside = story("s", "order", "order_form", "@order_form", "help", slot("vip", True), "utter_help", "@", "utter_ok")
    table, _ = learn([submit], [inside])
    assert (table.rule_only_slots, table.rule_only_loops) == (set(), set())


def test_leaving_and_coming_back_to_a_loop_is_learned_from_rules_and_stories() -> None:
    ask = story("ask", "order", "order_form", "@order_form", "help", "utter_help", "greet", "order_form", "@")
    table, errors = learn([rule("bye", "bye", "utter_bye", conditions=IN_FORM)], [ask])
    assert errors == []
    exits = {(e.states[-1].previous_action, e.interrupted) for e in table.loop_exits}
    assert exits == {("action_listen", True), ("order_form", False), ("utter_help", False), ("utter_bye", False)}


def test_two_rules_that_disagree_name_each_other() -> None:
    table, errors = learn([GREET, rule("otherwise", "greet", "utter_bye")])
    assert errors == [
        "rules.yml:6: Rule 'greet': the action 'utter_greet' contradicts rule 'otherwise'. Change one of them: at the "
        "same point only one action can follow. See https://rasa.com/docs/rasa/rules.",
        "rules.yml:10: Rule 'otherwise': the action 'utter_bye' contradicts rule 'greet'. Change one of them: at the "
        "same point only one action can follow. See https://rasa.com/docs/rasa/rules.",
    ]
    assert not any(r.action == "utter_greet" for r in table.rules)


def test_a_rule_and_a_story_that_disagree_are_named_with_what_the_rule_says() -> None:
    _, errors = learn([GREET], [story("other", "help", "utter_help", "greet", "utter_bye")])
    assert len(errors) == 1
    assert errors[0].startswith(
        "stories.yml:6: Story 'other': the action 'utter_bye' contradicts rule 'greet', which predicts 'utter_greet'."
    )


def test_unchecked_contradictions_cancel_out_and_hide_nothing() -> None:
    table, errors = learn([GREET, rule("otherwise", "greet", "utter_bye")], check_for_contradictions=False)
    assert errors == []
    assert not any(r.action in ("utter_greet", "utter_bye") for r in table.rules)
    assert not any(r.hidden for r in table.rules)
    assert table.hidden_sources == set()


def test_a_listen_that_a_rule_implies_gives_way_to_a_story() -> None:
    chain = rule("chain", "utter_greet", "help", "utter_help")
    table, errors = learn([chain], [story("s", "greet", "utter_greet", "utter_ok")], restrict_rules=False)
    assert errors == []
    assert [r.action for r in table.rules if len(r.states) == 1] == []


def test_a_rule_must_say_the_slot_and_the_loop_that_others_say_after_the_action() -> None:
    _, errors = learn(
        [
            rule("one", "greet", "action_check", slot("vip", True), "utter_ok"),
            rule("two", "help", "action_check", "utter_help"),
            rule("start", "order", "order_form", "@order_form"),
            rule("begin", "bye", "order_form"),
        ]
    )
    assert len(errors) == 2
    assert "Rule 'two': the action 'action_check' does not set 'vip', which it sets in other rules." in errors[0]
    assert "Rule 'begin': after 'order_form' there is no 'active_loop', which is 'order_form' in other" in errors[1]


def test_a_rule_that_does_not_wait_may_leave_out_what_follows_its_last_action() -> None:
    _, errors = learn(
        [
            rule("one", "greet", "action_check", slot("vip", None), "utter_ok"),
            rule("two", "help", "action_check", wait_for_user_input=False),
        ]
    )
    assert errors == []


def test_a_rule_has_one_message_unless_that_is_allowed() -> None:
    two = rule("two", "greet", "utter_greet", "bye", "utter_bye")
    _, errors = learn([two])
    assert [e[: e.index(";")] for e in errors] == ["rules.yml:4: Rule 'two' has 2 user messages"]
    assert learn([two], restrict_rules=False)[1] == []


def test_a_rule_with_an_action_that_the_domain_lacks_is_refused_with_the_nearest() -> None:
    _, errors = learn([rule("r", "greet", "utter_gret")])
    assert errors == ["rules.yml:2: Rule 'r': the domain has no action 'utter_gret'. Did you mean 'utter_greet'?"]


def test_a_rule_cannot_send_a_text_that_only_a_request_brings() -> None:
    _, errors = learn([rule("r", "greet", "action_send_text")])
    assert [error[: error.index(".", 9)] for error in errors] == [
        "rules.yml:2: Rule 'r': the domain has no action 'action_send_text'"
    ]


def test_a_condition_of_a_rule_for_the_start_is_not_what_listening_sets() -> None:
    start = rule("start", "greet", "utter_ok", conditions=(slot("vip", True),), conversation_start=True)
    assert learn([start, rule("bye", "bye", "utter_bye")])[1] == []
