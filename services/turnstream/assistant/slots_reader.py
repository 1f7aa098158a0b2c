"""A slot of the domain and its mappings."""

import json
from collections.abc import Mapping
from typing import Any

from turnstream.assistant.domain import (
    MAPPING_TYPES,
    ROUTE_TO_CALM_SLOT,
    SLOT_TYPES,
    MappingCondition,
    Slot,
    SlotMapping,
)
from turnstream.assistant.fields import Fields, list_of
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.yaml_nodes import Node

COMMON_KEYS = (
    "type",
    "mappings",
    "influence_conversation",
    "initial_value",
    "value_reset_delay",
    "shared_for_coexistence",
)
TYPE_KEYS: Mapping[str, tuple[str, ...]] = {"categorical": ("values",), "float": ("min_value", "max_value")}
MAPPING_KEYS = ("type", "entity", "role", "group", "intent", "not_intent", "value", "action", "conditions")
AUTO_FILL = "auto_fill"
"""A key of slots in Rasa 2 that domains carry along in their mappings."""

RASA_CLASSES: Mapping[str, str] = {
    f"rasa.shared.core.slots.{kind}Slot": name
    for kind, name in zip(("Text", "Boolean", "Categorical", "Float", "List", "Any"), SLOT_TYPES, strict=True)
}
"""The built-in types by the paths of their classes."""

REQUIRED_BY_TYPE: Mapping[str, str] = {"from_entity": "entity", "from_intent": "value", "from_trigger_intent": "value"}


def read_slot(name: str, node: Node, location: Location, problems: Problems) -> Slot | None:
    """Read a slot of a built-in type, or of a custom class by module path (which may have keys of its own)."""
    fields = Fields.of(node, f"The slot '{name}'", None, problems)
    if fields is None:
        return None
    kind = _read_type(name, fields, problems)
    if kind is None:
        return None
    is_custom = "." in kind
    if not is_custom:
        fields.refuse_unknown((*COMMON_KEYS, *TYPE_KEYS.get(kind, ())))
    if "mappings" not in fields and name != ROUTE_TO_CALM_SLOT:
        hint = "Add them, or 'mappings: [{type: custom}]' where only actions set it."
        problems.error(location, f"The slot '{name}' has no 'mappings'.", hint)
    mappings = (read_mapping(name, item, problems) for item in _mapping_nodes(fields, problems))
    influences = _read_influence(name, fields, problems, default=kind != "any")
    if influences and kind == "any":
        message = f"The slot '{name}' of type 'any' cannot influence the conversation."
        problems.error(fields.at("influence_conversation"), message, "Choose another type, or remove the key.")
    low, high = _read_range(name, fields, problems) if kind == "float" else (0.0, 1.0)
    return Slot(
        name,
        kind,
        mappings=tuple(m for m in mappings if m is not None),
        influence_conversation=influences and kind != "any",
        initial_value=fields.plain("initial_value"),
        values=_read_values(name, fields, problems) if kind == "categorical" else (),
        min_value=low,
        max_value=high,
        shared_for_coexistence=fields.flag("shared_for_coexistence", False),
        options=_options(fields, influences) if is_custom else {},
        location=location,
    )


def _options(fields: Fields, influences: bool) -> dict[str, Any]:
    """What a class is given beside name, mappings and initial value: what is not written is left to its defaults."""
    written = {"influence_conversation": influences} if "influence_conversation" in fields else {}
    return {**{str(key): fields.plain(key) for key in fields if key not in COMMON_KEYS}, **written}


def _read_influence(name: str, fields: Fields, problems: Problems, *, default: bool) -> bool:
    """A key without a value means false, as in Rasa; who wrote it may have thought otherwise."""
    if "influence_conversation" not in fields or fields.has_value("influence_conversation"):
        return fields.flag("influence_conversation", default)
    message = f"The slot '{name}': 'influence_conversation' has no value: it counts as false."
    problems.warning(fields.at("influence_conversation"), message, "Write true or false.")
    return False


def _read_type(name: str, fields: Fields, problems: Problems) -> str | None:
    kind = fields.text("type", required=True)
    if kind is None or kind in SLOT_TYPES or "." in kind:
        return RASA_CLASSES.get(kind or "", kind)
    hint = nearest(kind, SLOT_TYPES)
    if kind == "unfeaturized":
        hint = "Use the type 'text' with 'influence_conversation: false'."
    problems.error(fields.at("type"), f"The slot '{name}' has the unknown type '{kind}'.", hint)
    return None


def _mapping_nodes(fields: Fields, problems: Problems) -> list[Node]:
    return list_of(fields.get("mappings"), f"{fields.what}: 'mappings'", problems)


def _read_values(name: str, fields: Fields, problems: Problems) -> tuple[Any, ...]:
    node = fields.get("values")
    if node is None or node.value is None or node.value == []:
        problems.warning(fields.location, f"The categorical slot '{name}' has no 'values': any value is '__other__'.")
        return ()
    values = [item.plain() for item in list_of(node, f"The slot '{name}': 'values'", problems)]
    if None in values:
        hint = "null always means that the slot is not set."
        problems.warning(fields.at("values"), f"The slot '{name}' lists null among its 'values'.", hint)
    return tuple(value for value in values if value is not None)


def _read_range(name: str, fields: Fields, problems: Problems) -> tuple[float, float]:
    low, high = fields.number("min_value", 0.0), fields.number("max_value", 1.0)
    if low >= high:
        key = "min_value" if "min_value" in fields else "max_value"
        message = f"The float slot '{name}' has a 'min_value' ({low}) that is not below its 'max_value' ({high})."
        problems.error(fields.at(key), message)
    initial = fields.number("initial_value", low) if fields.has_value("initial_value") else low
    if low < high and not low <= initial <= high:
        message = f"The slot '{name}' has an initial value ({initial}) outside of its range."
        problems.warning(fields.at("initial_value"), message)
    return low, high


def read_mapping(slot: str, node: Node, problems: Problems) -> SlotMapping | None:
    """Read one mapping; None and an error where its type is unknown or what the type needs is missing."""
    what = f"A mapping of the slot '{slot}'"
    fields = Fields.of(node, what, (*MAPPING_KEYS, AUTO_FILL), problems)
    if fields is not None and AUTO_FILL in fields:
        problems.warning(fields.at(AUTO_FILL), f"{what}: '{AUTO_FILL}' has no effect.", "Remove it.")
    kind = fields.text("type", required=True) if fields is not None else None
    if fields is None or kind is None:
        return None
    if kind not in MAPPING_TYPES:
        problems.error(fields.at("type"), f"{what} has the unknown type '{kind}'.", nearest(kind, MAPPING_TYPES))
        return None
    needed = REQUIRED_BY_TYPE.get(kind)
    if needed is not None and not fields.has_value(needed):
        problems.error(fields.location, f"{what} of type '{kind}' needs a value for the key '{needed}'.")
        return None
    return SlotMapping(
        kind,
        entity=fields.text("entity", null_ok=kind != "from_entity"),
        role=fields.text("role", null_ok=True),
        group=fields.text("group", null_ok=True),
        intents=fields.texts("intent", single_ok=True),
        not_intents=fields.texts("not_intent", single_ok=True),
        value=fields.plain("value"),
        action=fields.text("action", null_ok=True),
        conditions=_read_conditions(what, fields, problems),
        written=json.dumps(node.plain(), sort_keys=True, default=str),
        location=fields.location,
    )


def _read_conditions(what: str, fields: Fields, problems: Problems) -> tuple[MappingCondition, ...]:
    found = []
    for node in list_of(fields.get("conditions"), f"{what}: 'conditions'", problems):
        condition = Fields.of(node, f"{what}: a condition", ("active_loop", "requested_slot"), problems)
        if condition is None:
            continue
        has_loop = "active_loop" in condition
        loop = condition.text("active_loop") if condition.has_value("active_loop") else None
        requested = condition.text("requested_slot") if condition.has_value("requested_slot") else None
        if not has_loop:
            message = f"{what}: a condition without 'active_loop' holds only where no form is active."
            problems.warning(condition.location, message, "Name a form, or write 'active_loop: null'.")
        found.append(MappingCondition(loop, requested, has_loop))
    return tuple(found)
