"""RulePolicy's table from rules and stories (https://rasa.com/docs/rasa/rules)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from turnstream.assistant.components import RulePolicyOptions
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SEND_TEXT, Domain
from turnstream.assistant.problems import Problems, nearest
from turnstream.dialogue.events import UserUttered
from turnstream.dialogue.prediction.rule_states import RuleState
from turnstream.dialogue.prediction.rules import LoopExit, Rule, RuleTable
from turnstream.dialogue.slots import slot_feature_size
from turnstream.dialogue.state import DialogueState
from turnstream.training.dialogues import NullParts, TrainingDialogue, TrainingDialogues
from turnstream.training.rule_checks import check_contradictions
from turnstream.training.rule_completeness import check_completeness
from turnstream.training.story_events import RULE_SNIPPET

ALLOWED_USER_MESSAGES = 1
RULES_DOCS = "See https://rasa.com/docs/rasa/rules."


def learn_rules(
    dialogues: TrainingDialogues, domain: Domain, options: RulePolicyOptions, problems: Problems
) -> RuleTable:
    """The table of all rules. What is wrong with them, alone or against each other and the stories, is an error."""
    errors_before = len(problems.errors)
    _check_actions(dialogues.rules, domain, problems)
    if options.restrict_rules:
        _check_user_messages(dialogues.rules, problems)
    featurized = frozenset(name for name, slot in domain.slots.items() if slot_feature_size(slot))
    if options.check_for_contradictions:
        check_completeness(dialogues.rules, featurized, problems)
    table = RuleTable(rules=_rules(dialogues.rules, featurized), loop_exits=_loop_exits(dialogues, featurized))
    if not options.check_for_contradictions or len(problems.errors) > errors_before:
        return table
    slots, loops = _rule_only(dialogues, featurized)
    table = replace(table, rule_only_slots=slots, rule_only_loops=loops)
    return check_contradictions(table, dialogues, domain, options, problems)


def rule_state(state: DialogueState, nulls: NullParts, featurized: frozenset[str]) -> RuleState:
    """What a rule demands at one of its states: slots that still have their initial value are not looked at."""
    slots = {slot.name: slot.values for slot in state.slots if slot.since_index >= 0 and any(slot.values)}
    return replace(_exact_state(state), slots=slots, no_loop=nulls.loop, unset_slots=nulls.slots & featurized)


def _exact_state(state: DialogueState) -> RuleState:
    return RuleState(
        intent=state.intent,
        user_text=state.user_text,
        entities=state.entities,
        previous_action=state.previous_action,
        previous_action_text=state.previous_action_text,
        active_loop=state.active_loop,
        slots={slot.name: slot.values for slot in state.slots if any(slot.values)},
    )


def _rule_states(dialogue: TrainingDialogue, featurized: frozenset[str]) -> tuple[RuleState, ...]:
    if not dialogue.is_rule:
        return tuple(_exact_state(state) for state in dialogue.states)
    pairs = zip(dialogue.states, dialogue.null_parts, strict=False)
    return tuple(rule_state(state, nulls, featurized) for state, nulls in pairs)


def _points(dialogue: TrainingDialogue, featurized: frozenset[str]) -> Iterator[tuple[tuple[RuleState, ...], str]]:
    """All states before each action that can be predicted, and the action."""
    states = _rule_states(dialogue, featurized)
    for place, action in enumerate(dialogue.actions):
        if dialogue.predictable[place]:
            yield states[: place + 1], action


def _since_snippet(states: Sequence[RuleState]) -> tuple[RuleState, ...]:
    """The states after the last place where anything may have happened."""
    for place in range(len(states), 0, -1):
        if states[place - 1].previous_action == RULE_SNIPPET:
            return tuple(states[place:])
    return tuple(states)


def _rules(dialogues: Iterable[TrainingDialogue], featurized: frozenset[str]) -> tuple[Rule, ...]:
    """One rule for each sequence of states that has one action; where rules disagree none is learned."""
    found: dict[str, Rule] = {}
    disagreed: set[str] = set()
    for dialogue in dialogues:
        for states, action in _points(dialogue, featurized):
            states = _since_snippet(states)
            if not states:
                continue
            rule = Rule(states, action, (dialogue.name,))
            known = found.setdefault(rule.source, rule)
            if known.action != action:
                disagreed.add(rule.source)
            elif dialogue.name not in known.names:
                found[rule.source] = replace(known, names=(*known.names, dialogue.name))
    return tuple(rule for source, rule in found.items() if source not in disagreed and rule.action != RULE_SNIPPET)


def _loop_exits(dialogues: TrainingDialogues, featurized: frozenset[str]) -> tuple[LoopExit, ...]:
    """What stories and rules do inside a loop is never its happy path, so it tells where the loop is left alone."""
    found: dict[str, LoopExit] = {}
    for dialogue in (*dialogues.rules, *dialogues.stories):
        for states, action in _points(dialogue, featurized):
            loop, listened = states[-1].active_loop, states[-1].previous_action == ACTION_LISTEN
            runs_loop = action == loop
            if loop is None or listened != runs_loop:
                continue
            demands = _since_snippet(_without_message(states))
            if demands:
                found[Rule(demands, "").source] = LoopExit(demands, interrupted=runs_loop)
    return tuple(found.values())


def _without_message(states: Sequence[RuleState]) -> tuple[RuleState, ...]:
    """The latest state and the action before it, whatever was said then."""
    if len(states) < 2 or not (states[-2].previous_action or states[-2].previous_action_text):
        return (states[-1],)
    before = states[-2]
    return (
        RuleState(previous_action=before.previous_action, previous_action_text=before.previous_action_text),
        states[-1],
    )


def _rule_only(dialogues: TrainingDialogues, featurized: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The slots and loops that rules mention and no story does."""
    in_rules = [s for dialogue in dialogues.rules for s in _rule_states(dialogue, featurized)]
    in_stories = [s for dialogue in dialogues.stories for s in _rule_states(dialogue, featurized)]
    slots = _slots(in_rules) - _slots(in_stories)
    return slots, _loops(in_rules) - _loops(in_stories)


def _slots(states: Iterable[RuleState]) -> frozenset[str]:
    return frozenset(name for state in states for name in (*state.slots, *state.unset_slots))


def _loops(states: Iterable[RuleState]) -> frozenset[str]:
    return frozenset(state.active_loop for state in states if state.active_loop)


def _check_actions(rules: Iterable[TrainingDialogue], domain: Domain, problems: Problems) -> None:
    # Nothing but the API can run it: what it says comes with the request.
    unpredictable = {ACTION_SEND_TEXT} - set(domain.actions)
    known = {*domain.action_names, RULE_SNIPPET} - unpredictable
    for rule in rules:
        for action in dict.fromkeys(rule.actions):
            if action not in known:
                what = f"Rule '{rule.name}': the domain has no action '{action}'."
                problems.error(rule.location, what, nearest(action, domain.action_names))


def _check_user_messages(rules: Iterable[TrainingDialogue], problems: Problems) -> None:
    for rule in rules:
        count = sum(isinstance(event, UserUttered) for event in rule.events)
        if count > ALLOWED_USER_MESSAGES:
            what = f"Rule '{rule.name}' has {count} user messages; a rule may have {ALLOWED_USER_MESSAGES}."
            problems.error(rule.location, what, "Write a story, or set restrict_rules: false for RulePolicy.")
