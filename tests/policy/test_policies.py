"""The policies one by one, on small stories and rules."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.policy_bundles import policy_bundle
from support.stories import DOMAIN, order_from, rule, slot, story
from turnstream.assistant.components import (
    AugmentedMemoizationPolicyOptions,
    ComponentOptions,
    MemoizationPolicyOptions,
    RulePolicyOptions,
    TEDPolicyOptions,
)
from turnstream.assistant.problems import Problems
from turnstream.assistant.stories import BotStep, Rule, Story, UserStep
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActiveLoopChanged,
    Event,
    IntentScore,
    ParseData,
    SlotSet,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.policy.loaded import LoadedPolicies, Outcome
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.testing.fake_models import FakeModels
from turnstream.training.dialogues import training_dialogues
from turnstream.training.policies import train_rule_and_memory_policies

LISTEN = ActionExecuted(name="action_listen")


def said(intent: str, text: str = "", confidence: float = 0.9) -> UserUttered:
    return UserUttered(text=text or f"a {intent}", parse_data=ParseData(intent=IntentScore(intent, confidence)))


def did(action: str, *, hidden: bool = False) -> ActionExecuted:
    return ActionExecuted(name=action, hide_rule_turn=hidden)


class Assistant:
    def __init__(
        self,
        folder: Path,
        policies: Sequence[ComponentOptions],
        stories: Sequence[Story] = (),
        rules: Sequence[Rule] = (),
        e2e_actions: tuple[str, ...] = (),
    ) -> None:
        self.domain = replace(DOMAIN, e2e_actions=e2e_actions)
        bundle = policy_bundle(folder, self.domain, policies, stories, rules)
        self.window = bundle.policy_window
        self.policies = LoadedPolicies.load(bundle)

    async def after(self, *events: Event) -> Outcome:
        dialogue = Dialogue("c", self.domain, _with_featurization(events))
        given = PolicyInput(dialogue.tracker, dialogue.history(self.window), dialogue.visible_history(self.window))
        return await self.policies.predict(given, Outside(FakeModels()))


def _with_featurization(events: Iterable[Event]) -> Iterable[Event]:
    """As it happens: the first action after a message settles that the message counts by its intent."""
    waiting = False
    for event in events:
        if isinstance(event, ActionExecuted) and waiting:
            yield UserFeaturized(use_text_for_featurization=False)
        waiting = isinstance(event, UserUttered) or (waiting and not isinstance(event, ActionExecuted))
        yield event


def outcome(found: Outcome) -> tuple[str, float, str]:
    return found.decision.action, found.decision.confidence, found.decision.winner.policy


@pytest.mark.parametrize("options", [MemoizationPolicyOptions, RulePolicyOptions])
async def test_a_prediction_may_be_as_certain_as_the_intent(tmp_path: Path, options: Any) -> None:
    policies = [options(use_nlu_confidence_as_score=True)]
    steps = ("greet", "utter_greet")
    assistant = Assistant(tmp_path, policies, [story("s", *steps)], [rule("r", *steps)])
    assert (await assistant.after(LISTEN, said("greet", confidence=0.75))).decision.confidence == 0.75


async def test_turns_that_only_rules_cover_are_invisible_to_stories(tmp_path: Path) -> None:
    stories = [story("s", "order", "utter_ok", "bye", "utter_bye")]
    rules = [rule("r", "help", "utter_help")]
    assistant = Assistant(tmp_path, [MemoizationPolicyOptions(), RulePolicyOptions()], stories, rules)
    ordered = [LISTEN, said("order"), did("utter_ok"), LISTEN]
    helped = [said("help"), did("utter_help", hidden=True), did("action_listen", hidden=True)]
    assert outcome(await assistant.after(*ordered, *helped, said("bye"))) == ("utter_bye", 1.0, "MemoizationPolicy")
    shown = [said("help"), did("utter_help"), LISTEN]
    assert outcome(await assistant.after(*ordered, *shown, said("bye")))[0] == "action_default_fallback"


async def test_slots_that_only_rules_use_are_invisible_to_stories(tmp_path: Path) -> None:
    rules = [rule("r", "help", "utter_help", conditions=(slot("vip", True),))]
    assistant = Assistant(
        tmp_path, [MemoizationPolicyOptions(), RulePolicyOptions()], [story("s", "bye", "utter_bye")], rules
    )
    vip = SlotSet(name="vip", value=True)
    assert outcome(await assistant.after(LISTEN, said("bye"), vip))[0] == "utter_bye"
    city = SlotSet(name="city", value="Rome")
    assert outcome(await assistant.after(LISTEN, said("bye"), city))[0] == "action_default_fallback"


async def test_augmented_memoization_begins_a_story_late(tmp_path: Path) -> None:
    stories = [story("s", order_from("Rome"), "utter_ok", "bye", "utter_bye")]
    plain = Assistant(tmp_path / "a", [MemoizationPolicyOptions(), RulePolicyOptions()], stories)
    augmented = Assistant(tmp_path / "b", [AugmentedMemoizationPolicyOptions(), RulePolicyOptions()], stories)
    events = [LISTEN, said("help"), did("utter_help"), LISTEN, said("order"), SlotSet(name="city", value="Oslo")]
    assert outcome(await plain.after(*events))[0] == "action_default_fallback"
    # The story's message has an entity; without it even the late beginning is another one.
    assert outcome(await augmented.after(*events))[0] == "action_default_fallback"
    stories = [story("s", "order", "utter_ok")]
    augmented = Assistant(tmp_path / "c", [AugmentedMemoizationPolicyOptions(), RulePolicyOptions()], stories)
    assert outcome(await augmented.after(*events[:-1])) == ("utter_ok", 1.0, "AugmentedMemoizationPolicy")


async def test_augmented_memoization_does_not_see_a_rule_in_the_middle_of_a_story(tmp_path: Path) -> None:
    stories = [story("s", "order", "utter_ok", "bye", "utter_bye")]
    rules = [rule("r", "help", "utter_help")]
    options = [AugmentedMemoizationPolicyOptions(), RulePolicyOptions()]
    assistant = Assistant(tmp_path, options, stories, rules)
    other = [LISTEN, said("bye"), did("action_default_fallback"), LISTEN]
    helped = [said("help"), did("utter_help", hidden=True), did("action_listen", hidden=True)]
    late = [*other, *helped, said("order"), did("utter_ok"), LISTEN, *helped, *helped, said("bye")]
    assert outcome(await assistant.after(*late)) == ("utter_bye", 1.0, "AugmentedMemoizationPolicy")
    shown = [said("help"), did("utter_help"), LISTEN]
    seen = [*other, said("order"), did("utter_ok"), LISTEN, *shown, said("bye")]
    assert outcome(await assistant.after(*seen))[0] == "action_default_fallback"


async def test_a_rule_on_a_text_beats_one_on_the_intent_and_the_texts_of_bot_steps_are_said(tmp_path: Path) -> None:
    rules = [
        rule("by intent", "greet", "utter_greet"),
        rule("by text", UserStep(text="good evening"), BotStep("And to you!")),
    ]
    assistant = Assistant(tmp_path, [RulePolicyOptions()], [], rules, e2e_actions=("And to you!",))
    found = await assistant.after(LISTEN, said("greet", "good evening"))
    assert outcome(found) == ("And to you!", 1.0, "RulePolicy")
    assert found.decision.winner.is_end_to_end
    assert assistant.policies.is_text(found.decision.action)
    assert outcome(await assistant.after(LISTEN, said("greet", "hello")))[0] == "utter_greet"


async def test_without_fallback_and_rule_the_assistant_listens_at_confidence_zero(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path, [RulePolicyOptions(enable_fallback_prediction=False)])
    assert outcome(await assistant.after(LISTEN, said("greet"))) == ("action_listen", 0.0, "RulePolicy")


async def test_a_custom_action_that_refused_to_run_gives_way_to_the_fallback(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path, [RulePolicyOptions()], [], [rule("r", "order", "action_check")])
    events = [LISTEN, said("order")]
    assert outcome(await assistant.after(*events))[0] == "action_check"
    rejected = ActionExecutionRejected(name="action_check")
    assert outcome(await assistant.after(*events, rejected)) == ("action_default_fallback", 0.3, "RulePolicy")


async def test_coming_back_to_a_form_tells_it_that_it_was_interrupted(tmp_path: Path) -> None:
    stories = [story("s", "order", "order_form", "@order_form", "bye", "utter_help", "greet", "order_form", "@")]
    assistant = Assistant(tmp_path, [MemoizationPolicyOptions(), RulePolicyOptions()], stories)
    started = [LISTEN, said("order"), did("order_form"), ActiveLoopChanged(name="order_form"), LISTEN]
    asked = [said("bye"), ActionExecutionRejected(name="order_form"), did("utter_help"), LISTEN]
    found = await assistant.after(*started, *asked, said("greet"))
    assert outcome(found) == ("order_form", 1.0, "MemoizationPolicy")
    assert [e.type_name for e in found.decision.mandatory_events] == ["loop_interrupted"]


@pytest.mark.parametrize(
    ("policies", "window"),
    [
        ([], 1),
        ([RulePolicyOptions()], 3),
        ([MemoizationPolicyOptions(max_history=7)], 8),
        ([MemoizationPolicyOptions()], 6),
        ([TEDPolicyOptions(max_history=20), RulePolicyOptions()], 21),
        ([TEDPolicyOptions()], 65),
    ],
)
def test_the_window_is_what_the_policies_need(policies: list[ComponentOptions], window: int) -> None:
    stories = [story("s", "order", "utter_ok", "bye", "utter_bye")]
    dialogues = training_dialogues(stories, [rule("r", "help", "utter_help")], DOMAIN, Problems(), augmentation=0)
    assert train_rule_and_memory_policies(policies, dialogues, DOMAIN, Problems()).policy_window == window


def test_equal_priorities_are_told() -> None:
    problems = Problems()
    policies: Iterable[ComponentOptions] = (MemoizationPolicyOptions(priority=4), RulePolicyOptions())
    train_rule_and_memory_policies(tuple(policies), training_dialogues((), (), DOMAIN, problems), DOMAIN, problems)
    (warning,) = problems.warnings
    assert "MemoizationPolicy and RulePolicy have the same priority 4" in warning.message
