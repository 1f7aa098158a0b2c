"""Slot types of an author's own, named by module path (https://rasa.com/docs/rasa/domain#custom-slot-types).

A class has `feature_dimensionality()`, `as_feature()` and an attribute `value`. One that was written against
`rasa.shared.core.slots` works unchanged: where Rasa is not installed, `rasa_slots` stands in for that module.
"""

import importlib
import importlib.util
import inspect
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from types import ModuleType
from typing import Any, Protocol

from turnstream.assistant import domain
from turnstream.dialogue.rasa_slots import OFFERED, CategoricalSlot

_IMPORT_LOCK = RLock()


class SlotClassError(Exception):
    """A custom slot class cannot be imported, created or asked; says which, and what to do."""


class SlotInstance(Protocol):
    value: Any

    def feature_dimensionality(self) -> int: ...

    def as_feature(self) -> Any: ...


def load_class(path: str) -> type[Any]:
    """Import `module.ClassName`. Raises SlotClassError that says what is missing."""
    module_name, _, class_name = path.rpartition(".")
    if not module_name:
        raise SlotClassError(
            f"'{path}' is no slot type; one of {', '.join(domain.SLOT_TYPES)}, or the module path of a class."
        )
    with _IMPORT_LOCK, _slots_module_of_rasa():
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            hint = "run in the project's folder, or put the module's folder on PYTHONPATH"
            if (error.name or "").partition(".")[0] == "rasa":
                hint = f"of Rasa only these of rasa.shared.core.slots are there: {', '.join(OFFERED)}"
            raise SlotClassError(f"slot type '{path}' cannot be imported ({error}); {hint}.") from error
        except Exception as error:
            raise SlotClassError(f"slot type '{path}': importing {module_name} failed: {error!r}") from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type):
        raise SlotClassError(f"slot type '{path}': module {module_name} has no class {class_name}.")
    return found


def instantiate(slot: "domain.Slot") -> SlotInstance:
    """Create the slot's class with the arguments that Rasa gives it. Raises SlotClassError."""
    slot_class = load_class(slot.type)
    for method in ("feature_dimensionality", "as_feature"):
        if not callable(getattr(slot_class, method, None)):
            raise SlotClassError(f"slot '{slot.name}': class {slot.type} needs a method {method}().")
    arguments: dict[str, Any] = dict(slot.options)
    if slot.initial_value is not None:
        arguments["initial_value"] = slot.initial_value
    if _wants_influence(slot_class):
        arguments.setdefault("influence_conversation", slot.influence_conversation)
    try:
        instance: SlotInstance = slot_class(
            slot.name, mappings=[{"type": mapping.type} for mapping in slot.mappings], **arguments
        )
        if isinstance(instance, CategoricalSlot):
            instance.add_default_value()
    except Exception as error:
        raise SlotClassError(f"slot '{slot.name}': class {slot.type} cannot be created: {error!r}") from error
    return instance


def _wants_influence(slot_class: type[Any]) -> bool:
    """A class may have a default of its own, which counts where the domain is silent."""
    parameter = inspect.signature(slot_class).parameters.get("influence_conversation")
    return parameter is not None and parameter.default is inspect.Parameter.empty


@contextmanager
def _slots_module_of_rasa() -> Iterator[None]:
    """While an author's module is imported, `rasa.shared.core.slots` is there even without Rasa."""
    if importlib.util.find_spec("rasa") is not None:
        yield
        return
    names = ("rasa", "rasa.shared", "rasa.shared.core", "rasa.shared.core.slots")
    modules = [ModuleType(name) for name in names]
    for parent, child in itertools.pairwise(modules):
        parent.__path__ = []
        setattr(parent, child.__name__.rpartition(".")[2], child)
    vars(modules[-1]).update(OFFERED)
    sys.modules.update({module.__name__: module for module in modules})
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
