"""Beginnings and ends of sessions."""

from collections.abc import Iterable

from turnstream.action.scene import Scene
from turnstream.assistant.domain import ACTION_LISTEN
from turnstream.dialogue.events import ActionExecuted, Event, SessionStarted, SlotSet
from turnstream.dialogue.fold import Dialogue


def start_session(scene: Scene) -> list[Event]:
    """`action_session_start`: repeats every slot setting of the session before where slots are carried over."""
    carried = _carried_over(scene) if scene.domain.session.carry_over_slots else ()
    return [
        SessionStarted(timestamp=scene.now),
        *(SlotSet(timestamp=scene.now, name=e.name, value=e.value) for e in carried),
        ActionExecuted(timestamp=scene.now, name=ACTION_LISTEN),
    ]


def _carried_over(scene: Scene) -> Iterable[SlotSet]:
    """The slot events of the session; before them what is set by none of them, where only the latest events came."""
    dialogue = Dialogue(scene.tracker.conversation_id, scene.domain, scene.events)
    told = [e for e in dialogue.applied_events() if isinstance(e, SlotSet)]
    names = {e.name for e in told}
    slots = scene.domain.slots
    earlier = [
        SlotSet(name=name, value=value)
        for name, value in scene.tracker.slots.items()
        if name in slots and name not in names and value != slots[name].initial_value
    ]
    return [*earlier, *told]
