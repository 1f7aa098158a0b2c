"""Stories that go on differently where a policy sees the same: after the same turns, as far back as it looks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from turnstream.assistant.components import MemoizationPolicyOptions, TEDPolicyOptions, read_component
from turnstream.assistant.config import ModelConfig
from turnstream.assistant.domain import ACTION_LISTEN, ACTION_UNLIKELY_INTENT, Domain
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.assistant.stories import ActionStep, BotStep, CheckpointStep, Step, Story, UserStep
from turnstream.assistant.suggested import with_suggestions
from turnstream.dialogue.prediction.written import memory_key
from turnstream.dialogue.state import DialogueState
from turnstream.training.dialogues import TrainingDialogue, make_dialogue
from turnstream.training.story_paths import StoryPath, story_paths

HINT = "Change one of them, or let something before this point tell them apart."

TOLD_TURNS = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """What a story does next, and where it says so."""

    story: str
    action: str
    location: Location


@dataclass(frozen=True, slots=True)
class Conflict:
    """Turns after the same states, each with an action of its own; `after` is what came before, oldest first."""

    after: tuple[str, ...]
    turns: tuple[Turn, ...]


def longest_window(config: ModelConfig) -> int | None:
    """How many states the policies that learn from stories look back at most; None is the whole dialogue."""
    read = [read_component(component, Problems()) for component in with_suggestions(config).policies or ()]
    windows = [o.history_window for o in read if isinstance(o, MemoizationPolicyOptions | TEDPolicyOptions)]
    limits = [window for window in windows if window is not None]
    return max(limits) if limits and len(limits) == len(windows) else None


def find_conflicts(stories: Sequence[Story], domain: Domain, window: int | None) -> tuple[Conflict, ...]:
    """Conflicts by the order of the files. `window` is in states, one for each prediction.

    Raises ProjectError where checkpoints lead to too many ways.
    """
    found: dict[str, dict[str, Turn]] = {}
    after: dict[str, tuple[str, ...]] = {}
    for path in story_paths(stories, domain, Problems()):
        dialogue = make_dialogue(path.name, path.dialogue, path.location)
        for place, turn in _turns(path, dialogue):
            states = dialogue.states[: place + 1]
            states = states if window is None else states[-window:]
            key = memory_key(states)
            found.setdefault(key, {}).setdefault(turn.action, turn)
            after.setdefault(key, _told(states))
    conflicts = [Conflict(after[key], tuple(turns.values())) for key, turns in found.items() if len(turns) > 1]
    return tuple(sorted(conflicts, key=lambda conflict: conflict.turns[0].location))


def warn_of_conflicts(conflicts: Iterable[Conflict], problems: Problems) -> None:
    """A warning for each, at the first of its turns, that names the others."""
    for conflict in conflicts:
        first, *others = conflict.turns
        told = "; ".join(f"'{turn.story}' with '{turn.action}' ({turn.location})" for turn in others)
        latest = conflict.after[-TOLD_TURNS:]
        before = " > ".join(("...", *latest) if len(latest) < len(conflict.after) else latest)
        what = f"Stories conflict after '{before}': '{first.story}' goes on with '{first.action}', {told}."
        problems.warning(first.location, what, HINT)


def _turns(path: StoryPath, dialogue: TrainingDialogue) -> Iterator[tuple[int, Turn]]:
    places = list(_places(path.steps))
    end = path.steps[-1].location if path.steps else path.location
    for place, action in enumerate(dialogue.actions):
        # What a policy finds unlikely is no answer to the message: stories with and without it stand side by side.
        if dialogue.predictable[place] and place and action != ACTION_UNLIKELY_INTENT:
            location = places[place] if place < len(places) else end
            yield place, Turn(path.name, action, location)


def _places(steps: Iterable[Step]) -> Iterator[Location]:
    """Where each action is said. A listen that a story leaves unsaid is where the message is that it waits for."""
    listens = False
    for step in steps:
        if isinstance(step, CheckpointStep):
            continue
        if isinstance(step, UserStep) and not listens:
            yield step.location
        if isinstance(step, ActionStep | BotStep):
            yield step.location
        listens = isinstance(step, ActionStep) and step.name == ACTION_LISTEN


def _told(states: Sequence[DialogueState]) -> tuple[str, ...]:
    """What was done and said on the way, without the listens."""
    found = []
    for state in states:
        if state.previous_action == ACTION_LISTEN:
            said = state.full_retrieval_intent or state.intent or state.user_text
            found += [said] if said else []
        else:
            done = state.previous_action or state.previous_action_text
            found += [done] if done else []
    return tuple(found)
