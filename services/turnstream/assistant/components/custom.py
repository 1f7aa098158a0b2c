"""A component of the author's own, which a config names by its module path."""

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.components.base import ComponentOptions, register
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.problems import Problems

HOW_TO = "Write it as docs/custom-components.md shows."


class CustomComponentError(ValueError):
    """A module path names no component that can be used; the text says why."""


@register
@dataclass(frozen=True)
class CustomComponentOptions(ComponentOptions):
    """`path` is the component's name in the config, such as `my_module.MyComponent`; `options` are its other keys."""

    component_name = "custom component"

    path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def read_custom_component(config: ComponentConfig, problems: Problems) -> CustomComponentOptions | None:
    """None and an error in `problems` where the class cannot be loaded or is no component."""
    try:
        load_class(config.name)
    except CustomComponentError as error:
        what = f"The custom component '{config.name}' cannot be loaded."
        problems.error(config.location, what, f"{error} {HOW_TO}")
        return None
    return CustomComponentOptions(config.name, dict(config.options))


def load_class(path: str) -> Any:
    """The class that a module path names; modules are looked for in the working folder, too.

    Raises CustomComponentError, also where the class is a graph component of Rasa, which has another interface.
    """
    module_name, _, name = path.rpartition(".")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "rasa":
            raise CustomComponentError("It is written for Rasa's graph, which is not here.") from error
        raise CustomComponentError(f"{error}.") from error
    except AttributeError as error:
        raise CustomComponentError(f"The module '{module_name}' has no '{name}'.") from error
    except Exception as error:
        raise CustomComponentError(f"Importing '{module_name}' failed: {error!r}.") from error
    if any(base.__module__.split(".")[0] == "rasa" for base in getattr(found, "__mro__", ())):
        raise CustomComponentError("It is a graph component of Rasa, which has another interface.")
    if not isinstance(found, type) or not callable(getattr(found, "process", None)):
        raise CustomComponentError("It is no class with a method 'process'.")
    return found
