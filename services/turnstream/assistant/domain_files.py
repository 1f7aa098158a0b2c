"""One domain file as typed parts with what was written, before files are merged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.domain import Entity, Form, ResponseVariation, SessionConfig, Slot
from turnstream.assistant.fields import Fields, list_of, shown, text_of
from turnstream.assistant.forms_reader import read_form
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems, closest
from turnstream.assistant.responses_reader import read_responses
from turnstream.assistant.slots_reader import read_slot
from turnstream.assistant.yaml_nodes import Node

DOMAIN_KEYS = (
    "intents",
    "entities",
    "slots",
    "responses",
    "actions",
    "forms",
    "e2e_actions",
    "session_config",
    "config",
)
FILE_KEYS = ("version", "nlu", "stories", "rules", "flows", *DOMAIN_KEYS)
INTENT_KEYS = ("use_entities", "ignore_entities", "is_retrieval_intent", "used_entities")
ENTITY_KEYS = ("roles", "groups", "influence_conversation")


@dataclass(frozen=True, slots=True)
class WrittenIntent:
    """`use_entities` None is every entity that influences the conversation."""

    name: str
    use_entities: tuple[str, ...] | None = None
    ignore_entities: tuple[str, ...] = ()
    is_retrieval: bool = False
    location: Location = field(default=Location("<memory>"), compare=False)


@dataclass(frozen=True, slots=True)
class WrittenAction:
    name: str
    send_domain: bool | None = None
    location: Location = field(default=Location("<memory>"), compare=False)


@dataclass(slots=True)
class DomainPart:
    """The sections of one file. `written` holds each named element as plain values, by section and name."""

    location: Location
    version: str | None = None
    intents: dict[str, WrittenIntent] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    responses: dict[str, tuple[ResponseVariation, ...]] = field(default_factory=dict)
    actions: dict[str, WrittenAction] = field(default_factory=dict)
    e2e_actions: tuple[str, ...] = ()
    session: SessionConfig | None = None
    written: dict[str, dict[str, Any]] = field(default_factory=dict)
    unknown: dict[str, Any] = field(default_factory=dict)
    """Top-level keys without a meaning here, which Rasa shows in its JSON all the same."""


def read_domain_part(root: Node, problems: Problems) -> DomainPart:
    """Read the domain sections of a file; the rest of the file is not looked at."""
    fields = Fields(root, "The domain", problems)
    part = DomainPart(Location(root.file), version=_version_of(fields))
    part.intents = _named_list(fields, "intents", part, problems, _read_intent)
    part.entities = _named_list(fields, "entities", part, problems, _read_entity)
    part.actions = _named_list(fields, "actions", part, problems, _read_action)
    for key, kind in (("slots", "slot"), ("forms", "form")):
        section = _section(fields, key, problems)
        part.written[key] = {str(name): node.plain() for name, node in section.items()}
        for name, node in section.items():
            _read_named(part, kind, name, node, fields, problems)
    responses = fields.get("responses")
    if responses is not None:
        part.responses = read_responses(responses, problems)
        part.written["responses"] = dict(responses.plain()) if responses.mapping is not None else {}
    part.e2e_actions = _read_e2e_actions(fields, problems)
    part.session = _read_session(fields, problems)
    if part.session is not None:
        part.written["session_config"] = fields.plain("session_config")
    part.unknown = {str(key): fields.plain(key) for key in fields if key not in FILE_KEYS or key == "config"}
    return part


def _read_e2e_actions(fields: Fields, problems: Problems) -> tuple[str, ...]:
    texts = fields.texts("e2e_actions") if fields.has_value("e2e_actions") else ()
    for text in sorted({text for text in texts if texts.count(text) > 1}):
        problems.error(fields.at("e2e_actions"), f"'{text}' is listed twice in 'e2e_actions'.", "Remove one.")
    return tuple(dict.fromkeys(texts))


def _version_of(fields: Fields) -> str | None:
    node = fields.get("version")
    return node.value if node is not None and isinstance(node.value, str) else None


def _read_named(part: DomainPart, kind: str, name: Any, node: Node, fields: Fields, problems: Problems) -> None:
    location = (fields.get(f"{kind}s") or fields.node).key_location(name)
    if not isinstance(name, str):
        problems.error(location, f"The name of a {kind} must be a text, not {shown(name)}.", f'Quote it: "{name}".')
    elif kind == "slot":
        slot = read_slot(name, node, location, problems)
        if slot is not None:
            part.slots[name] = slot
    else:
        form = read_form(name, node, location, problems)
        if form is not None:
            part.forms[name] = form


def _section(fields: Fields, key: str, problems: Problems) -> dict[Any, Node]:
    node = fields.get(key)
    if node is None:
        return {}
    if node.mapping is None:
        problems.error(fields.at(key), f"'{key}' must be a mapping from names, not {shown(node.value)}.")
        return {}
    return node.mapping


def _named_list(fields: Fields, key: str, part: DomainPart, problems: Problems, read: Any) -> dict[str, Any]:
    """A list whose items are names, or mappings from one name to its properties; names must not repeat."""
    found: dict[str, Any] = {}
    written = part.written.setdefault(key, {})
    node = fields.get(key)
    for item in list_of(node, f"'{key}'", problems):
        name, properties = _name_and_properties(item, key, problems)
        if name is None:
            continue
        if name in found:
            first = found[name].location.line
            problems.error(item.location, f"'{name}' is listed twice in '{key}'; the first is in line {first}.")
            continue
        found[name] = read(name, properties, item.location, problems)
        written[name] = _as_rasa_shows(item.plain())
    return found


def _as_rasa_shows(item: Any) -> Any:
    """As written, but that no entities are an empty list."""
    if not isinstance(item, dict) or not all(isinstance(properties or {}, dict) for properties in item.values()):
        return item
    return {
        name: {key: [] if key == "use_entities" and not value else value for key, value in (properties or {}).items()}
        for name, properties in item.items()
    }


def _name_and_properties(item: Node, key: str, problems: Problems) -> tuple[str | None, Fields | None]:
    if item.mapping is None:
        return text_of(item, f"A name in '{key}'", problems), None
    if len(item.mapping) != 1:
        names = ", ".join(f"'{name}'" for name in item.mapping)
        hint = "Indent the properties below the name."
        problems.error(item.location, f"An item of '{key}' must be one name with its properties, not {names}.", hint)
        return None, None
    name, properties = next(iter(item.mapping.items()))
    if not isinstance(name, str):
        problems.error(item.location, f"A name in '{key}' must be a text, not {shown(name)}.", f'Quote it: "{name}".')
        return None, None
    if not properties.mapping:
        problems.error(item.location, f"'{name}' in '{key}' has a colon but no properties.", "Remove the colon.")
        return name, None
    return name, Fields(properties, f"'{name}' in '{key}'", problems)


def _read_intent(name: str, fields: Fields | None, location: Location, problems: Problems) -> WrittenIntent:
    if fields is None:
        return WrittenIntent(name, location=location)
    if "triggers" in fields:
        problems.error(fields.at("triggers"), f"The intent '{name}': 'triggers' was removed.", "Write a rule instead.")
    fields.refuse_unknown((*INTENT_KEYS, "triggers"))
    return WrittenIntent(
        name,
        use_entities=_entities_used(fields),
        ignore_entities=fields.texts("ignore_entities"),
        is_retrieval=fields.flag("is_retrieval_intent", False),
        location=location,
    )


def _entities_used(fields: Fields) -> tuple[str, ...] | None:
    node = fields.get("use_entities")
    if node is None or node.value is True:
        return None
    return fields.texts("use_entities") if node.value else ()


def _read_entity(name: str, fields: Fields | None, location: Location, problems: Problems) -> Entity:
    if fields is None:
        return Entity(name, location=location)
    fields.refuse_unknown(ENTITY_KEYS)
    return Entity(
        name,
        roles=fields.texts("roles"),
        groups=fields.texts("groups"),
        influence_conversation=fields.flag("influence_conversation", True),
        location=location,
    )


def _read_action(name: str, fields: Fields | None, location: Location, problems: Problems) -> WrittenAction:
    if fields is None:
        return WrittenAction(name, location=location)
    fields.refuse_unknown(("send_domain",))
    return WrittenAction(name, fields.flag("send_domain", False), location)


def _read_session(fields: Fields, problems: Problems) -> SessionConfig | None:
    node = fields.get("session_config")
    if node is None:
        return None
    known = ("session_expiration_time", "carry_over_slots_to_new_session")
    session = Fields.of(node, "'session_config'", known, problems)
    if session is None:
        return None
    default = SessionConfig()
    minutes = default.expiration_minutes
    if session.has_value("session_expiration_time"):
        minutes = session.number("session_expiration_time", minutes)
    if minutes < 0:
        problems.error(session.at("session_expiration_time"), f"'session_expiration_time' is negative ({minutes}).")
    if "carry_over_slots_to_new_session" in session and not session.has_value("carry_over_slots_to_new_session"):
        # As in Rasa: a key without a value.
        return SessionConfig(minutes, carry_over_slots=False)
    return SessionConfig(minutes, session.flag("carry_over_slots_to_new_session", default.carry_over_slots))


def check_sections(root: Node, known: Sequence[str], problems: Problems) -> None:
    """An error for each top-level key that looks like a misspelt one, a warning for any other unknown one."""
    for key in root.mapping or {}:
        if key in known:
            continue
        meant = closest(str(key), known)
        if meant is not None:
            problems.error(root.key_location(key), f"Unknown key '{key}'.", f"Did you mean '{meant}'?")
        else:
            hint = f"Valid: {', '.join(known)}."
            problems.warning(root.key_location(key), f"The unknown key '{key}' has no effect.", hint)
