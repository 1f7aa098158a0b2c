"""Sharing a conversation with another engine: beginning a session with one of them, asking the other, ending it.

https://rasa.com/docs/pro/calm-with-nlu/coexistence. The other engine is asked as an action server is: it runs
`action_route_to_calm`. It hands the session back by `FollowupAction("action_reset_routing")`; a message that is not for
it, it rejects, and this engine answers.
"""

from dataclasses import replace

from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.forms import Run
from turnstream.action.scene import Scene
from turnstream.assistant.domain import ACTION_ROUTE_TO_CALM, ROUTE_TO_CALM_SLOT
from turnstream.assistant.routing import IntentRouter
from turnstream.dialogue.events import ActiveLoopChanged, Event, RoutingSessionEnded, SlotSet


def begin_session(router: IntentRouter | None, scene: Scene) -> list[Event]:
    """Choose who answers, where that is open. Nothing for a message that decides nothing."""
    if router is None or scene.tracker.slots.get(ROUTE_TO_CALM_SLOT) is not None:
        return []
    route = router.route(scene.intent)
    return [] if route is None else [SlotSet(timestamp=scene.now, name=ROUTE_TO_CALM_SLOT, value=route)]


async def ask_other_engine(run_custom: Run, scene: Scene) -> list[Event]:
    """`action_route_to_calm`. Raises ActionRejected where the other engine refuses, or does not answer."""
    try:
        return await run_custom(ACTION_ROUTE_TO_CALM, replace(scene, server=scene.other_engine))
    except ActionFailed as failure:
        # Better an answer of this engine than none.
        scene.failures.append(failure)
        raise ActionRejected(ACTION_ROUTE_TO_CALM, failure.message) from failure


def reset_routing(scene: Scene) -> list[Event]:
    """`action_reset_routing`: leaves the form, empties what is not shared, hides what came before from the policies.

    The next message chooses an engine anew, whatever the initial value of the slot says.
    """
    slots = scene.domain.slots
    wanted = {
        name: None if name == ROUTE_TO_CALM_SLOT else slot.initial_value
        for name, slot in slots.items()
        if name == ROUTE_TO_CALM_SLOT or not slot.shared_for_coexistence
    }
    changed = [
        SlotSet(timestamp=scene.now, name=name, value=wanted[name])
        for name, value in scene.tracker.slots.items()
        if name in wanted and value != wanted[name]
    ]
    loop = scene.tracker.active_loop
    left: list[Event] = [] if loop is None else [ActiveLoopChanged(timestamp=scene.now, name=None)]
    return [*left, *changed, RoutingSessionEnded(timestamp=scene.now)]
