"""`config.yml` and `endpoints.yml`."""

from collections.abc import Mapping
from typing import Any

from turnstream.assistant.action_endpoint import check_action_endpoint
from turnstream.assistant.config import ComponentConfig, Endpoint, Endpoints, ModelConfig
from turnstream.assistant.domain_files import check_sections
from turnstream.assistant.fields import Fields, list_of, shown
from turnstream.assistant.location import Location
from turnstream.assistant.nlg_endpoint import check_nlg_endpoint
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.yaml_nodes import Node, refuse_unset, unset_variables

CONFIG_KEYS = (
    "recipe",
    "assistant_id",
    "language",
    "version",
    "pipeline",
    "policies",
    "importers",
    "imports",
    "data",
    "spaces",
)
RECIPES = ("default.v1",)
ENDPOINT_SECTIONS: Mapping[str, str] = {
    "action_endpoint": "action",
    "calm_endpoint": "calm",
    "nlg": "nlg",
    "model": "model",
    "models": "model",
    "tracker_store": "tracker_store",
    "event_broker": "event_broker",
    "lock_store": "lock_store",
}
USED_SECTIONS = ("action", "calm", "nlg")
FULL_CONFIG_IMPORTERS = ("RasaFileImporter", "MultiProjectImporter")


def read_config(root: Node, problems: Problems) -> ModelConfig:
    """Read a config. Components are read as written: `components.read_component` checks their keys."""
    fields = Fields.of(root, "The config", None, problems)
    if fields is None:
        return ModelConfig(location=root.location)
    check_sections(root, CONFIG_KEYS, problems)
    recipe = fields.text("recipe") if fields.has_value("recipe") else None
    if recipe is not None and recipe not in RECIPES:
        hint = nearest(recipe, RECIPES)
        problems.error(fields.at("recipe"), f"The recipe '{recipe}' is not supported.", hint)
    if "data" in fields and fields.has_value("data"):
        problems.warning(fields.at("data"), "'data' in the config has no effect.", "Give the folder with --data.")
    _check_importers(fields, problems)
    return ModelConfig(
        language=(fields.text("language") if fields.has_value("language") else None) or "en",
        assistant_id=fields.text("assistant_id") if fields.has_value("assistant_id") else None,
        recipe=recipe or RECIPES[0],
        pipeline=_read_components("pipeline", fields, problems),
        policies=_read_components("policies", fields, problems),
        location=root.location,
    )


def imported_projects(root: Node, problems: Problems) -> tuple[str, ...] | None:
    """The paths under `imports` where the config asks for several projects, else None."""
    fields = Fields(root, "The config", problems)
    names = [item.get("name") for item in fields.plain("importers") or [] if isinstance(item, dict)]
    is_multi_project = any(str(name).rpartition(".")[2] == "MultiProjectImporter" for name in names)
    return fields.texts("imports") if is_multi_project else None


def nested_imports(root: Node) -> tuple[str, ...]:
    """The paths under `imports` of a project that is itself imported; nothing else of its config counts."""
    node = (root.mapping or {}).get("imports")
    return tuple(str(item.value) for item in node.items or []) if node is not None else ()


def _check_importers(fields: Fields, problems: Problems) -> None:
    for item in list_of(fields.get("importers") if fields.has_value("importers") else None, "'importers'", problems):
        importer = Fields.of(item, "An importer", None, problems)
        name = importer.text("name", required=True) if importer is not None else None
        if name is not None and name.rpartition(".")[2] not in FULL_CONFIG_IMPORTERS:
            hint = nearest(name, FULL_CONFIG_IMPORTERS)
            problems.error(item.location, f"The importer '{name}' is not supported.", hint)


def _read_components(key: str, fields: Fields, problems: Problems) -> tuple[ComponentConfig, ...] | None:
    if not fields.has_value(key):
        return None
    node = fields.get(key)
    assert node is not None
    if isinstance(node.value, str):
        message = f"'{key}' is the name of a template, '{node.value}'; templates were removed in Rasa 2."
        problems.error(node.location, message, "List the components: '- name: WhitespaceTokenizer', and so on.")
        return ()
    found = (_read_component(key, item, problems) for item in list_of(node, f"'{key}'", problems))
    return tuple(component for component in found if component is not None)


def _read_component(key: str, node: Node, problems: Problems) -> ComponentConfig | None:
    what = f"An item of '{key}'"
    if isinstance(node.value, str):
        problems.error(node.location, f"{what} is a bare text.", f"Write '- name: {node.value}'.")
        return None
    fields = Fields.of(node, what, None, problems)
    name = fields.text("name", required=True) if fields is not None else None
    if fields is None or name is None:
        return None
    options = {str(option): fields.plain(option) for option in fields if option != "name"}
    locations = {str(option): fields.at(option) for option in fields if option != "name"}
    return ComponentConfig(name, options, fields.location, locations)


def read_endpoints(root: Node, problems: Problems, *, is_served: bool) -> Endpoints:
    """Read endpoints; an unknown section is a warning, as Rasa lets it stand. `version` says nothing in this file.

    An environment variable without a value is an error where the assistant `is_served` and its section is used:
    a machine that trains need not know where the action server will be.
    """
    fields = Fields.of(root, "The endpoints", None, problems)
    if fields is None:
        return Endpoints()
    found: dict[str, Endpoint] = {}
    for key in (key for key in fields if key != "version"):
        section = ENDPOINT_SECTIONS.get(str(key))
        node = fields.get(key)
        if section is None:
            hint = nearest(str(key), ENDPOINT_SECTIONS)
            problems.warning(fields.at(key), f"Unknown section '{key}' in the endpoints.", hint)
        elif node is not None and node.value is not None:
            if is_served and section in USED_SECTIONS:
                refuse_unset(node, problems)
            endpoint = _read_endpoint(section, str(key), node, fields.at(key), problems)
            if endpoint is not None:
                found[section] = endpoint
    return Endpoints(**found)


def _read_endpoint(kind: str, key: str, node: Node, location: Location, problems: Problems) -> Endpoint | None:
    if node.mapping is None:
        problems.error(location, f"'{key}' must be a mapping, not {shown(node.value)}.")
        return None
    fields = Fields(node, f"'{key}'", problems)
    can_be_checked = not any(unset_variables(node))
    if can_be_checked and kind in ("action", "calm"):
        check_action_endpoint(fields, problems)
    if can_be_checked and kind == "nlg":
        check_nlg_endpoint(fields, problems)
    options: dict[str, Any] = {str(k): fields.plain(k) for k in fields if k not in ("url", "type")}
    url = fields.text("url") if fields.has_value("url") else None
    type_ = fields.text("type") if fields.has_value("type") else None
    return Endpoint(kind, url, type_, options, location)
