"""The options of a pipeline component or policy: typed, checked against the keys that its name knows.

The names and defaults are those of https://rasa.com/docs/rasa/components and https://rasa.com/docs/rasa/policies.
"""

import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.problems import Problems, nearest

ANY_COMPONENT_KEYS = ("finetuning_epoch_fraction",)
"""Keys that may stand in every component; `finetuning_epoch_fraction` is written by `train --finetune`."""


@dataclass(frozen=True)
class ComponentOptions:
    """Base of all options. A field is a key of the component, spelled as in the author's file."""

    component_name: ClassVar[str] = ""
    ignored_keys: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions without effect today, each with what to tell the author."""
    refusal: ClassVar[str] = ""
    """Why this component cannot be trained without a model that is not here, and what to do; empty where it can."""

    def find_faults(self) -> Iterator[tuple[str, str]]:
        """Yield (key, what is wrong) for values of the right type that still cannot work."""
        return iter(())


@dataclass(frozen=True)
class PolicyOptions(ComponentOptions):
    """Base of the policies; at equal confidence the higher `priority` wins."""

    priority: int = 1


OptionsT = TypeVar("OptionsT", bound=type[ComponentOptions])
_REGISTRY: dict[str, type[ComponentOptions]] = {}


def register(cls: OptionsT) -> OptionsT:
    """Class decorator: make the options known under their `component_name`."""
    _REGISTRY[cls.component_name] = cls
    return cls


def known_components() -> Mapping[str, type[ComponentOptions]]:
    """All options classes by component name, pipeline components and policies together."""
    return types.MappingProxyType(_REGISTRY)


def read_options(cls: type[ComponentOptions], config: ComponentConfig, problems: Problems) -> ComponentOptions | None:
    """Read the written keys into `cls`; every unknown key and wrong value becomes an error."""
    errors_before = len(problems.errors)
    values: dict[str, Any] = {}
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for key, given in config.options.items():
        location = config.option_locations.get(key, config.location)
        if key in fields:
            try:
                values[key] = _converted(cls, fields[key], given)
            except TypeError as error:
                problems.error(location, f"{cls.component_name}: '{key}' must be {error}, not {given!r}.")
        elif key in cls.ignored_keys:
            problems.warning(location, f"{cls.component_name}: '{key}' has no effect.", cls.ignored_keys[key])
        elif key not in ANY_COMPONENT_KEYS:
            known = [*fields, *ANY_COMPONENT_KEYS]
            problems.error(location, f"{cls.component_name} has no key '{key}'.", nearest(str(key), known))
    if len(problems.errors) > errors_before:
        return None
    options = cls(**values)
    for key, fault in options.find_faults():
        problems.error(config.option_locations.get(key, config.location), f"{cls.component_name}: {fault}")
    return options if len(problems.errors) == errors_before else None


def options_to_json(options: ComponentOptions) -> dict[str, Any]:
    """All values as JSON, with the component's name under `name`."""
    values = {f.name: _plain(getattr(options, f.name)) for f in dataclasses.fields(options)}
    return {"name": options.component_name, **values}


def options_from_json(data: Mapping[str, Any]) -> ComponentOptions:
    """The inverse of `options_to_json`. Raises ValueError for an unknown name, key or value."""
    name = data.get("name")
    cls = _REGISTRY.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"Unknown component {name!r} in stored options.")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values = {key: value for key, value in data.items() if key != "name"}
    if unknown := sorted(set(values) - set(fields)):
        raise ValueError(f"Unknown keys {unknown} in the stored options of {name}.")
    try:
        return cls(**{key: _converted(cls, fields[key], value) for key, value in values.items()})
    except TypeError as error:
        raise ValueError(f"The stored options of {name} are damaged: expected {error}.") from error


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _converted(cls: type[ComponentOptions], field: "dataclasses.Field[Any]", value: Any) -> Any:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    hashable: Any = cls
    hint = _hints(hashable)[field.name]
    if isinstance(default, Mapping) and default:
        if isinstance(value, Mapping):
            return {**default, **_convert(hint, value)}
        element = get_args(hint)[1]
        return {key: _convert(element, value) for key in default}
    return _convert(hint, value)


def _convert(hint: Any, value: Any) -> Any:
    """Give `value` as `hint` wants it; raises TypeError whose text says what was expected."""
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value)
    if origin is Literal:
        if value in get_args(hint) and not isinstance(value, bool):
            return value
        raise TypeError(" or ".join(repr(a) for a in get_args(hint)))
    if origin is tuple:
        return _convert_sequence(hint, value)
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise TypeError("a mapping")
        element = get_args(hint)[1]
        return {str(key): _convert(element, item) for key, item in value.items()}
    return _convert_scalar(hint, value)


def _convert_union(hint: Any, value: Any) -> Any:
    expected: list[str] = []
    for option in get_args(hint):
        try:
            return _convert(option, value)
        except TypeError as error:
            expected.append(str(error))
    raise TypeError(" or ".join(expected))


def _convert_sequence(hint: Any, value: Any) -> tuple[Any, ...]:
    arguments = get_args(hint)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError("a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(arguments[0], item) for item in value)
    if len(arguments) != len(value):
        raise TypeError(f"a list of {len(arguments)}")
    return tuple(_convert(argument, item) for argument, item in zip(arguments, value, strict=True))


_SCALARS: Mapping[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a text", (str,)),
    types.NoneType: ("null", (types.NoneType,)),
}


def _convert_scalar(hint: Any, value: Any) -> Any:
    expected, accepted = _SCALARS[hint]
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise TypeError(expected)
    return float(str(value)) if hint is float else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
