"""What memorised stories say about the next action (https://rasa.com/docs/rasa/policies#memoization-policy)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from turnstream.assistant.domain import ACTION_LISTEN
from turnstream.dialogue.prediction.written import memory_key
from turnstream.dialogue.state import DialogueHistory, DialogueState, SlotFeature


@dataclass(frozen=True, slots=True)
class Memory:
    """A remembered action and the story that it comes from."""

    action: str
    story: str = ""


@dataclass(frozen=True)
class MemoryTable:
    """Actions by the digest of the states before them.

    `max_history` is how many latest states count, None for all. `longest` is the largest number of states remembered.
    """

    max_history: int | None
    longest: int
    memories: Mapping[str, Memory]

    @property
    def window(self) -> int:
        """How many of the latest states a lookup needs: a longer conversation equals nothing that is remembered."""
        return (self.max_history if self.max_history is not None else self.longest) + 1

    def recall(self, history: DialogueHistory) -> Memory | None:
        """The action after exactly these states."""
        states = history.states
        if self.max_history is not None:
            states = states[-self.max_history :]
        elif history.first_index > 0:
            return None
        return self._recall(states)

    def recall_shorter(
        self, history: DialogueHistory, initial: Sequence[SlotFeature] = (), *, is_answered: bool = False
    ) -> Memory | None:
        """Forget the beginning, one action after the other, until the rest is remembered.

        What was set in the forgotten part is forgotten too; slots fall back to `initial`, their initial features.
        `is_answered`: an action that the history does not show has answered the latest message.
        """
        for states in forgetting(_latest(history, self.window), initial, is_answered=is_answered):
            if self.max_history is not None:
                states = states[-self.max_history :]
            found = self._recall(states)
            if found is not None:
                return found
        return None

    def _recall(self, states: Sequence[DialogueState]) -> Memory | None:
        if not 0 < len(states) <= self.longest:
            return None
        return self.memories.get(memory_key(states))

    def to_json(self) -> dict[str, Any]:
        memories = {key: [memory.action, memory.story] for key, memory in self.memories.items()}
        return {"max_history": self.max_history, "longest": self.longest, "memories": memories}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MemoryTable:
        """The inverse of `to_json`. Raises KeyError where a part is missing."""
        memories = {key: Memory(action, story) for key, (action, story) in data["memories"].items()}
        return cls(data["max_history"], data["longest"], memories)


def by_intent(history: DialogueHistory) -> DialogueHistory:
    """The history whose latest message, where it was just said, counts by its intent and not by its text."""
    if not history.states or history.states[-1].previous_action != ACTION_LISTEN:
        return history
    last = replace(history.states[-1], user_text=None)
    return replace(history, states=(*history.states[:-1], last))


def forgetting(
    history: DialogueHistory, initial: Sequence[SlotFeature] = (), *, is_answered: bool = False
) -> Iterator[tuple[DialogueState, ...]]:
    """The states of the conversation had it begun with its first, second, ... action; longest first.

    Of beginnings before the history's first state only those count that make it forget a slot.
    """
    begin = DialogueState(slots=tuple(initial))
    said, looped = _said_at(history, is_answered=is_answered), _looped_since(history)
    places = range(len(history.states))
    for index in (*_earlier_beginnings(history), *range(history.first_index + 1, history.first_index + len(places))):
        kept = [
            _forget(history.states[i], index, said[i], looped[i], initial)
            for i in places
            if history.first_index + i >= index
        ]
        yield (begin, *kept)


def _latest(history: DialogueHistory, count: int) -> DialogueHistory:
    cut = max(len(history.states) - count, 0)
    return DialogueHistory(history.states[cut:], history.first_index + cut)


def _earlier_beginnings(history: DialogueHistory) -> list[int]:
    """Indices before the history's first state; a slot set just before one of them is forgotten there."""
    since = {slot.since_index + 1 for state in history.states for slot in state.slots if slot.since_index >= 0}
    return sorted(index for index in since if index <= history.first_index)


def _forget(state: DialogueState, index: int, said: int, looped: int, initial: Sequence[SlotFeature]) -> DialogueState:
    """The state as it would be had the conversation's state number `index` been its second."""
    slots = {slot.name: slot for slot in initial}
    slots |= {slot.name: slot for slot in state.slots if slot.since_index >= index}
    changes: dict[str, Any] = {"slots": tuple(slots[name] for name in sorted(slots))}
    if said < index:
        changes |= {"intent": None, "full_retrieval_intent": None, "entities": (), "user_text": None}
    if looped < index:
        changes["active_loop"] = None
    return replace(state, **changes)


def _said_at(history: DialogueHistory, *, is_answered: bool) -> list[int]:
    """For each state the index of the state in which its message was new; the first one's where that was cut off."""
    found: list[int] = []
    latest = history.first_index
    last = len(history.states) - 1
    for place, state in enumerate(history.states):
        # After a turn that only rules see, the last state shows the action and the message before that turn.
        if state.previous_action == ACTION_LISTEN and not (is_answered and place == last):
            latest = history.first_index + place
        found.append(latest)
    return found


def _looped_since(history: DialogueHistory) -> list[int]:
    """For each state the index of the first of the states with its loop; that of the first where it was cut off."""
    found: list[int] = []
    since, loop = history.first_index, None
    for place, state in enumerate(history.states):
        if place and state.active_loop != loop:
            since = history.first_index + place
        loop = state.active_loop
        found.append(since)
    return found
