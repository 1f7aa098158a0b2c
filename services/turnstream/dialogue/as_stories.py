"""A conversation as stories in the test conversation format, one for each session.

Format: https://rasa.com/docs/rasa/testing-your-assistant#writing-test-stories.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import yaml

from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SESSION_START, ACTION_UNLIKELY_INTENT
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    Event,
    ExtractedEntity,
    SlotSet,
    UserUttered,
)

FORMAT_VERSION = "3.1"
_UNTOLD = frozenset({ACTION_LISTEN, ACTION_SESSION_START, ACTION_UNLIKELY_INTENT})
_KEYS = ("value", "role", "group")
Step = dict[str, Any]


def stories_yaml(name: str, sessions: Iterable[Sequence[Event]]) -> str:
    """Sessions in which nobody said anything are left out; several are numbered. Empty where there is no story."""
    told = [steps for steps in (list(story_steps(events)) for events in sessions) if any("intent" in s for s in steps)]
    if not told:
        return ""
    names = [name] if len(told) == 1 else [f"{name}, story {number}" for number in range(1, len(told) + 1)]
    stories = [{"story": title, "steps": steps} for title, steps in zip(names, told, strict=True)]
    content = {"version": FORMAT_VERSION, "stories": stories}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)


def sessions_of(events: Iterable[Event]) -> list[list[Event]]:
    """The events cut before each start of a session."""
    sessions: list[list[Event]] = [[]]
    for event in events:
        if isinstance(event, ActionExecuted) and event.name == ACTION_SESSION_START and sessions[-1]:
            sessions.append([])
        sessions[-1].append(event)
    return sessions


def story_steps(events: Iterable[Event]) -> Iterator[Step]:
    """The steps of one session's events, without listens and starts of sessions."""
    slots: list[dict[str, Any]] = []
    for event in events:
        if isinstance(event, SlotSet):
            slots.append({event.name: event.value})
            continue
        step = _step(event)
        if step is not None:
            if slots:
                yield {"slot_was_set": slots}
                slots = []
            yield step
    if slots:
        yield {"slot_was_set": slots}


def _step(event: Event) -> Step | None:
    match event:
        case UserUttered():
            return _user_step(event)
        case ActionExecuted(name=None, action_text=str(text)):
            return {"bot": text}
        case ActionExecuted(name=str(name)) if name not in _UNTOLD:
            return {"action": name}
        case ActiveLoopChanged(name=name):
            return {"active_loop": name}
        case _:
            return None


def _user_step(event: UserUttered) -> Step:
    parse = event.parse_data
    step: Step = {"intent": parse.full_retrieval_intent_name or parse.intent.name or ""}
    if event.text:
        step["user"] = _Block(annotated(event.text, parse.entities))
    return step


def annotated(text: str, entities: Iterable[ExtractedEntity]) -> str:
    """`to [Berlin](city)`. Entities without a place in the text, and those within another, are left out."""
    parts: list[str] = []
    position = 0
    placed = (e for e in entities if e.start is not None and e.end is not None)
    for entity in sorted(placed, key=lambda e: e.start or 0):
        assert entity.start is not None
        assert entity.end is not None
        if not position <= entity.start < entity.end <= len(text):
            continue
        words = text[entity.start : entity.end]
        parts += (text[position : entity.start], _annotation(words, entity))
        position = entity.end
    return "".join(parts) + text[position:]


def _annotation(words: str, entity: ExtractedEntity) -> str:
    found = {"value": None if entity.value == words else entity.value, "role": entity.role, "group": entity.group}
    given = {key: found[key] for key in _KEYS if found[key] is not None}
    if not given:
        return f"[{words}]({entity.entity})"
    return f"[{words}]{json.dumps({'entity': entity.entity, **given}, ensure_ascii=False)}"


class _Block(str):
    """A text that is written as a block, so that no character of it needs escaping."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, indentless)


def _represent_block(dumper: yaml.SafeDumper, text: _Block) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(_Block, _represent_block)
