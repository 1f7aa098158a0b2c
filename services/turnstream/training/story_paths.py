"""The ways through stories and rules: checkpoints followed, every branch of an `or` taken."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from turnstream.assistant.domain import Domain
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problem, Problems, ProjectError
from turnstream.assistant.stories import Rule, Step, Story, UserStep, ends_open
from turnstream.dialogue.events import ActionExecuted, Event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.prediction.written import written_state
from turnstream.training.story_events import LISTEN, RULE_SNIPPET, UNPREDICTABLE, alternatives, events_of, is_listen
from turnstream.training.story_graph import Entrance, Segment, StoryGraph, graph_of, segments_of

MAX_ROUNDS = 3
"""A dialogue goes back to an earlier checkpoint fewer times than this: a segment is run up to three times in a row."""

MAX_WAYS = 100_000
"""More dialogues than this through one segment are refused."""


@dataclass(frozen=True)
class StoryPath:
    """A conversation on its way through the stories; `steps` are those it took, one branch of each `or`."""

    names: tuple[str, ...]
    dialogue: Dialogue
    location: Location
    steps: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        return " > ".join(dict.fromkeys(self.names))


def story_paths(stories: Sequence[Story], domain: Domain, problems: Problems) -> tuple[StoryPath, ...]:
    """All ways from a story's beginning to an end.

    A way that ends in a checkpoint where no story begins is kept, without a last listen. One whose checkpoint no story
    takes up, as none has a slot's value, is lost; so is a story whose checkpoint is never reached: warnings tell.
    """
    graph = graph_of([segment for story in stories if not ends_open(story.steps) for segment in segments_of(story)])
    walk = _Walk(graph, domain)
    walk.run()
    _warn(graph, walk, problems)
    return tuple(walk.finished)


def rule_events(rule: Rule, domain: Domain) -> Iterator[tuple[Event, ...]]:
    """The events of a rule, once for every choice of its `or` steps; without steps, or ending with an `or`, none."""
    if not rule.steps or ends_open(rule.steps):
        return
    for steps in itertools.product(*(alternatives(step) for step in rule.steps)):
        # Nothing is set yet where a conversation begins: the bot listens, and then the conditions come true.
        listens_first = rule.conversation_start and isinstance(steps[0], UserStep)
        events: list[Event] = [LISTEN] if listens_first else []
        for condition in rule.conditions:
            events.extend(events_of(condition, domain, None))
        if not rule.conversation_start:
            events.append(ActionExecuted(name=RULE_SNIPPET, metadata={UNPREDICTABLE: True}))
        for number, step in enumerate(steps):
            is_first = not any(isinstance(event, ActionExecuted) for event in events)
            previous = LISTEN if listens_first and number == 0 else events[-1] if events else None
            events.extend(events_of(step, domain, previous, is_first))
        if not rule.wait_for_user_input:
            events.append(ActionExecuted(name=RULE_SNIPPET))
        if not is_listen(events[-1]):
            events.append(LISTEN)
        yield tuple(events)


class _Walk:
    """Walks all dialogues through the segments at once, in rounds: a round ends where a cycle closes."""

    def __init__(self, graph: StoryGraph, domain: Domain) -> None:
        self.finished: list[StoryPath] = []
        self.entered: set[int] = set()
        self.taken: set[tuple[int, int]] = set()
        self.ends: set[int] = set()
        """Segments where some dialogue ended."""
        self._graph = graph
        self._domain = domain
        self._decisive = tuple(sorted({name for s in graph.segments for e in s.entrances for name in e.slots}))

    def run(self) -> None:
        waiting: dict[int, list[StoryPath]] = {}
        for round_number in range(MAX_ROUNDS):
            later: dict[int, list[StoryPath]] = {}
            for number in self._graph.order:
                segment = self._graph.segments[number]
                coming = waiting.pop(number, [])
                if round_number == 0 and not segment.entrances:
                    coming.append(StoryPath((), Dialogue("", self._domain), segment.location))
                if coming:
                    self.entered.add(number)
                    self._pass_on(number, self._through(segment, self._distinct(coming)), waiting, later)
            waiting = later
            if not waiting:
                return

    def used(self) -> set[int]:
        """Segments on the way of some dialogue that came to an end."""
        found: set[int] = set()
        wave = set(self.ends)
        while wave:
            found |= wave
            wave = {number for number, to in self.taken if to in wave} - found
        return found

    def _pass_on(
        self,
        number: int,
        paths: list[StoryPath],
        waiting: dict[int, list[StoryPath]],
        later: dict[int, list[StoryPath]],
    ) -> None:
        segment = self._graph.segments[number]
        passages = self._graph.passages[number]
        if not segment.exits:
            self._finish(number, [_listening(path) for path in paths])
        elif set(segment.exits) - {passage.entrance.name for passage in passages}:
            self._finish(number, paths)
        for passage in passages:
            fitting = [path for path in paths if _may_enter(path, passage.entrance)]
            if fitting:
                self.taken.add((number, passage.to))
                (later if passage.goes_back else waiting).setdefault(passage.to, []).extend(fitting)

    def _finish(self, number: int, paths: Iterable[StoryPath]) -> None:
        self.ends.add(number)
        self.finished.extend(paths)

    def _through(self, segment: Segment, paths: list[StoryPath]) -> list[StoryPath]:
        paths = [replace(path, names=(*path.names, segment.story)) for path in paths]
        for step in segment.steps:
            branches = alternatives(step)
            paths = [self._step(path, branch) for path in paths for branch in branches]
            if len(paths) > MAX_WAYS:
                message = (
                    f"Story '{segment.story}': its checkpoints and 'or' steps make more than {MAX_WAYS} dialogues."
                )
                raise ProjectError([Problem(segment.location, message, "Write fewer alternatives into one story.")])
        return paths

    def _step(self, path: StoryPath, step: Step) -> StoryPath:
        dialogue = path.dialogue.branch()
        dialogue.extend(events_of(step, self._domain, _latest(dialogue), not _has_action(dialogue)))
        return replace(path, dialogue=dialogue, steps=(*path.steps, step))

    def _distinct(self, paths: Iterable[StoryPath]) -> list[StoryPath]:
        """Dialogues that look the same to every policy and checkpoint go on as one."""
        found: dict[tuple[object, ...], StoryPath] = {}
        for path in paths:
            slots = path.dialogue.tracker.slots
            values = tuple(repr(slots.get(name)) for name in self._decisive)
            states = tuple(written_state(state) for state in path.dialogue.history().states)
            found.setdefault((values, states), path)
        return list(found.values())


def _latest(dialogue: Dialogue) -> Event | None:
    events = dialogue.events_since(dialogue.event_count - 1)
    return events[-1] if events else None


def _has_action(dialogue: Dialogue) -> bool:
    tracker = dialogue.tracker
    return bool(tracker.latest_action_name or tracker.latest_action_text)


def _listening(path: StoryPath) -> StoryPath:
    if is_listen(_latest(path.dialogue)):
        return path
    dialogue = path.dialogue.branch()
    dialogue.append(LISTEN)
    return replace(path, dialogue=dialogue)


def _may_enter(path: StoryPath, entrance: Entrance) -> bool:
    slots: Mapping[str, object] = path.dialogue.tracker.slots
    return all(slots.get(name) == value for name, value in entrance.slots.items())


def _warn(graph: StoryGraph, walk: _Walk, problems: Problems) -> None:
    """Tell which stories are lost, and at which checkpoint."""
    used = walk.used()
    ends = {name for segment in graph.segments for name in segment.exits}
    for number, segment in enumerate(graph.segments):
        if number not in walk.entered:
            missing = sorted({e.name for e in segment.entrances} - ends)
            if missing:
                why = f"no story leads to its checkpoint '{missing[0]}'"
            else:
                why = f"nothing comes in through its checkpoint '{segment.entrances[0].name}'"
            problems.warning(segment.location, f"Story '{segment.story}' is not used: {why}.")
        elif number not in used:
            names = ", ".join(f"'{name}'" for name in segment.exits)
            problems.warning(
                segment.location,
                f"Story '{segment.story}' is not used: no story goes on from its checkpoint {names}.",
                "Check the slots that those stories ask for, and that a story leads out of a cycle.",
            )
