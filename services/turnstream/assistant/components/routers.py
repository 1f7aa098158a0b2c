"""Options of the component that shares conversations with another engine.

https://rasa.com/docs/reference/config/components/coexistence-routers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.components.base import ComponentOptions, register

Intents = Mapping[str, tuple[str, ...] | str | None]


@register
@dataclass(frozen=True)
class IntentBasedRouterOptions(ComponentOptions):
    """Which intents begin a session with which engine; all three lists are needed, each with one intent at least."""

    component_name = "IntentBasedRouter"

    nlu_entry: Intents = field(default_factory=dict)
    calm_entry: Intents = field(default_factory=dict)

    @property
    def nlu_sticky(self) -> tuple[str, ...]:
        """Begin a session here."""
        return names_of(self.nlu_entry.get("sticky"))

    @property
    def nlu_non_sticky(self) -> tuple[str, ...]:
        """Are answered here, and decide nothing about the next message."""
        return names_of(self.nlu_entry.get("non_sticky"))

    @property
    def calm_sticky(self) -> tuple[str, ...]:
        """Begin a session with the other engine."""
        return names_of(self.calm_entry.get("sticky"))

    def find_faults(self) -> Iterator[tuple[str, str]]:
        wanted = (("nlu_entry", ("sticky", "non_sticky")), ("calm_entry", ("sticky",)))
        for key, entries in wanted:
            given = getattr(self, key)
            for entry in entries:
                if not names_of(given.get(entry)):
                    yield key, f"'{key}' needs '{entry}' with at least one intent."
            for unknown in set(given) - set(entries):
                yield key, f"'{key}' has no '{unknown}'; valid: {', '.join(entries)}."


def names_of(value: Any) -> tuple[str, ...]:
    """The intents of an entry, which may be one text; none for anything else."""
    if isinstance(value, str):
        return (value,)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list | tuple) else ()
