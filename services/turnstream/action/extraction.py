"""Filling slots from the user's latest message, with the author's code where a mapping or a validator asks for it.

https://rasa.com/docs/rasa/default-actions#action_extract_slots.
"""

from collections.abc import Iterable
from dataclasses import replace

from turnstream.action import coexistence
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.forms import Run
from turnstream.action.scene import Scene
from turnstream.assistant.domain import ACTION_VALIDATE_SLOT_MAPPINGS
from turnstream.assistant.routing import IntentRouter
from turnstream.dialogue.events import BotUttered, Event, SlotSet, UserUttered
from turnstream.dialogue.mappings import extract


class SlotExtraction:
    """`action_extract_slots`."""

    def __init__(self, run_custom: Run, router: IntentRouter | None = None) -> None:
        self._run_custom = run_custom
        self._router = router

    async def run(self, scene: Scene) -> list[Event]:
        """The slots that the latest message fills. Custom code that fails is noted in `scene.failures`."""
        message = scene.tracker.latest_message
        if message is None:
            return []
        begun = coexistence.begin_session(self._router, scene)
        if begun:
            return [*begun, *await self._fill(scene.after(begun), message)]
        return await self._fill(scene, message)

    async def _fill(self, scene: Scene, message: UserUttered) -> list[Event]:
        if scene.is_elsewhere:
            return self._shared(scene, message)
        filled: list[Event] = []
        for step in extract(scene.domain, scene.tracker, message).steps:
            if isinstance(step, SlotSet):
                filled.append(replace(step, timestamp=scene.now))
            else:
                # What such an action says is dropped: it only finds a value.
                filled += _only((SlotSet,), await self._run(step.action, scene))
        return await self._validated(filled, scene)

    def _shared(self, scene: Scene, message: UserUttered) -> list[Event]:
        """In a session with the other engine only slots that both share are filled, and by this service alone."""
        steps = [s for s in extract(scene.domain, scene.tracker, message).steps if isinstance(s, SlotSet)]
        slots = scene.domain.slots
        return [replace(s, timestamp=scene.now) for s in steps if slots[s.name].shared_for_coexistence]

    async def _validated(self, filled: list[Event], scene: Scene) -> list[Event]:
        """What the validator of all slots makes of them; a slot that it does not mention keeps what was extracted."""
        if ACTION_VALIDATE_SLOT_MAPPINGS not in scene.domain.actions:
            return filled
        validated = await self._run(ACTION_VALIDATE_SLOT_MAPPINGS, scene.after(filled))
        kept = _only((SlotSet, BotUttered), validated)
        settled = {e.name for e in kept if isinstance(e, SlotSet)}
        return [*kept, *(e for e in filled if not (isinstance(e, SlotSet) and e.name in settled))]

    async def _run(self, action: str, scene: Scene) -> list[Event]:
        try:
            return await self._run_custom(action, scene)
        except ActionFailed as failure:
            scene.failures.append(failure)
        except ActionRejected as rejection:
            scene.failures.append(rejection.as_failure(action))
        return []


def _only(types: tuple[type[Event], ...], events: Iterable[Event]) -> list[Event]:
    return [e for e in events if isinstance(e, types)]
