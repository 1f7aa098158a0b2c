"""Loops that the domain does not have: nothing could run them, so they must not be the active one."""

from collections.abc import Iterable

from turnstream.assistant.domain import Domain
from turnstream.assistant.problems import nearest
from turnstream.dialogue.events import ActiveLoopChanged, Event


def without_unknown_loops(events: Iterable[Event], domain: Domain) -> tuple[list[Event], list[str]]:
    """The events without those that activate an unknown loop, and what is wrong with each of these."""
    kept: list[Event] = []
    wrong: list[str] = []
    for event in events:
        if not isinstance(event, ActiveLoopChanged) or event.name is None or event.name in domain.loops:
            kept.append(event)
        else:
            hint = nearest(event.name, domain.forms)
            wrong.append(f"an event was left out: the domain has no form '{event.name}'. {hint}".rstrip())
    return kept, wrong
