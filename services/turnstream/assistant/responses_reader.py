"""The `responses` section: names and their variations."""

from typing import Any

from turnstream.assistant.domain import ResponseCondition, ResponseVariation
from turnstream.assistant.fields import Fields, list_of, shown
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_nodes import Node

VARIATION_KEYS = (
    "text",
    "image",
    "custom",
    "buttons",
    "quick_replies",
    "attachment",
    "elements",
    "channel",
    "metadata",
    "condition",
    "id",
    "button_type",
)


def read_responses(node: Node, problems: Problems) -> dict[str, tuple[ResponseVariation, ...]]:
    """Read all responses of a section; a wrong one is left out with an error."""
    if node.mapping is None:
        problems.error(node.location, f"'responses' must be a mapping from names, not {shown(node.value)}.")
        return {}
    found: dict[str, tuple[ResponseVariation, ...]] = {}
    for name, variations in node.mapping.items():
        location = node.key_location(name)
        if not isinstance(name, str):
            problems.error(location, f"The name of a response must be a text, not {shown(name)}.")
        elif variations.items is None:
            hint = "Write a list of variations, such as '- text: Hello'."
            message = f"The response '{name}' must be a list, not {shown(variations.value)}."
            problems.error(location, message, hint)
        else:
            if not variations.items:
                problems.warning(location, f"The response '{name}' has no variation: nothing will be said.")
            read = (_read_variation(name, item, problems) for item in variations.items)
            found[name] = tuple(variation for variation in read if variation is not None)
    return found


def _read_variation(name: str, node: Node, problems: Problems) -> ResponseVariation | None:
    what = f"A variation of '{name}'"
    if isinstance(node.value, str):
        problems.error(node.location, f"{what} is a bare text.", f"Write '- text: {node.value[:40]}'.")
        return None
    fields = Fields.of(node, what, VARIATION_KEYS, problems)
    if fields is None:
        return None
    if not fields.node.mapping:
        problems.error(fields.location, f"{what} is empty.", "Give it a 'text' or a 'custom' payload.")
        return None
    if not fields.has_value("text") and not fields.has_value("custom"):
        if set(fields) <= set(VARIATION_KEYS):
            problems.error(fields.location, f"{what} has no 'text'.", "Add 'text: \"\"' where it has nothing to say.")
        return None
    fields.text("button_type", null_ok=True)
    return ResponseVariation(
        text=fields.text("text", empty_ok=True, null_ok=True),
        buttons=_read_buttons("buttons", fields, problems),
        quick_replies=_read_buttons("quick_replies", fields, problems),
        elements=fields.maps("elements"),
        image=fields.text("image", null_ok=True),
        attachment=_read_mapping("attachment", fields, problems),
        custom=_read_mapping("custom", fields, problems),
        channel=fields.text("channel", null_ok=True),
        conditions=_read_conditions(what, fields, problems),
        id=fields.text("id", null_ok=True),
        metadata=fields.plain("metadata"),
        location=fields.location,
    )


def _read_buttons(key: str, fields: Fields, problems: Problems) -> tuple[dict[str, Any], ...]:
    for node in fields.get(key).items or [] if fields.has_value(key) else []:  # type: ignore[union-attr]
        button = Fields(node, f"{fields.what}: a button", problems)
        if node.mapping is not None and key == "buttons":
            if "title" not in button:
                problems.warning(button.location, f"{button.what} has no 'title'.", "It is what the user sees.")
            for part in ("title", "payload"):
                button.text(part, empty_ok=True)
    return fields.maps(key)


def _read_mapping(key: str, fields: Fields, problems: Problems) -> dict[str, Any] | None:
    node = fields.get(key)
    if node is None or Fields.of(node, f"{fields.what}: '{key}'", None, problems) is None:
        return None
    value: dict[str, Any] = node.plain()
    return value


def _read_conditions(what: str, fields: Fields, problems: Problems) -> tuple[ResponseCondition, ...] | None:
    node = fields.get("condition")
    if node is None or node.value is None:
        return None
    found = []
    for item in list_of(node, f"{what}: 'condition'", problems):
        constraint = Fields.of(item, f"{what}: a constraint", ("type", "name", "value"), problems)
        if constraint is None:
            continue
        slot = constraint.text("name", required=True)
        if "value" not in constraint:
            hint = "Write 'value: null' for a slot that is not set."
            problems.error(constraint.location, f"{what}: a constraint has no 'value'.", hint)
        elif slot is not None:
            found.append(ResponseCondition(slot, constraint.plain("value")))
    return tuple(found)
