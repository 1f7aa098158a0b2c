"""A form of the domain."""

from turnstream.assistant.domain import Form
from turnstream.assistant.fields import Fields
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_nodes import Node

FORM_KEYS = ("required_slots", "ignored_intents")


def read_form(name: str, node: Node, location: Location, problems: Problems) -> Form | None:
    """Read a form; one without required slots has those that its validator names."""
    if node.value is None:
        hint = f"Write '{name}: {{required_slots: [...]}}', with an empty list where its validator names them."
        problems.error(location, f"The form '{name}' has a colon but no properties.", hint)
        return None
    fields = Fields.of(node, f"The form '{name}'", FORM_KEYS, problems)
    if fields is None:
        return None
    if "ignored_intents" in fields and "required_slots" not in fields:
        problems.error(location, f"The form '{name}' has 'ignored_intents' but no 'required_slots'.")
    return Form(
        name,
        required_slots=fields.texts("required_slots"),
        ignored_intents=fields.texts("ignored_intents", single_ok=True),
        location=location,
    )
