"""Whether the parts of a domain fit together."""

from turnstream.assistant.domain import (
    DEFAULT_ACTIONS,
    REQUESTED_SLOT,
    RESPONSE_PREFIX,
    SESSION_METADATA_SLOT,
    Domain,
    Form,
    Slot,
    SlotMapping,
)
from turnstream.assistant.location import NOWHERE, Location
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.project import Project

BUILT_IN_SLOTS = {REQUESTED_SLOT, SESSION_METADATA_SLOT}


def check_domain(project: Project, problems: Problems) -> None:
    """Errors for forms and mappings that cannot work, warnings for parts that have no effect."""
    domain = project.domain
    for form in domain.forms.values():
        _check_form(form, domain, problems)
    for slot in domain.slots.values():
        for mapping in slot.mappings:
            _check_mapping(slot, mapping, domain, problems)
    _check_listed_responses(project, problems)
    _check_texts(domain, problems)


def _check_texts(domain: Domain, problems: Problems) -> None:
    """A text that the assistant says by itself must not be the name of an action, which would be run in its place."""
    names = {*domain.responses, *domain.forms, *domain.actions, *DEFAULT_ACTIONS}
    for text in domain.e2e_actions:
        if text in names:
            hint = "Remove it there, or write 'action:' in place of 'bot:' in a story."
            problems.error(_file_of(domain), f"The text '{text}' in 'e2e_actions' is the name of an action.", hint)


def _check_form(form: Form, domain: Domain, problems: Problems) -> None:
    what = f"The form '{form.name}'"
    if form.name in domain.responses or form.name in DEFAULT_ACTIONS:
        other = "a response" if form.name in domain.responses else "a default action"
        problems.error(form.location, f"{what} has the name of {other}.", "Rename it.")
    for name in form.required_slots:
        slot = domain.slots.get(name)
        if slot is None:
            message = f"{what} requires the slot '{name}', which is not in the domain."
            problems.error(form.location, message, nearest(name, set(domain.slots) - BUILT_IN_SLOTS))
        elif not slot.mappings:
            hint = "No message can fill it."
            problems.warning(slot.location, f"{what} requires the slot '{name}', which has no mapping.", hint)
    for name in form.ignored_intents:
        if name not in domain.intents:
            message = f"{what} ignores the intent '{name}', which is not in the domain."
            problems.warning(form.location, message, nearest(name, domain.intents))


def _check_mapping(slot: Slot, mapping: SlotMapping, domain: Domain, problems: Problems) -> None:
    what = f"A mapping of the slot '{slot.name}'"
    if mapping.entity is not None:
        _check_entity(what, mapping, domain, problems)
    for name in (*mapping.intents, *mapping.not_intents):
        if name not in domain.intents:
            message = f"{what} names the intent '{name}', which is not in the domain."
            problems.warning(mapping.location, message, nearest(name, domain.intents))
    for condition in mapping.conditions:
        loop = condition.active_loop
        if loop is not None and loop not in domain.forms:
            message = f"{what} has a condition on the form '{loop}', which is not in the domain."
            problems.error(mapping.location, message, nearest(loop, domain.forms))
        requested = condition.requested_slot
        if requested is not None and requested not in domain.slots:
            message = f"{what} has a condition on the slot '{requested}', which is not in the domain: it never holds."
            problems.warning(mapping.location, message, nearest(requested, set(domain.slots) - BUILT_IN_SLOTS))


def _check_entity(what: str, mapping: SlotMapping, domain: Domain, problems: Problems) -> None:
    entity = domain.entities.get(mapping.entity or "")
    if entity is None:
        message = f"{what} names the entity '{mapping.entity}', which is not in the domain."
        problems.warning(mapping.location, message, nearest(mapping.entity or "", domain.entities))
        return
    for kind, name, known in (("role", mapping.role, entity.roles), ("group", mapping.group, entity.groups)):
        if name is not None and name not in known:
            message = f"{what} names the {kind} '{name}', which the entity '{entity.name}' does not have."
            problems.warning(mapping.location, message, nearest(name, known))


def _check_listed_responses(project: Project, problems: Problems) -> None:
    domain = project.domain
    retrieval = {RESPONSE_PREFIX + name for name in domain.retrieval_intents}
    for name in domain.actions:
        if name.startswith(RESPONSE_PREFIX) and name not in domain.responses and name not in retrieval:
            message = f"The action '{name}' is listed but has no response: it would say nothing."
            problems.warning(_file_of(domain), message, nearest(name, domain.responses))


def _file_of(domain: Domain) -> Location:
    """The file of what has no place of its own: that of the first intent."""
    return Location(next((i.location for i in domain.intents.values() if i.location != NOWHERE), NOWHERE).file)


def used_by_forms(domain: Domain) -> set[str]:
    """The names under which forms may ask for their slots."""
    found = {f"{RESPONSE_PREFIX}ask_{slot}" for form in domain.forms.values() for slot in form.required_slots}
    for form in domain.forms.values():
        found |= {f"{RESPONSE_PREFIX}ask_{form.name}_{slot}" for slot in (*form.required_slots, REQUESTED_SLOT)}
    return found
