"""Actions that say something out of the domain: responses, retrieved responses, end-to-end texts, a given text."""

import logging
from collections.abc import Mapping
from typing import Any

from turnstream.action.failures import ActionFailed
from turnstream.action.interpolation import UNBALANCED, UnbalancedBraceError
from turnstream.action.messages import Message, bot_event
from turnstream.action.responses import ResponseGenerator
from turnstream.action.scene import Scene
from turnstream.assistant.domain import RESPONSE_PREFIX
from turnstream.dialogue.events import BotUttered, Event, SelectedResponse

logger = logging.getLogger(__name__)

DEFAULT_SELECTOR = "default"


class Speaker:
    """Says responses; where they come from is the generator's business."""

    def __init__(self, responses: ResponseGenerator) -> None:
        self._responses = responses

    async def draft(self, name: str, scene: Scene, arguments: Mapping[str, Any]) -> Message | None:
        """The filled message of a response; None where nothing is to be said. Raises ActionFailed."""
        try:
            return await self._responses.generate(name, scene, arguments)
        except UnbalancedBraceError as error:
            raise ActionFailed(name, UNBALANCED, repr(error.text)) from error

    async def say(self, name: str, scene: Scene, *, silent: bool = False) -> list[Event]:
        """Say a response; nothing is said, with a warning unless `silent`, where none fits. Raises ActionFailed."""
        message = await self.draft(name, scene, {})
        if message is None:
            if not silent:
                logger.warning("Nothing to say for %r: no variation fits channel %r and slots.", name, scene.channel)
            return []
        return [bot_event(message, scene.now)]

    async def say_selected(self, action: str, scene: Scene) -> list[Event]:
        """Say the response that the selector chose for the latest message. Raises ActionFailed where it chose none."""
        intent = action.removeprefix(RESPONSE_PREFIX)
        message = scene.tracker.latest_message
        selectors: Mapping[str, SelectedResponse] = message.parse_data.response_selector if message else {}
        selected = selectors.get(intent) or selectors.get(DEFAULT_SELECTOR)
        if selected is None:
            raise ActionFailed(
                action,
                f"no response was selected for the retrieval intent {intent!r}; "
                "does the pipeline have a ResponseSelector for it?",
            )
        return await self.say(selected.utter_action, scene)


def say_text(text: str, now: float) -> BotUttered:
    """An end-to-end bot text, as it stands."""
    return bot_event({"text": text}, now)


def send_text(scene: Scene) -> list[Event]:
    """`action_send_text`: the message that came with the request, or an empty one."""
    message = scene.metadata.get("message")
    return [bot_event(message if isinstance(message, Mapping) else {"text": ""}, scene.now)]
