"""Several domain files, and what the training data adds, as one domain.

An element of the file read first is kept whole; a later one of the same name is reported and dropped. As in Rasa, the
elements of a later file come first in the order of slots, forms and responses, and lists from several files are sorted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from turnstream.assistant.codec import FORMAT_VERSION
from turnstream.assistant.domain import (
    DEFAULT_INTENTS,
    REQUESTED_SLOT,
    RESPONSE_PREFIX,
    SESSION_METADATA_SLOT,
    Domain,
    Entity,
    Intent,
    ResponseVariation,
    SessionConfig,
    Slot,
    SlotMapping,
)
from turnstream.assistant.domain_files import DomainPart, WrittenAction, WrittenIntent
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems, nearest

LISTS = ("intents", "entities", "actions")
MAPPINGS = ("slots", "forms", "responses")


@dataclass(frozen=True, slots=True)
class DataAdditions:
    """What training data adds to a domain: retrieval intents and responses from NLU files, bot texts from stories."""

    retrieval_intents: tuple[str, ...] = ()
    responses: Mapping[str, tuple[ResponseVariation, ...]] = field(default_factory=dict)
    written_responses: Mapping[str, Any] = field(default_factory=dict)
    bot_texts: tuple[str, ...] = ()


def merge_domain(parts: Sequence[DomainPart], additions: DataAdditions, problems: Problems) -> Domain:
    """Merge the files of a domain and add what the training data brings."""
    for section in (*LISTS, *MAPPINGS):
        _report_duplicates(section, parts, problems)
    entities: dict[str, Entity] = _merged("entities", parts)
    written_intents: dict[str, WrittenIntent] = _merged("intents", parts)
    intents = _intents(written_intents, entities, additions, problems)
    forms = _merged("forms", parts)
    slots = _with_built_in_slots(_merged("slots", parts), bool(forms), problems)
    actions: dict[str, WrittenAction] = _merged("actions", parts)
    retrieval_actions = [RESPONSE_PREFIX + name for name in additions.retrieval_intents]
    marked = {name for name, action in actions.items() if action.send_domain}
    texts = dict.fromkeys(text for part in parts for text in part.e2e_actions)
    domain = Domain(
        intents=intents,
        entities=entities,
        slots=slots,
        responses={**_merged("responses", parts), **additions.responses},
        actions=tuple(dict.fromkeys([*actions, *retrieval_actions])),
        forms=forms,
        e2e_actions=tuple(dict.fromkeys([*texts, *sorted(additions.bot_texts)])),
        session=_session(parts),
        actions_with_domain=frozenset(marked) if marked else None,
    )
    return replace(domain, source=_source(domain, parts, additions))


def _merged(section: str, parts: Sequence[DomainPart]) -> dict[str, Any]:
    return _merged_mappings(section, [getattr(part, section) for part in parts])


def _merged_mappings(section: str, found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    given = [mapping for mapping in found if mapping]
    for mapping in given:
        merged = {**{name: merged.get(name, value) for name, value in mapping.items()}, **merged}
    if section in LISTS and len(given) > 1:
        return {name: merged[name] for name in sorted(merged)}
    return merged


def _report_duplicates(section: str, parts: Sequence[DomainPart], problems: Problems) -> None:
    first: dict[str, DomainPart] = {}
    for part in parts:
        for name, value in getattr(part, section).items():
            if name in first:
                location = _location_of(value, part)
                message = f"'{name}' in '{section}' is also in {first[name].location}, which counts."
                problems.warning(location, message, "Remove one.")
            first.setdefault(name, part)


def _location_of(value: Any, part: DomainPart) -> Location:
    if isinstance(value, tuple):
        value = value[0] if value else part
    location = getattr(value, "location", part.location)
    return location if isinstance(location, Location) else part.location


def _session(parts: Sequence[DomainPart]) -> SessionConfig:
    default = SessionConfig()
    given = [part.session for part in parts if part.session is not None and part.session != default]
    return given[0] if given else default


def _intents(
    written: Mapping[str, WrittenIntent],
    entities: Mapping[str, Entity],
    additions: DataAdditions,
    problems: Problems,
) -> dict[str, Intent]:
    found = {
        name: Intent(
            name,
            _used_entities(intent, entities, problems),
            intent.is_retrieval or name in additions.retrieval_intents,
            intent.location,
        )
        for name, intent in written.items()
    }
    for name in (*additions.retrieval_intents, *DEFAULT_INTENTS):
        if name not in found:
            used = _used_entities(WrittenIntent(name), entities, problems)
            found[name] = Intent(name, used, name in additions.retrieval_intents)
    return found


def _used_entities(intent: WrittenIntent, entities: Mapping[str, Entity], problems: Problems) -> frozenset[str]:
    for name in (*(intent.use_entities or ()), *intent.ignore_entities):
        if name not in entities:
            message = f"The intent '{intent.name}' names the entity '{name}', which is not in the domain."
            problems.warning(intent.location, message, nearest(name, entities))
    if intent.use_entities is None:
        used = {name for name, entity in entities.items() if entity.influence_conversation}
    else:
        # What has no influence stays out of sight, also where an intent names it.
        used = {name for name in intent.use_entities if name not in entities or entities[name].influence_conversation}
        if both := sorted(used & set(intent.ignore_entities)):
            message = f"The intent '{intent.name}' both uses and ignores {', '.join(both)}: ignored."
            problems.warning(intent.location, message)
    return frozenset(label for name in used - set(intent.ignore_entities) for label in _labels(name, entities))


def _labels(name: str, entities: Mapping[str, Entity]) -> list[str]:
    entity = entities.get(name)
    if entity is None:
        return [name]
    return [name, *(f"{name}#{role}" for role in entity.roles), *(f"{name}.{group}" for group in entity.groups)]


def _with_built_in_slots(slots: dict[str, Slot], has_forms: bool, problems: Problems) -> dict[str, Slot]:
    """`requested_slot` where there is a form and the author has none, then the metadata of the session."""
    built_in = [SESSION_METADATA_SLOT]
    if has_forms and REQUESTED_SLOT not in slots:
        built_in.insert(0, REQUESTED_SLOT)
    if SESSION_METADATA_SLOT in slots:
        message = f"The slot '{SESSION_METADATA_SLOT}' is built in and cannot be defined."
        problems.error(slots[SESSION_METADATA_SLOT].location, message, "Choose another name.")
    types = {REQUESTED_SLOT: "text", SESSION_METADATA_SLOT: "any"}
    custom = (SlotMapping("custom"),)
    added = {name: Slot(name, types[name], mappings=custom, influence_conversation=False) for name in built_in}
    return {**slots, **added}


def _source(domain: Domain, parts: Sequence[DomainPart], additions: DataAdditions) -> dict[str, Any]:
    """The domain as Rasa's JSON shows it: merged as written, intents sorted, without the built-in elements."""
    versions = [part.version for part in parts if part.version is not None]
    written = {s: _merged_mappings(s, [p.written.get(s, {}) for p in parts]) for s in (*LISTS, *MAPPINGS)}
    for name in additions.retrieval_intents:
        properties = written["intents"].get(name)
        known = properties[name] if isinstance(properties, dict) else {}
        used = sorted(domain.intents[name].used_entities)
        written["intents"][name] = {name: {**known, "used_entities": used, "is_retrieval_intent": True}}
        written["actions"].setdefault(RESPONSE_PREFIX + name, RESPONSE_PREFIX + name)
    for name, variations in additions.written_responses.items():
        written["responses"][name] = variations
    source: dict[str, Any] = {"version": versions[0] if versions else FORMAT_VERSION}
    sections: dict[str, Any] = {
        "intents": [written["intents"][name] for name in sorted(written["intents"])],
        "entities": list(written["entities"].values()),
        "slots": written["slots"],
        "forms": written["forms"],
        "actions": list(written["actions"].values()),
        "responses": written["responses"],
        "e2e_actions": list(domain.e2e_actions),
    }
    source |= {key: value for key, value in sections.items() if value}
    for part in reversed(parts):
        source |= part.unknown
    default = SessionConfig()
    written_sessions = [p.written["session_config"] for p in parts if p.session is not None and p.session != default]
    source["session_config"] = next(
        iter(written_sessions),
        {
            "session_expiration_time": default.expiration_minutes,
            "carry_over_slots_to_new_session": default.carry_over_slots,
        },
    )
    return source
