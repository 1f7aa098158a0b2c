"""A conversation up to a turn as a story: to test with, or to learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from turnstream.assistant.files import is_test_file
from turnstream.assistant.yaml_writer import training_yaml
from turnstream.authoring.amending import NotAmendable, amended
from turnstream.authoring.learned import is_message, text_messages, training_steps
from turnstream.dialogue.as_stories import sessions_of, story_steps
from turnstream.dialogue.events import Event, UserUttered
from turnstream.dialogue.fold import Dialogue
from turnstream.inspector.project_files import Change, ProjectFiles
from turnstream.runtime.errors import Conflict, InvalidRequest

KINDS = ("test", "story")


@dataclass(frozen=True, slots=True)
class Retold:
    """`kind` is `test`, with the user's texts, or `story`."""

    name: str
    kind: str
    steps: tuple[dict[str, Any], ...]

    @property
    def story(self) -> dict[str, Any]:
        return {"story": self.name, "steps": list(self.steps)}

    @property
    def yaml(self) -> str:
        return training_yaml(stories=[self.story])


def retold(dialogue: Dialogue, name: str, kind: str) -> Retold:
    """The latest session, without what was taken back. Raises InvalidRequest where nobody said anything in it."""
    session = sessions_of(dialogue.applied_events())[-1]
    steps = _tested(session) if kind == "test" else training_steps(session, dialogue.domain)
    found = tuple(steps)
    if not any(is_message(step) for step in found):
        raise InvalidRequest("nobody has said anything up to this turn: there is no story to tell")
    return Retold(name, kind, found)


def _tested(session: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """The texts of messages that were taken by their text are all that such a message is."""
    by_text = text_messages(session)
    messages = (by_text.get(index) for index, event in enumerate(session) if isinstance(event, UserUttered))
    for step in story_steps(session):
        told = next(messages) if is_message(step) else None
        yield told or step


def added_story(files: ProjectFiles, story: Retold, file: str | None) -> Change:
    """What the file would be; nothing is written yet. Raises InvalidRequest, Forbidden, Conflict."""
    path = files.place(file or files.home_of_stories(tests=story.kind == "test"))
    name = files.shown(path)
    if is_test_file(path) != (story.kind == "test"):
        wanted = "begin with 'test_'" if story.kind == "test" else "not begin with 'test_'"
        raise InvalidRequest(f"the name of a file with {_PLURAL[story.kind]} must {wanted}, which {name} does not do")
    before = files.read(path)
    if story.name in _names(before):
        raise Conflict(f"{name} has a story '{story.name}' already: choose another name")
    try:
        return files.change(path, before, amended(before, "stories", [story.story]))
    except NotAmendable as error:
        raise Conflict(f"{name} cannot be added to: {error}") from error


_PLURAL = {"test": "test stories", "story": "stories"}


def _names(text: str) -> set[str]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return set()
    stories = content.get("stories") if isinstance(content, dict) else None
    return {str(s.get("story")) for s in stories or () if isinstance(s, dict)} if isinstance(stories, list) else set()
