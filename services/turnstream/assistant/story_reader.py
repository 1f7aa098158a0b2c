"""Stories, rules and test stories.

A step of a test story has a text beside its intent; the text may carry entity annotations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.annotations import parse_annotations
from turnstream.assistant.fields import Fields, list_of, shown
from turnstream.assistant.problems import Problems, nearest
from turnstream.assistant.stories import (
    ActionStep,
    ActiveLoopStep,
    BotStep,
    CheckpointStep,
    OrStep,
    Rule,
    SlotStep,
    Step,
    Story,
    StoryEntity,
    TestStory,
    UserStep,
    ends_open,
)
from turnstream.assistant.yaml_nodes import Node

STEP_KEYS = (
    "intent",
    "user",
    "entities",
    "action",
    "bot",
    "slot_was_set",
    "active_loop",
    "checkpoint",
    "or",
)
RULE_KEYS = ("rule", "steps", "condition", "conversation_start", "wait_for_user_input", "metadata")
STORY_KEYS = ("story", "steps", "metadata")
ENTITY_KEYS = ("role", "group")
KEYS_OF_A_STEP = {
    "user": ("intent", "user", "entities"),
    "or": ("or",),
    "action": ("action",),
    "bot": ("bot",),
    "checkpoint": ("checkpoint", "slot_was_set"),
    "slot_was_set": ("slot_was_set",),
    "active_loop": ("active_loop",),
}


@dataclass(slots=True)
class StoryCollector:
    """Gathers stories and rules over all files, in file order."""

    problems: Problems
    stories: list[Story] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    tests: list[TestStory] = field(default_factory=list)

    def read_file(self, root: Node, *, is_test: bool) -> None:
        """Read the sections `stories` and `rules` of a file."""
        mapping = root.mapping or {}
        for key in ("stories", "rules"):
            node = mapping.get(key)
            if node is None:
                continue
            if node.value is None:
                self.problems.warning(root.key_location(key), f"'{key}' is empty.")
                continue
            for item in list_of(node, f"'{key}'", self.problems):
                self._read_item(item, "rule" if key == "rules" else "story", is_test=is_test)

    def _read_item(self, item: Node, kind: str, *, is_test: bool) -> None:
        fields = Fields.of(item, f"A {kind}", None, self.problems)
        if fields is None:
            return
        other, section = ("story", "stories") if kind == "rule" else ("rule", "rules")
        if other in fields and kind not in fields:
            self.problems.error(fields.at(other), f"A {other} must be in '{section}'.", "Move it there.")
            return
        fields.refuse_unknown(RULE_KEYS if kind == "rule" else STORY_KEYS)
        name = self._name_of(kind, fields)
        if name is None:
            return
        fields.what = f"The {kind} '{name}'"
        steps = tuple(self._read_steps(fields, is_rule=kind == "rule"))
        conditions = tuple(self._read_conditions(fields)) if kind == "rule" else ()
        if not steps:
            self.problems.warning(item.location, f"{fields.what} has no steps and is skipped.")
            return
        if ends_open(steps):
            what = f"{fields.what} ends with an 'or': nothing is learned of it."
            self.problems.warning(item.location, what, "Add an action.")
        if is_test:
            self.tests.append(TestStory(name, steps, item.location))
        if kind == "rule":
            self.rules.append(_rule(name, steps, conditions, fields))
        else:
            self.stories.append(Story(name, steps, item.location))

    def _name_of(self, kind: str, fields: Fields) -> str | None:
        if kind not in fields or fields.has_value(kind):
            return fields.text(kind, required=True)
        self.problems.warning(fields.location, f"A {kind} has no name.", f"Name it: '- {kind}: ...'.")
        return f"in line {fields.location.line}"

    def _read_conditions(self, fields: Fields) -> Iterator[SlotStep | ActiveLoopStep]:
        for node in list_of(fields.get("condition"), f"{fields.what}: 'condition'", self.problems):
            known = ("slot_was_set", "active_loop")
            condition = Fields.of(node, f"{fields.what}: a condition", known, self.problems)
            if condition is None:
                continue
            if len(list(condition)) > 1:
                message = f"{fields.what}: a condition has more than one key."
                self.problems.error(condition.location, message, "Write two conditions.")
            if "active_loop" in condition:
                yield self._active_loop(condition)
            if "slot_was_set" in condition:
                yield from self._slots(condition)

    def _read_steps(self, fields: Fields, *, is_rule: bool) -> Iterator[Step]:
        node = fields.get("steps")
        if node is None or node.value is None:
            return
        for item in list_of(node, f"{fields.what}: 'steps'", self.problems):
            step = Fields.of(item, f"{fields.what}: a step", None, self.problems)
            if step is not None:
                yield from self._read_step(step, is_rule=is_rule)

    def _read_step(self, step: Fields, *, is_rule: bool) -> Iterator[Step]:
        kind = self._kind_of(step)
        if kind is None:
            return
        if kind == "user":
            user = self._user(step)
            if user is not None:
                yield user
        elif kind == "or":
            yield from self._or(step)
        elif kind == "action":
            yield from (ActionStep(name, step.at("action")) for name in self._name("action", step))
        elif kind == "bot":
            text = step.text("bot", required=True)
            yield from [] if text is None else [BotStep(text, step.at("bot"))]
        elif kind == "slot_was_set":
            yield from self._slots(step)
        elif kind == "active_loop":
            yield self._active_loop(step)
        elif is_rule:
            hint = "Write the steps out, or use a story."
            self.problems.error(step.at("checkpoint"), f"{step.what} of a rule cannot be a checkpoint.", hint)
        else:
            slots = {s.name: s.value for s in self._slots(step)} if "slot_was_set" in step else {}
            yield from (CheckpointStep(name, slots, step.at("checkpoint")) for name in self._name("checkpoint", step))

    def _kind_of(self, step: Fields) -> str | None:
        """What a step is, after its keys were checked; None where it is nothing (with an error)."""
        unknown = [key for key in step if key not in STEP_KEYS]
        for key in unknown:
            message = f"{step.what}: unknown key '{key}'."
            self.problems.error(step.at(key), message, nearest(str(key), STEP_KEYS))
        keys = [key for key in step if key not in unknown]
        for kind, allowed in KEYS_OF_A_STEP.items():
            if kind in keys or (kind == "user" and "intent" in keys):
                for key in keys:
                    if key not in allowed:
                        hint = "Begin a new step with '- '."
                        self.problems.error(step.at(key), f"{step.what} of '{keys[0]}' cannot have '{key}'.", hint)
                return kind
        if keys:
            self.problems.error(step.at(keys[0]), f"{step.what} has '{keys[0]}' but no 'intent'.")
        elif not unknown:
            self.problems.error(step.location, f"{step.what} is empty.")
        return None

    def _name(self, key: str, step: Fields) -> Iterator[str]:
        name = step.text(key, required=True)
        if name is not None:
            yield name.strip()

    def _user(self, step: Fields) -> UserStep | None:
        intent = step.text("intent") if "intent" in step else None
        text = step.text("user") if "user" in step else None
        if intent is None and text is None:
            return None
        location = step.at("intent" if "intent" in step else "user")
        if intent is not None:
            intent = intent.strip()
            if intent.startswith("/"):
                self.problems.warning(location, f"{step.what}: the intent '{intent}' is written without '/'.")
                intent = intent[1:]
        entities = tuple(self._entities(step))
        if text is None:
            return UserStep(intent, None, entities, location=location)
        annotated = parse_annotations(text.strip(), step.at("user"), self.problems)
        return UserStep(intent, annotated.text, entities, annotated.entities, location)

    def _entities(self, step: Fields) -> Iterator[StoryEntity]:
        for item in list_of(step.get("entities"), f"{step.what}: 'entities'", self.problems):
            if isinstance(item.value, str):
                yield StoryEntity(item.value)
                continue
            names = [key for key in item.mapping or {} if key not in ENTITY_KEYS]
            if item.mapping is None or len(names) != 1 or not isinstance(names[0], str):
                message = f"{step.what}: an entity must be a name, or one 'name: value' with 'role' and 'group'."
                self.problems.error(item.location, f"{message[:-1]}, not {shown(item.value)}.")
                continue
            properties = Fields(item, f"{step.what}: the entity '{names[0]}'", self.problems)
            value = properties.plain(names[0])
            yield StoryEntity(names[0], value, properties.text("role"), properties.text("group"))

    def _or(self, step: Fields) -> Iterator[Step]:
        alternatives: list[UserStep | SlotStep] = []
        for item in list_of(step.get("or"), f"{step.what}: 'or'", self.problems):
            known = ("intent", "user", "entities", "slot_was_set")
            one = Fields.of(item, f"{step.what}: an alternative of 'or'", known, self.problems)
            if one is None:
                continue
            if "slot_was_set" in one:
                alternatives.extend(self._slots(one))
            elif "intent" in one or "user" in one:
                user = self._user(one)
                alternatives.extend([user] if user is not None else [])
        if alternatives:
            yield OrStep(tuple(alternatives), step.at("or"))

    def _slots(self, step: Fields) -> Iterator[SlotStep]:
        what = f"{step.what}: 'slot_was_set'"
        for item in list_of(step.get("slot_was_set"), what, self.problems):
            if isinstance(item.value, str):
                yield SlotStep(item.value, by_name_only=True, location=item.location)
            elif item.mapping is None:
                self.problems.error(item.location, f"{what}: an item must be a name or 'name: value'.")
            else:
                for name, value in item.mapping.items():
                    yield from self._slot(what, name, value, item)

    def _slot(self, what: str, name: Any, value: Node, item: Node) -> Iterator[SlotStep]:
        if isinstance(name, str):
            yield SlotStep(name, value.plain(), location=item.key_location(name))
        else:
            message = f"{what}: the name of a slot must be a text, not {shown(name)}."
            self.problems.error(item.key_location(name), message)

    def _active_loop(self, step: Fields) -> ActiveLoopStep:
        name = step.text("active_loop") if step.has_value("active_loop") else None
        return ActiveLoopStep(name, step.at("active_loop"))


def _rule(
    name: str, steps: tuple[Step, ...], conditions: tuple[SlotStep | ActiveLoopStep, ...], fields: Fields
) -> Rule:
    return Rule(
        name,
        steps,
        conditions=conditions,
        conversation_start=fields.has_value("conversation_start") and fields.flag("conversation_start", False),
        wait_for_user_input=not fields.has_value("wait_for_user_input") or fields.flag("wait_for_user_input", True),
        location=fields.location,
    )
