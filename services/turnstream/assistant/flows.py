"""The `flows` of a project that shares conversations with another engine, which runs them.

Read only as far as the hand-over needs: intents that start a flow, and the slots that outlive it.
Format: https://rasa.com/docs/reference/primitives/flows and .../starting-flows ("NLU trigger").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from turnstream.assistant.components.routers import IntentBasedRouterOptions, names_of
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.fields import Fields, list_of
from turnstream.assistant.location import NOWHERE, Location
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_nodes import Node


@dataclass(frozen=True, slots=True)
class Flow:
    """`triggers` are intents that start it; `persisted_slots` keep their values when it ends."""

    name: str
    triggers: tuple[str, ...] = ()
    persisted_slots: tuple[str, ...] = ()
    location: Location = NOWHERE


def read_flows(root: Node, problems: Problems) -> tuple[Flow, ...]:
    """The flows of a data file; their steps are the other engine's business."""
    section = (root.mapping or {}).get("flows")
    if section is None:
        return ()
    fields = Fields.of(section, "'flows'", None, problems)
    found = []
    for name in fields or ():
        node = fields.get(name) if fields is not None else None
        flow = Fields.of(node, f"The flow '{name}'", None, problems) if node is not None else None
        if flow is not None:
            found.append(_flow(str(name), flow, problems))
    return tuple(found)


def _flow(name: str, flow: Fields, problems: Problems) -> Flow:
    triggers = list_of(flow.get("nlu_trigger"), f"{flow.what}: 'nlu_trigger'", problems)
    intents = (_trigger(node, flow.what, problems) for node in triggers)
    return Flow(name, tuple(i for i in intents if i), flow.texts("persisted_slots"), flow.location)


def _trigger(node: Node, what: str, problems: Problems) -> str | None:
    """`intent: book`, or `intent: {name: book, confidence_threshold: 0.5}`."""
    intent = (node.mapping or {}).get("intent")
    if intent is not None and intent.mapping is not None:
        intent = intent.mapping.get("name")
    if intent is None or not isinstance(intent.value, str):
        problems.error(node.location, f"{what}: an item of 'nlu_trigger' needs 'intent: NAME'.")
        return None
    return intent.value


def with_flow_triggers(config: ModelConfig, flows: Iterable[Flow]) -> ModelConfig:
    """The config whose router sends what starts a flow to the other engine, unless a list names the intent."""
    triggers = tuple(dict.fromkeys(intent for flow in flows for intent in flow.triggers))
    if not triggers or config.pipeline is None:
        return config
    return replace(config, pipeline=tuple(_with_triggers(c, triggers) for c in config.pipeline))


def _with_triggers(component: ComponentConfig, triggers: tuple[str, ...]) -> ComponentConfig:
    calm = component.options.get("calm_entry")
    if component.name != IntentBasedRouterOptions.component_name or not isinstance(calm, Mapping):
        return component
    listed = {name for entry in component.options.values() for name in _listed(entry)}
    sticky = [*names_of(calm.get("sticky")), *(t for t in triggers if t not in listed)]
    return replace(component, options={**component.options, "calm_entry": {**calm, "sticky": sticky}})


def _listed(entry: Any) -> Iterable[str]:
    return [name for names in entry.values() for name in names_of(names)] if isinstance(entry, Mapping) else ()
