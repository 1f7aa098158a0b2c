"""Bot messages on their way to becoming events: JSON objects with Rasa's keys."""

from collections.abc import Mapping
from typing import Any, Final

from turnstream.assistant.domain import ResponseVariation
from turnstream.dialogue.events import BotUttered

Message = Mapping[str, Any]
"""`text` and the DATA_KEYS are what is said; all other keys become the event's metadata."""

UTTER_ACTION: Final = "utter_action"
DATA_KEYS: Final = ("elements", "quick_replies", "buttons", "attachment", "image", "custom")


def message_from_variation(variation: ResponseVariation) -> dict[str, Any]:
    """The message that a variation of a response stands for, not filled yet."""
    conditions = variation.conditions
    fields = {
        "text": variation.text,
        "buttons": [dict(b) for b in variation.buttons] or None,
        "quick_replies": [dict(q) for q in variation.quick_replies] or None,
        "elements": [dict(e) for e in variation.elements] or None,
        "image": variation.image,
        "attachment": variation.attachment,
        "custom": variation.custom,
        "id": variation.id,
        "channel": variation.channel,
        "condition": None if conditions is None else [_condition(c.slot, c.value) for c in conditions],
        "metadata": variation.metadata,
    }
    return {k: v for k, v in fields.items() if v is not None}


def _condition(slot: str, value: Any) -> dict[str, Any]:
    return {"type": "slot", "name": slot, "value": value}


def bot_event(message: Message, timestamp: float) -> BotUttered:
    """The event that says `message`. An image stands in as attachment where there is none, as in Rasa."""
    data = {key: message.get(key) for key in DATA_KEYS}
    data["attachment"] = data["attachment"] or data["image"]
    metadata = {k: v for k, v in message.items() if k != "text" and k not in DATA_KEYS}
    return BotUttered(timestamp=timestamp, text=message.get("text"), data=data, metadata=metadata)
