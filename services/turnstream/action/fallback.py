"""Asking again where the user was not understood: the two-stage fallback and the actions that it is made of.

https://rasa.com/docs/rasa/fallback-handoff#two-stage-fallback.
"""

from collections.abc import Sequence
from dataclasses import replace

from turnstream.action.forms import Run
from turnstream.action.loops import was_activated
from turnstream.action.messages import UTTER_ACTION, bot_event
from turnstream.action.scene import Scene
from turnstream.assistant.domain import (
    ACTION_DEFAULT_ASK_AFFIRMATION,
    ACTION_DEFAULT_ASK_REPHRASE,
    ACTION_DEFAULT_FALLBACK,
    ACTION_LISTEN,
    ACTION_TWO_STAGE_FALLBACK,
    INTENT_NLU_FALLBACK,
    INTENT_OUT_OF_SCOPE,
)
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    Event,
    IntentScore,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue

NOT_UNDERSTOOD = (INTENT_NLU_FALLBACK, INTENT_OUT_OF_SCOPE)


class TwoStageFallback:
    """First asks whether the best guess was meant, then to rephrase, then gives up."""

    name = ACTION_TWO_STAGE_FALLBACK

    def __init__(self, *, run: Run) -> None:
        self._run = run

    async def activate(self, scene: Scene) -> list[Event]:
        return []

    async def step(self, scene: Scene, so_far: Sequence[Event]) -> list[Event]:
        asks_affirmation = was_activated(so_far, self.name) or scene.intent == INTENT_NLU_FALLBACK
        return await self._run(
            ACTION_DEFAULT_ASK_AFFIRMATION if asks_affirmation else ACTION_DEFAULT_ASK_REPHRASE, scene
        )

    def is_done(self, scene: Scene, so_far: Sequence[Event]) -> bool:
        return scene.intent not in NOT_UNDERSTOOD or _has_failed(_latest_intents(scene, 3))

    async def deactivate(self, scene: Scene) -> list[Event]:
        if scene.intent not in NOT_UNDERSTOOD:
            return clarified(scene)
        return await self._run(ACTION_DEFAULT_FALLBACK, scene)


def ask_affirmation(scene: Scene) -> list[Event]:
    """`action_default_ask_affirmation`: was the best guess meant?"""
    message = scene.tracker.latest_message
    guess = scene.intent
    if message is not None and guess == INTENT_NLU_FALLBACK and len(message.parse_data.intent_ranking) > 1:
        guess = message.parse_data.intent_ranking[1].name
    buttons = [
        {"title": "Yes", "payload": f"/{guess}"},
        {"title": "No", "payload": f"/{INTENT_OUT_OF_SCOPE}"},
    ]
    said = {"text": f"Did you mean '{guess}'?", "buttons": buttons, UTTER_ACTION: ACTION_DEFAULT_ASK_AFFIRMATION}
    return [bot_event(said, scene.now)]


def revert_fallback(scene: Scene) -> list[Event]:
    """`action_revert_fallback_events`: nothing, where the message before the latest one was understood."""
    dialogue = Dialogue(scene.tracker.conversation_id, scene.domain, scene.events)
    intents = [e.parse_data.intent.name for e in dialogue.applied_events() if isinstance(e, UserUttered)]
    return clarified(scene) if intents[-2:-1] and intents[-2] in NOT_UNDERSTOOD else []


def clarified(scene: Scene) -> list[Event]:
    """Take back all messages since the first that was not understood; the clear one comes in their place."""
    message = scene.tracker.latest_message
    rewinds: list[Event] = [UserUtteranceReverted(timestamp=scene.now) for _ in range(_rewinds_needed(scene))]
    if message is None:
        return rewinds
    sure = replace(message.parse_data, intent=IntentScore(message.parse_data.intent.name, 1.0))
    listen = ActionExecuted(timestamp=scene.now, name=ACTION_LISTEN)
    # A tracker's latest message comes without the metadata of its event.
    metadata = next((e.metadata for e in reversed(scene.events) if isinstance(e, UserUttered)), message.metadata)
    return [*rewinds, listen, replace(message, timestamp=scene.now, parse_data=sure, metadata=metadata)]


def _rewinds_needed(scene: Scene) -> int:
    """How many rewinds take back the message at hand and the misunderstood ones before it.

    The fold counts a loop's undisturbed turns as one, so that only the fold can tell.
    """
    dialogue = Dialogue(scene.tracker.conversation_id, scene.domain, _with_this_run(scene))
    count = 0
    while dialogue.tracker.latest_message is not None:
        dialogue.append(UserUtteranceReverted(timestamp=scene.now))
        count += 1
        latest = dialogue.tracker.latest_message
        if latest is None or latest.parse_data.intent.name not in NOT_UNDERSTOOD:
            break
    return count


def _with_this_run(scene: Scene) -> list[Event]:
    """The events with the run of the fallback itself, which is recorded before the end of its loop."""
    events = list(scene.events)
    ended = len(events) - bool(events and isinstance(events[-1], ActiveLoopChanged))
    events.insert(ended, ActionExecuted(timestamp=scene.now, name=ACTION_TWO_STAGE_FALLBACK))
    return events


def _latest_intents(scene: Scene, count: int) -> list[str | None]:
    """What the latest `count` messages meant, oldest first; `None` where a rewind stands in a message's place.

    Messages before the loop count: one that a form took although it was not understood is the first of two. A rewind
    keeps what was given up from counting again.
    """
    intents: list[str | None] = []
    for event in reversed(scene.events):
        if isinstance(event, Restarted) or len(intents) == count:
            break
        if isinstance(event, UserUttered):
            intents.append(event.parse_data.intent.name)
        elif isinstance(event, UserUtteranceReverted):
            intents.append(None)
    return intents[::-1]


def _has_failed(intents: Sequence[str | None]) -> bool:
    """Not understood twice in a row, or the second guess was wrong, too."""
    return list(intents[-2:]) == [INTENT_NLU_FALLBACK, INTENT_NLU_FALLBACK] or list(intents[-3:]) == [
        INTENT_OUT_OF_SCOPE,
        INTENT_NLU_FALLBACK,
        INTENT_OUT_OF_SCOPE,
    ]
