"""What an author teaches by talking: stories, examples, and what the domain lacks for them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnstream.assistant.annotations import annotated
from turnstream.assistant.domain import (
    ACTION_LISTEN,
    ACTION_SESSION_START,
    ACTION_UNLIKELY_INTENT,
    RETRIEVAL_SEPARATOR,
    Domain,
)
from turnstream.assistant.nlu_data import Example
from turnstream.assistant.stories import Story
from turnstream.assistant.yaml_writer import Block
from turnstream.authoring.amending import amended
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    EntitiesAdded,
    Event,
    ExtractedEntity,
    SlotSet,
    UserFeaturized,
    UserUttered,
)

STORY_NAME = "interactive_story_"
_UNTOLD = frozenset({ACTION_LISTEN, ACTION_SESSION_START, ACTION_UNLIKELY_INTENT})
Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Places:
    """The files that what was learned is added to."""

    stories: Path
    nlu: Path
    domain: Path


@dataclass
class Learned:
    """Collected over a session. `responses` are the texts of new ones by name."""

    stories: list[list[Step]] = field(default_factory=list)
    examples: dict[str, list[str]] = field(default_factory=dict)
    intents: dict[str, None] = field(default_factory=dict)
    entities: dict[str, None] = field(default_factory=dict)
    actions: dict[str, None] = field(default_factory=dict)
    responses: dict[str, str] = field(default_factory=dict)

    def add_conversation(self, events: Sequence[Event], domain: Domain, known: Iterable[Example]) -> None:
        """Take a story from a conversation, and from its messages what neither `known` nor the domain has."""
        steps = list(training_steps(events, domain))
        if not any(is_message(step) for step in steps):
            return
        self.stories.append(steps)
        self.add_examples(events, domain, known)
        for event in events:
            if isinstance(event, ActionExecuted) and event.name not in (None, *domain.action_names, *self.responses):
                self.actions[event.name or ""] = None

    def add_examples(self, events: Sequence[Event], domain: Domain, known: Iterable[Example]) -> None:
        """Take from messages what neither `known` nor the domain has, whatever became of the conversation."""
        texts = {(example.text, example.intent) for example in known}
        by_text = text_messages(events)
        for index, event in enumerate(events):
            if isinstance(event, UserUttered) and index not in by_text:
                self._add_message(event, domain, texts)

    def keep_said_responses(self) -> None:
        """Forget new responses that no story says: their turn was reverted."""
        said = {step.get("action") for story in self.stories for step in story}
        self.responses = {name: text for name, text in self.responses.items() if name in said}

    def _add_message(self, event: UserUttered, domain: Domain, known: set[tuple[str, str | None]]) -> None:
        text, intent = event.text or "", _intent(event)
        base = intent.split(RETRIEVAL_SEPARATOR, 1)[0]
        if base not in domain.intents:
            self.intents[base] = None
        self.entities |= {e.entity: None for e in event.parse_data.entities if e.entity not in domain.entities}
        if text and not text.startswith("/") and (text, intent) not in known:
            example = " ".join(annotated(text, event.parse_data.entities).split())
            examples = self.examples.setdefault(intent, [])
            examples += [example] if example not in examples else []

    @property
    def told(self) -> str:
        """How much it is, in words."""
        additions = len(self.intents) + len(self.entities) + len(self.actions) + len(self.responses)
        examples = sum(map(len, self.examples.values()))
        counts = ((len(self.stories), "story", "stories"), (examples, "example", "examples"))
        parts = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
        parts += [f"{additions} addition{'s' * (additions != 1)} to the domain"] if additions else []
        return ", ".join(parts)


def save(learned: Learned, places: Places, stories: Sequence[Story]) -> list[Path]:
    """Add it to the files, which are written only once all of them can be. Raises NotAmendable, OSError."""
    texts = {path: _read(path) for path in (places.stories, places.nlu, places.domain)}
    before = dict(texts)
    for section, addition in _additions(learned, {story.name for story in stories}):
        path = {"stories": places.stories, "nlu": places.nlu}.get(section, places.domain)
        texts[path] = amended(texts[path], section, addition)
    changed = [path for path, text in texts.items() if text != before[path]]
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[path], encoding="utf-8")
    return changed


def _additions(learned: Learned, names: set[str]) -> Iterator[tuple[str, Any]]:
    titles = [f"{STORY_NAME}{n}" for n in range(1, len(names) + len(learned.stories) + 1)]
    free = [title for title in titles if title not in names]
    yield "stories", [{"story": name, "steps": steps} for name, steps in zip(free, learned.stories, strict=False)]
    yield "nlu", [{"intent": name, "examples": _lines(texts)} for name, texts in learned.examples.items()]
    yield "intents", list(learned.intents)
    yield "entities", list(learned.entities)
    yield "actions", list(learned.actions)
    yield "responses", {name: [{"text": text}] for name, text in learned.responses.items()}


def _lines(texts: Iterable[str]) -> Block:
    return Block("".join(f"- {text}\n" for text in texts))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def training_steps(events: Sequence[Event], domain: Domain) -> Iterator[Step]:
    """A conversation as a story to learn from.

    Messages by intent and entities, or by text where policies went by that; slots that influence the conversation; of
    a form only where it begins, is left and ends: what it does when all goes well needs no story
    (https://rasa.com/docs/rasa/forms#writing-stories--rules).
    """
    loop: str | None = None
    by_text = text_messages(events)
    waiting: list[Step] = []
    """A message in a form and the slots that it set: told only where something else than the form follows."""
    for index, event in enumerate(events):
        match event:
            case UserUttered():
                yield from waiting
                waiting = [by_text.get(index) or _user_step(event)]
            case SlotSet(name=name, value=value) if _influences(name, domain):
                waiting.append({"slot_was_set": [{name: value}]})
            case ActionExecuted(name=str(name)) if name == loop and _is_message(waiting):
                waiting = waiting[1:]
            case ActionExecuted(name=name) if name not in _UNTOLD:
                yield from waiting
                waiting = []
                yield {"action": name} if name else {"bot": event.action_text}
            case ActiveLoopChanged(name=name):
                yield from waiting
                waiting = []
                loop = name
                yield {"active_loop": name}
            case _:
                pass
    yield from waiting


def _is_message(steps: Sequence[Step]) -> bool:
    return bool(steps) and is_message(steps[0])


def is_message(step: Step) -> bool:
    """Whether a step of a story is something that the user says."""
    return "intent" in step or "user" in step


def text_messages(events: Sequence[Event]) -> dict[int, Step]:
    """By index, as steps of an end-to-end story: messages that policies went by the text of, not by the intent.

    With the entities that a policy found in them.
    """
    steps: dict[int, Step] = {}
    last, found = 0, tuple[ExtractedEntity, ...]()
    for index, event in enumerate(events):
        match event:
            case UserUttered(parse_data=parse):
                last, found = index, parse.entities
            case EntitiesAdded(entities=entities):
                found = (*found, *entities)
            case UserFeaturized(use_text_for_featurization=True) if isinstance(said := events[last], UserUttered):
                steps[last] = {"user": Block(annotated(said.text or "", found))}
            case _:
                pass
    return steps


def _influences(slot: str, domain: Domain) -> bool:
    return slot in domain.slots and domain.slots[slot].influence_conversation and domain.slots[slot].type != "any"


def _user_step(event: UserUttered) -> Step:
    entities = [_entity(entity) for entity in event.parse_data.entities]
    return {"intent": _intent(event)} | ({"entities": entities} if entities else {})


def _entity(entity: ExtractedEntity) -> dict[str, Any]:
    named = {"role": entity.role, "group": entity.group}
    return {entity.entity: entity.value} | {key: value for key, value in named.items() if value is not None}


def _intent(event: UserUttered) -> str:
    return event.parse_data.full_retrieval_intent_name or event.parse_data.intent.name or ""
