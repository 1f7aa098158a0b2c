"""Rules that leave out what an action sets in other rules (https://rasa.com/docs/rasa/rules)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from turnstream.assistant.domain import ACTION_LISTEN
from turnstream.assistant.problems import Problems
from turnstream.dialogue.events import ActionExecuted, ActiveLoopChanged, SlotSet, UserUttered
from turnstream.dialogue.state import DialogueState
from turnstream.training.dialogues import NullParts, TrainingDialogue
from turnstream.training.story_events import RULE_SNIPPET

HINT = (
    "Say it after the action (null where it is not set), or add 'wait_for_user_input: false' if it is the last action."
)


@dataclass
class _Effects:
    """What follows an action in rules. A loop None is its end."""

    slots: list[str] = field(default_factory=list)
    loops: list[str | None] = field(default_factory=list)


def check_completeness(rules: Iterable[TrainingDialogue], featurized: frozenset[str], problems: Problems) -> None:
    """After an action, each rule must say the slots and the loop that other rules say there."""
    rules = tuple(rules)
    effects = _effects(rules, featurized)
    for rule in rules:
        states = (*rule.states, rule.final_state)
        for place, state in enumerate(states):
            following = rule.actions[place] if place < len(rule.actions) else ACTION_LISTEN
            action = state.previous_action
            # Where anything may follow, it may also be what is left out here.
            if action is None or RULE_SNIPPET in (action, following) or action not in effects:
                continue
            _check_state(rule, action, state, rule.null_parts[place], effects[action], featurized, problems)


def _check_state(
    rule: TrainingDialogue,
    action: str,
    state: DialogueState,
    nulls: NullParts,
    expected: _Effects,
    featurized: frozenset[str],
    problems: Problems,
) -> None:
    said = {slot.name for slot in state.slots if any(slot.values)} | (nulls.slots & featurized)
    missing = [name for name in expected.slots if name not in said]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        what = f"Rule '{rule.name}': the action '{action}' does not set {names}, which it sets in other rules."
        problems.error(rule.location, what, HINT)
    says_loop = nulls.loop or state.active_loop is not None
    if expected.loops and not (says_loop and state.active_loop in expected.loops):
        loops = ", ".join(f"'{loop or 'null'}'" for loop in expected.loops)
        what = f"Rule '{rule.name}': after '{action}' there is no 'active_loop', which is {loops} in other rules."
        problems.error(rule.location, what, HINT)


def _effects(rules: Iterable[TrainingDialogue], featurized: frozenset[str]) -> dict[str, _Effects]:
    """Of each action in rules: the slots and loops set after it and before the next action or message."""
    found: dict[str, _Effects] = {}
    for rule in rules:
        action: str | None = None
        for place, event in enumerate(rule.events):
            if isinstance(event, ActionExecuted):
                # After the listen that a conversation begins with, a rule's conditions are said, which it does not set.
                action = event.name if place else None
            elif isinstance(event, UserUttered):
                action = None
            elif action is not None:
                effects = found.setdefault(action, _Effects())
                if isinstance(event, SlotSet) and event.name in featurized and event.name not in effects.slots:
                    effects.slots.append(event.name)
                elif isinstance(event, ActiveLoopChanged) and event.name not in effects.loops:
                    effects.loops.append(event.name)
    return found
