"""The keys of config.yml: components and policies with their defaults."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from turnstream.assistant.components import PolicyOptions, known_components
from turnstream.assistant.components.base import ComponentOptions
from turnstream.assistant.components.custom import CustomComponentOptions
from turnstream.assistant.components.networks import NetworkOptions
from turnstream.assistant.components.outside import training_refusal
from turnstream.assistant.config_reader import CONFIG_KEYS

from reference import meanings
from reference.tables import described, require_same, table

ALWAYS_REFUSED = "The keys of these are checked, and training refuses them with what to use in their place:"


def page() -> Iterator[str]:
    """docs/reference/config.md"""
    known = {name: cls for name, cls in known_components().items() if cls is not CustomComponentOptions}
    here = {name: known[name] for name in meanings.COMPONENTS if name in known}
    require_same(here, meanings.COMPONENTS)
    _require_meanings(here)
    yield "Names and defaults are Rasa's. An unknown key is refused with its line and the nearest name.\n"
    yield "## config.yml\n"
    yield from described(CONFIG_KEYS, meanings.CONFIG)
    yield "A component of your own is named by its module path: [write a component](../custom-components.md).\n"
    yield "## Keys of all networks\n"
    yield "`DIETClassifier`, `ResponseSelector`, `TEDPolicy` and `UnexpecTEDIntentPolicy` have these as well.\n"
    yield from _keys("", NetworkOptions, _fields(NetworkOptions))
    policies = [name for name, cls in here.items() if issubclass(cls, PolicyOptions)]
    for title, names in (("Pipeline", [n for n in here if n not in policies]), ("Policies", policies)):
        yield f"## {title}\n"
        for name in names:
            yield from _component(name, here[name])
    yield "## What is refused\n"
    refused = [name for name in known if name not in here]
    assert all(training_refusal(known[name]()) for name in refused)
    yield f"{ALWAYS_REFUSED}\n"
    yield from table("component", "what is told", rows=((f"`{n}`", training_refusal(known[n]())) for n in refused))


def _component(name: str, cls: type[ComponentOptions]) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{meanings.COMPONENTS[name]}\n"
    own = [f for f in _fields(cls) if not _is_shared(cls, f)]
    if own:
        yield from _keys(name, cls, own)
    else:
        yield "It has no keys.\n"


def _keys(name: str, cls: type[ComponentOptions], keys: Any) -> Iterator[str]:
    return table(
        "key",
        "default",
        "meaning",
        rows=((f"`{key}`", _default(_fields(cls)[key]), _meaning(name, key) + _choices(cls, key)) for key in keys),
    )


def _fields(cls: type[ComponentOptions]) -> "Mapping[str, dataclasses.Field[Any]]":
    return {field.name: field for field in dataclasses.fields(cls)}


def _meaning(component: str, key: str) -> str:
    return meanings.BY_COMPONENT.get((component, key)) or meanings.KEYS[key]


def _choices(cls: type[ComponentOptions], key: str) -> str:
    """The values where only some are allowed, and there is a choice."""
    hint = get_type_hints(cls)[key]
    values = [v for each in (hint, *get_args(hint)) if get_origin(each) is Literal for v in get_args(each)]
    return f" One of {', '.join(f'`{value}`' for value in values)}." if len(values) > 1 else ""


def _is_shared(cls: type[ComponentOptions], key: str) -> bool:
    """Whether it stands in the table of all networks, with the same default."""
    shared = _fields(NetworkOptions).get(key)
    if not issubclass(cls, NetworkOptions) or shared is None:
        return False
    return _value(shared) == _value(_fields(cls)[key])


def _value(field: "dataclasses.Field[Any]") -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _default(field: "dataclasses.Field[Any]") -> str:
    value = _value(field)
    if value is None or value == ():
        return ""
    return f"`{_as_yaml(value)}`"


def _as_yaml(value: Any) -> str:
    """As it would be written in the file, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_as_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _require_meanings(here: Mapping[str, type[ComponentOptions]]) -> None:
    needed = {(name, key) for name, cls in here.items() for key in _fields(cls)}
    own = set(meanings.BY_COMPONENT)
    require_same((f"{n}.{k}" for n, k in own), (f"{n}.{k}" for n, k in own & needed))
    require_same({key for name, key in needed if (name, key) not in own}, meanings.KEYS)
