"""What is written but reached by nothing: intents, entities, slots and responses. All of it only warns.

What custom actions name counts as used; where they are not in the project, what they could use is not doubted.
"""

from turnstream.assistant.check_domain import BUILT_IN_SLOTS, used_by_forms
from turnstream.assistant.check_usage import BUILT_IN_RESPONSES
from turnstream.assistant.components import (
    DucklingEntityExtractorOptions,
    MitieEntityExtractorOptions,
    SpacyEntityExtractorOptions,
)
from turnstream.assistant.domain import DEFAULT_INTENTS, RETRIEVAL_SEPARATOR
from turnstream.assistant.problems import Problems
from turnstream.authoring.usage import Usage

FINDS_BY_ITSELF = (DucklingEntityExtractorOptions, SpacyEntityExtractorOptions, MitieEntityExtractorOptions)


def check_unused(usage: Usage, problems: Problems) -> None:
    """Warnings beside those of `assistant.check_usage`, which training gives as well."""
    if not usage.dialogues:
        return
    _check_intents(usage, problems)
    _check_entities(usage, problems)
    _check_slots(usage, problems)
    _check_responses(usage, problems)


def can_be_found(entity: str, usage: Usage, role: str | None = None, group: str | None = None) -> bool:
    """Whether an annotation, a pattern, a ready-made extractor or a button gives the entity."""
    if any(e.entity == entity and role in (None, e.role) and group in (None, e.group) for e in usage.annotations):
        return True
    nlu = usage.project.nlu
    if entity in {table.name for table in nlu.lookups} | {regex.name for regex in nlu.regexes}:
        return True
    return usage.is_sent_by_a_button(entity) or any(isinstance(o, FINDS_BY_ITSELF) for o in usage.pipeline)


def _check_intents(usage: Usage, problems: Problems) -> None:
    """Intents that are understood, and that nothing answers: no story or rule, no mapping, no entity for a slot."""
    mapped = {mapping.entity for mapping in usage.mappings}
    tell = {e.base_intent for e in usage.project.nlu.examples if any(a.entity in mapped for a in e.entities)}
    fills_by_text = any(mapping.type == "from_text" and not mapping.intents for mapping in usage.mappings)
    trained = {example.base_intent for example in usage.project.nlu.examples}
    for name, intent in usage.project.domain.intents.items():
        used = name in usage.intents or name in tell or name in DEFAULT_INTENTS or usage.sources.mention(name)
        if used or name not in trained or not intent.location.line or fills_by_text or usage.actions_are_elsewhere:
            continue
        what = f"The intent '{name}' is understood, but no story, rule, form or slot uses it."
        problems.warning(intent.location, what, "Say in a story or rule what follows it.")


def _check_entities(usage: Usage, problems: Problems) -> None:
    for name, entity in usage.project.domain.entities.items():
        if not entity.location.line:
            continue
        if name in usage.entities or usage.sources.mention(name):
            if not can_be_found(name, usage) and not usage.actions_are_elsewhere:
                what = f"Nothing finds the entity '{name}': no example marks it."
                problems.warning(entity.location, what, "Mark it in examples, or add a lookup table or a regex for it.")
        elif not usage.actions_are_elsewhere:
            what = f"The entity '{name}' fills no slot, and no story or rule names it."
            problems.warning(entity.location, what, "Give it a slot with a from_entity mapping, or remove it.")


def _check_slots(usage: Usage, problems: Problems) -> None:
    if usage.actions_are_elsewhere:
        return
    for name, slot in usage.project.domain.slots.items():
        set_by_message = any(mapping.type != "custom" for mapping in slot.mappings)
        if name in BUILT_IN_SLOTS or set_by_message or slot.initial_value is not None or not slot.location.line:
            continue
        if not usage.sources.mention(name):
            what = f"Nothing sets the slot '{name}': it has no mapping, and no custom action names it."
            problems.warning(slot.location, what)


def _check_responses(usage: Usage, problems: Problems) -> None:
    domain = usage.project.domain
    if not (domain.custom_actions or domain.forms) or usage.actions_are_elsewhere:
        return  # without them training warns already
    known = usage.actions | used_by_forms(domain) | BUILT_IN_RESPONSES | set(domain.e2e_actions)
    configured = {str(value) for c in usage.project.config.policies or () for value in c.options.values()}
    for name, variations in domain.responses.items():
        is_used = name in known or name in configured or RETRIEVAL_SEPARATOR in name or usage.sources.mention(name)
        if not is_used and variations and variations[0].location.line:
            problems.warning(variations[0].location, f"The response '{name}' is never used.")
