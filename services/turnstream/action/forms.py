"""Forms: asking for slots until all required ones are filled, with the author's validator in between.

https://rasa.com/docs/rasa/forms; the order of events is that of recorded conversations with Rasa 3.6.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from turnstream.action.failures import ActionFailed, ActionRejected, ValidatorFailed
from turnstream.action.loops import was_activated
from turnstream.action.scene import Scene
from turnstream.assistant.domain import ACTION_LISTEN, REQUESTED_SLOT, Form
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActiveLoopChanged,
    Event,
    SlotSet,
)

Run = Callable[[str, Scene], Awaitable[list[Event]]]
"""Runs an action by name. Raises ActionFailed and ActionRejected."""

Extract = Callable[[Scene], Awaitable[list[Event]]]
"""Fills slots from the latest message (`action_extract_slots`)."""


class FormLoop:
    """A form as a loop."""

    def __init__(self, form: Form, *, run: Run, extract: Extract) -> None:
        self._form = form
        self._run = run
        self._extract = extract

    @property
    def name(self) -> str:
        return self._form.name

    async def activate(self, scene: Scene) -> list[Event]:
        """Slots are extracted again, now that the form is active; all that are filled already are validated.

        What the extraction says is dropped: it was said when the message came in.
        """
        extracted = [e for e in await self._extract(scene) if isinstance(e, SlotSet)]
        ready = scene.after(extracted)
        filled = {s: v for s in self._form.required_slots if (v := ready.tracker.slots.get(s)) is not None}
        validated = await self._validate(filled, ready)
        settled = {e.name for e in validated if isinstance(e, SlotSet)}
        return [*validated, *(e for e in extracted if e.name not in settled)]

    async def step(self, scene: Scene, so_far: Sequence[Event]) -> list[Event]:
        validated: list[Event] = []
        requested = None
        if not was_activated(so_far, self.name):
            requested = self._requested(scene)
            validated = await self._validate_answer(scene)
        if _is_rejected(validated):
            return validated
        done = [*so_far, *validated]
        return [*validated, *await self._request_next_slot(self._begun(scene.after(validated), requested, done), done)]

    def is_done(self, scene: Scene, so_far: Sequence[Event]) -> bool:
        """A form ends once nothing more is requested, or where the validator says so."""
        return not _is_rejected(so_far) and (_latest_request(so_far) == (None,) or _is_left(so_far))

    async def deactivate(self, scene: Scene) -> list[Event]:
        return []

    async def _validate_answer(self, scene: Scene) -> list[Event]:
        """Validate what the user's message filled. Raises ActionRejected where it filled nothing."""
        loop = scene.tracker.active_loop
        if scene.tracker.latest_action_name != ACTION_LISTEN or (loop is not None and loop.is_interrupted):
            # Back from an interruption: nothing was answered, but the validator may change what is asked.
            return await self._validate({}, scene)
        wanted = {*self._form.required_slots, self._requested(scene)}
        candidates = {s: v for s, v in scene.slots_of_this_turn().items() if s in wanted}
        validated = await self._validate(candidates, scene)
        answered = candidates or any(isinstance(e, SlotSet) and e.name != REQUESTED_SLOT for e in validated)
        asked = self._requested(scene)
        if asked and not answered and not _is_rejected(validated):
            raise ActionRejected(self.name, f"the message filled neither {asked!r} nor another slot of the form")
        return validated

    async def _validate(self, candidates: Mapping[str, Any], scene: Scene) -> list[Event]:
        """What the validator returned; nothing where the form has none, since the candidates are filled already.

        A validator that fails must not let its slots pass: they are emptied, and so asked again.
        """
        validator = f"validate_{self.name}"
        if validator not in scene.domain.action_names:
            return []
        try:
            return await self._run(validator, self._with_candidates(candidates, scene))
        except ActionFailed as failure:
            scene.failures.append(ValidatorFailed(validator, failure.reason, failure.quoted))
            return [_slot(scene, s, None) for s in candidates]

    def _with_candidates(self, candidates: Mapping[str, Any], scene: Scene) -> Scene:
        """The SDK takes the slot events at the end as those to validate; the form's own execution marks them off."""
        return scene.after(
            [
                _slot(scene, REQUESTED_SLOT, self._requested(scene)),
                ActionExecuted(timestamp=scene.now, name=self.name),
                *(_slot(scene, s, v) for s, v in candidates.items()),
            ]
        )

    def _begun(self, scene: Scene, requested: str | None, so_far: Sequence[Event]) -> Scene:
        """What an action that asks is sent: `so_far` comes after the form's own execution, which is the latest one."""
        first = len(scene.events) - len(so_far)
        begun = (_slot(scene, REQUESTED_SLOT, requested), ActionExecuted(timestamp=scene.now, name=self.name))
        seen = scene.after(begun if _latest_request(so_far) is None else begun[1:])
        return replace(seen, events=(*scene.events[:first], *begun, *so_far))

    def _requested(self, scene: Scene) -> str | None:
        """The slot that this form asked for; another form's question does not count."""
        requested = scene.tracker.slots.get(REQUESTED_SLOT)
        return requested if requested and scene.active_loop == self.name else None

    async def _request_next_slot(self, scene: Scene, so_far: Sequence[Event]) -> list[Event]:
        if self.is_done(scene, so_far):
            return [_slot(scene, REQUESTED_SLOT, None)]
        forced = _latest_request(so_far)
        if forced is not None and forced[0]:
            return await self._ask(forced[0], scene)
        slots = scene.tracker.slots
        missing = next((s for s in self._form.required_slots if slots.get(s) is None), None)
        if missing is None:
            # An error must not submit the form.
            unsure = any(isinstance(f, ValidatorFailed) for f in scene.failures)
            return [] if unsure else [_slot(scene, REQUESTED_SLOT, None)]
        return [_slot(scene, REQUESTED_SLOT, missing), *await self._ask(missing, scene)]

    async def _ask(self, slot: str, scene: Scene) -> list[Event]:
        """The question for a slot; none where the author gave none, or where asking failed."""
        action = question_for(slot, self.name, scene)
        if action is None:
            return []
        try:
            return await self._run(action, scene)
        except ActionFailed as failure:
            scene.failures.append(failure)
            return []


def question_for(slot: str, form: str, scene: Scene) -> str | None:
    """The action that asks for a slot: the form's own before one for all forms, an action before a response."""
    names = (f"action_ask_{form}_{slot}", f"utter_ask_{form}_{slot}", f"action_ask_{slot}", f"utter_ask_{slot}")
    return next((name for name in names if name in scene.domain.action_names), None)


def _slot(scene: Scene, name: str, value: Any) -> SlotSet:
    return SlotSet(timestamp=scene.now, name=name, value=value)


def _latest_request(events: Sequence[Event]) -> tuple[Any] | None:
    """The latest value given to `requested_slot`, as a tuple of one; None where it was not set."""
    found = (e for e in reversed(events) if isinstance(e, SlotSet) and e.name == REQUESTED_SLOT)
    return next(((e.value,) for e in found), None)


def _is_left(events: Sequence[Event]) -> bool:
    changes = [e for e in events if isinstance(e, ActiveLoopChanged)]
    return bool(changes) and changes[-1].name is None


def _is_rejected(events: Sequence[Event]) -> bool:
    return any(isinstance(e, ActionExecutionRejected) for e in events)
