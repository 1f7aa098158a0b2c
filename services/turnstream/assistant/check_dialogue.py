"""Whether stories and rules speak of things that exist."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from turnstream.assistant.components import RulePolicyOptions, read_options
from turnstream.assistant.domain import (
    RESPONSE_PREFIX,
    RETRIEVAL_SEPARATOR,
    SESSION_METADATA_SLOT,
    SLOT_TYPES_THAT_NEED_A_VALUE,
    Domain,
)
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems, closest, nearest
from turnstream.assistant.project import Project
from turnstream.assistant.stories import (
    ActionStep,
    ActiveLoopStep,
    CheckpointStep,
    OrStep,
    Rule,
    SlotStep,
    Step,
    Story,
    UserStep,
)

RULE_SNIPPET_ACTION = "..."
STORY_START = "STORY_START"
BUILT_IN = frozenset((RULE_SNIPPET_ACTION, SESSION_METADATA_SLOT))


def check_dialogue(project: Project, problems: Problems) -> None:
    """Errors for names that do not exist and rules with several messages; warnings for checkpoints."""
    names = _Names(project.domain, problems)
    dialogues: tuple[Story | Rule, ...] = (*project.stories, *project.rules)
    for dialogue in dialogues:
        kind = "rule" if isinstance(dialogue, Rule) else "story"
        conditions = dialogue.conditions if isinstance(dialogue, Rule) else ()
        for step in (*conditions, *dialogue.steps):
            names.check(step, f"The {kind} '{dialogue.name}'")
    _check_rule_lengths(project, problems)
    _check_checkpoints(project.stories, problems)


class _Names:
    """Looks names of steps up in the domain."""

    def __init__(self, domain: Domain, problems: Problems) -> None:
        self._domain = domain
        self._problems = problems
        self._actions = {*domain.action_names, RULE_SNIPPET_ACTION}
        self._intents = set(domain.intents)
        self._entities = set(domain.entities)
        self._slots = set(domain.slots)

    def check(self, step: Step, what: str) -> None:
        """Errors for the names in a step that the domain does not have."""
        if isinstance(step, UserStep):
            self._check_user(step, what)
        elif isinstance(step, ActionStep):
            self._check_action(step, what)
        elif isinstance(step, SlotStep):
            self._look_up("slot", step.name, self._slots, step.location, what)
            self._check_value(step, what)
        elif isinstance(step, ActiveLoopStep) and step.name is not None:
            self._look_up("form", step.name, self._actions, step.location, what)
        elif isinstance(step, CheckpointStep):
            for name in step.slots:
                self._look_up("slot", name, self._slots, step.location, what)
        elif isinstance(step, OrStep):
            for alternative in step.alternatives:
                self.check(alternative, what)

    def _look_up(self, kind: str, name: str, known: set[str], location: Location, what: str) -> None:
        if name not in known:
            message = f"{what} names the {kind} '{name}', which is not in the domain."
            close = closest(name, known - BUILT_IN)
            section = "entities" if kind == "entity" else f"{kind}s"
            hint = f"Did you mean '{close}'?" if close is not None else f"Add it to '{section}' in the domain."
            self._problems.error(location, message, hint)

    def _check_value(self, step: SlotStep, what: str) -> None:
        slot = self._domain.slots.get(step.name)
        if step.by_name_only and slot is not None and slot.type in SLOT_TYPES_THAT_NEED_A_VALUE:
            message = f"{what} names the {slot.type} slot '{slot.name}' without a value: that means that it is not set."
            self._problems.warning(step.location, message, f"Write '{slot.name}: VALUE', or '{slot.name}: null'.")

    def _check_user(self, step: UserStep, what: str) -> None:
        if step.intent is not None:
            base = step.intent.split(RETRIEVAL_SEPARATOR, 1)[0]
            if step.intent not in self._intents:
                self._look_up("intent", base, self._intents, step.location, what)
        for entity in step.entities:
            self._look_up("entity", entity.entity, self._entities, step.location, what)

    def _check_action(self, step: ActionStep, what: str) -> None:
        if step.name in self._actions:
            return
        kind = "response" if step.name.startswith(RESPONSE_PREFIX) else "action"
        self._look_up(kind, step.name, self._actions, step.location, what)


def _check_rule_lengths(project: Project, problems: Problems) -> None:
    """Rules hold one user message, unless the RulePolicy's `restrict_rules` is false."""
    for component in project.config.policies or ():
        if component.name == RulePolicyOptions.component_name:
            options = read_options(RulePolicyOptions, component, Problems())
            if isinstance(options, RulePolicyOptions) and not options.restrict_rules:
                return
    for rule in project.rules:
        messages = [step for step in rule.steps if _is_message(step)]
        if len(messages) > 1:
            message = f"The rule '{rule.name}' has {len(messages)} user messages; a rule has one."
            problems.error(messages[1].location, message, "Use a story.")


def _is_message(step: Step) -> bool:
    if isinstance(step, OrStep):
        return any(isinstance(alternative, UserStep) for alternative in step.alternatives)
    return isinstance(step, UserStep)


def _check_checkpoints(stories: Iterable[Story], problems: Problems) -> None:
    """Warnings for stories that nothing leads to, that lead nowhere, and for cycles."""
    starts: dict[str, Location] = {}
    ends: dict[str, Location] = {}
    links: dict[str, set[str]] = defaultdict(set)
    for story in stories:
        for start, end in _links(story):
            if start is not None and start.name != STORY_START:
                starts.setdefault(start.name, start.location)
            if end is not None:
                ends.setdefault(end.name, end.location)
                links[STORY_START if start is None else start.name].add(end.name)
    reached = _reached(links)
    for name, location in starts.items():
        if name not in reached:
            message = f"No story leads to the checkpoint '{name}': what follows is never used."
            problems.warning(location, message, nearest(name, ends) if name not in ends and ends else "")
    for name, location in ends.items():
        if name not in starts:
            message = f"No story starts with the checkpoint '{name}': the story ends here."
            problems.warning(location, message, nearest(name, starts) if starts else "")
    for cycle in _cycles({name: links[name] for name in links if name in reached}):
        message = f"The checkpoints {' -> '.join((*cycle, cycle[0]))} form a cycle: it is followed up to three times."
        problems.warning(starts[cycle[0]], message)


def _reached(links: dict[str, set[str]]) -> set[str]:
    """The checkpoints that can be reached from the beginning of a conversation."""
    found: set[str] = set()
    waiting = [STORY_START]
    while waiting:
        new = links.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _links(story: Story) -> Iterator[tuple[CheckpointStep | None, CheckpointStep | None]]:
    """The parts of a story between checkpoints, as (checkpoint before, checkpoint after)."""
    before: CheckpointStep | None = None
    has_part = False
    for step in story.steps:
        if not isinstance(step, CheckpointStep):
            has_part = True
            continue
        if has_part or before is not None:
            yield before, step
        before, has_part = step, False
    if has_part:
        yield before, None


def _cycles(links: dict[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """Each cycle once, found from its alphabetically first checkpoint."""
    for start in sorted(links):
        path = _path_back(start, links)
        if path is not None and min(path) == start:
            yield path


def _path_back(start: str, links: dict[str, set[str]]) -> tuple[str, ...] | None:
    """A shortest path from `start` back to itself, without the repeated end."""
    paths: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    for path in paths:
        for name in sorted(links.get(path[-1], ())):
            if name == start:
                return path
            if name not in seen:
                seen.add(name)
                paths.append((*path, name))
    return None
