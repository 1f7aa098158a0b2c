"""A conversation as stories in the test conversation format, one for each session.

Format: https://rasa.com/docs/rasa/testing-your-assistant#writing-test-stories.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from turnstream.assistant.annotations import annotated
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_SESSION_START, ACTION_UNLIKELY_INTENT
from turnstream.assistant.yaml_writer import Block, training_yaml
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    Event,
    SlotSet,
    UserUttered,
)

_UNTOLD = frozenset({ACTION_LISTEN, ACTION_SESSION_START, ACTION_UNLIKELY_INTENT})
Step = dict[str, Any]


def stories_yaml(name: str, sessions: Iterable[Sequence[Event]]) -> str:
    """Sessions without any step are left out; several are numbered. The format's version alone where there is none."""
    told = [steps for steps in (list(story_steps(events)) for events in sessions) if steps]
    if not told:
        return training_yaml()
    names = [name] if len(told) == 1 else [f"{name}, story {number}" for number in range(1, len(told) + 1)]
    stories = [{"story": title, "steps": steps} for title, steps in zip(names, told, strict=True)]
    return training_yaml(stories=stories)


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
        step["user"] = Block(annotated(event.text, parse.entities))
    return step
