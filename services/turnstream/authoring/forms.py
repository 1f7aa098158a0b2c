"""Forms that cannot start, ask, be filled or end as they are written. All of it only warns."""

from turnstream.assistant.domain import ACTION_VALIDATE_SLOT_MAPPINGS, Form, MappingCondition, Slot, SlotMapping
from turnstream.assistant.problems import Problems
from turnstream.assistant.stories import ActionStep, ActiveLoopStep
from turnstream.authoring.unused import can_be_found
from turnstream.authoring.usage import Dialogue, Usage, steps_of


def check_forms(usage: Usage, problems: Problems) -> None:
    """Warnings, one for each thing that keeps a form from being filled in."""
    forms = usage.project.domain.forms
    for form in forms.values():
        if usage.dialogues:
            _check_start(form, usage, problems)
            _check_end(form, usage, problems)
        for name in form.required_slots:
            slot = usage.project.domain.slots.get(name)
            if slot is not None:
                _check_question(form, slot, usage, problems)
                _check_filling(form, slot, usage, problems)
    for slot in usage.project.domain.slots.values():
        _check_conditions(slot, usage, problems)


def _has_code(form: Form, usage: Usage) -> bool:
    """Whether a custom action may do what the domain does not say."""
    code = {f"validate_{form.name}", ACTION_VALIDATE_SLOT_MAPPINGS, form.name}
    return bool(code & usage.project.domain.custom_actions)


def _check_start(form: Form, usage: Usage, problems: Problems) -> None:
    if form.name in usage.actions or usage.sources.mention(form.name) or usage.actions_are_elsewhere:
        return
    what = f"The form '{form.name}' is never started: no story or rule names it."
    problems.warning(form.location, what, "Write a rule that runs it and says 'active_loop' after it.")


def _check_end(form: Form, usage: Usage, problems: Problems) -> None:
    if form.name not in usage.actions or any(_ends(form.name, dialogue) for dialogue in usage.dialogues):
        return
    what = f"No story or rule says what follows when the form '{form.name}' is filled in."
    hint = "Write a rule with the condition 'active_loop', the form, 'active_loop: null' and what comes then."
    problems.warning(form.location, what, hint)


def _ends(form: str, dialogue: Dialogue) -> bool:
    runs = False
    for step in steps_of(dialogue):
        if isinstance(step, ActiveLoopStep) and step.name is None and runs:
            return True
        runs = runs or (isinstance(step, ActionStep | ActiveLoopStep) and step.name == form)
    return False


def _check_question(form: Form, slot: Slot, usage: Usage, problems: Problems) -> None:
    asks = (f"{form.name}_{slot.name}", slot.name)
    possible = {f"{kind}_ask_{name}" for kind in ("utter", "action") for name in asks}
    if possible & set(usage.project.domain.action_names) or _has_code(form, usage):
        return
    what = f"The form '{form.name}' has no question for the slot '{slot.name}'."
    problems.warning(form.location, what, f"Add a response 'utter_ask_{slot.name}'.")


def _check_filling(form: Form, slot: Slot, usage: Usage, problems: Problems) -> None:
    """Where no mapping at all is there, the domain's check has said so."""
    if not slot.mappings or _has_code(form, usage):
        return
    if not any(_can_fill(mapping, form, slot, usage) for mapping in slot.mappings):
        what = f"The form '{form.name}' cannot be filled in: no mapping of its slot '{slot.name}' can apply in it."
        problems.warning(slot.location, what, "Look at the mappings' conditions, and at the entities they ask for.")


def _can_fill(mapping: SlotMapping, form: Form, slot: Slot, usage: Usage) -> bool:
    if mapping.conditions and not any(_holds(condition, form, slot) for condition in mapping.conditions):
        return False
    if mapping.intents and not any(_can_be_meant(intent, usage) for intent in mapping.intents):
        return False
    return mapping.entity is None or can_be_found(mapping.entity, usage, mapping.role, mapping.group)


def _holds(condition: MappingCondition, form: Form, slot: Slot) -> bool:
    return condition.active_loop == form.name and condition.requested_slot in (None, slot.name)


def _can_be_meant(intent: str, usage: Usage) -> bool:
    trained = {example.base_intent for example in usage.project.nlu.examples}
    return not trained or intent in trained or usage.is_sent_by_a_button(intent)


def _check_conditions(slot: Slot, usage: Usage, problems: Problems) -> None:
    """A condition on a form that does not ask for the slot: it is filled only where code asks for it."""
    forms = usage.project.domain.forms
    for mapping in slot.mappings:
        for name in dict.fromkeys(condition.active_loop for condition in mapping.conditions):
            form = forms.get(name or "")
            if form is not None and slot.name not in form.required_slots and not _has_code(form, usage):
                what = f"A mapping of the slot '{slot.name}' has a condition on the form '{form.name}'"
                problems.warning(mapping.location, f"{what}, which does not require the slot.")
