"""Choosing and filling the author's responses.

Channel before condition: where an eligible variation names the current channel, only those are used, conditional ones
first; elsewhere only variations without a channel are. https://rasa.com/docs/rasa/responses.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from turnstream.action.interpolation import fill
from turnstream.action.messages import UTTER_ACTION, message_from_variation
from turnstream.action.scene import Scene
from turnstream.assistant.domain import Domain, ResponseVariation

FILLED_KEYS: Final = ("text", "image", "custom", "buttons", "attachment", "quick_replies")


class ResponseGenerator(Protocol):
    """What turns the name of a response into a message: the domain's responses here, or an outside NLG server."""

    async def generate(self, name: str, scene: Scene, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """The filled message; None where nothing is to be said.

        `arguments` fill placeholders and win over slots. Raises UnbalancedBraceError, ActionFailed.
        """
        ...


class DomainResponses:
    """The responses of a domain."""

    def __init__(self, domain: Domain) -> None:
        self._responses = domain.responses

    async def generate(self, name: str, scene: Scene, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        slots = scene.tracker.slots
        variations = eligible(self._responses.get(name, ()), slots, scene.channel)
        if not variations:
            return None
        message = message_from_variation(scene.chance.choice(variations))
        values = {**slots, **arguments}
        filled = {k: fill(v, values) if k in FILLED_KEYS else v for k, v in message.items()}
        return filled | {UTTER_ACTION: name}


def eligible(
    variations: Sequence[ResponseVariation], slots: Mapping[str, Any], channel: str
) -> tuple[ResponseVariation, ...]:
    """The variations to choose from at random; empty where none fits."""
    fitting = [v for v in variations if v.conditions and _holds(v, slots)]
    defaults = [v for v in variations if v.conditions is None]
    here = [[v for v in group if v.channel == channel] for group in (fitting, defaults)] if channel else []
    anywhere = [[v for v in group if v.channel is None] for group in (fitting, defaults)]
    return next((tuple(group) for group in (*here, *anywhere) if group), ())


def _holds(variation: ResponseVariation, slots: Mapping[str, Any]) -> bool:
    return all(_same(slots.get(c.slot), c.value) for c in variation.conditions or ())


def _same(actual: Any, wanted: Any) -> bool:
    if isinstance(actual, str) and isinstance(wanted, str):
        return actual.casefold() == wanted.casefold()
    return bool(actual == wanted)
