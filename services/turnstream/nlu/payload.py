"""Messages that name their intent: `/inform@0.7{"city": "Berlin"}`. They need no model.

Behaviour: https://rasa.com/docs/rasa/stories#user-messages and Rasa 3.6's handling of what is malformed.
"""

import json
import logging
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NoReturn

from turnstream.dialogue.events import ExtractedEntity, IntentScore

EXTRACTOR = "RegexMessageHandler"
_LOG = logging.getLogger(__name__)
_PAYLOAD = re.compile(r"/(?P<intent>[^{@]+)(?P<confidence>@[0-9.]+)?(?P<entities>{.+})?")


@dataclass(frozen=True, slots=True)
class Payload:
    intent: IntentScore
    entities: tuple[ExtractedEntity, ...]


def read_payload(text: str, intents: Collection[str], entities: Collection[str]) -> Payload | None:
    """The intent and entities that a message names; None for ordinary text, an unknown intent included.

    What follows the JSON is ignored, entities that the domain does not know are dropped, and malformed JSON or a
    malformed confidence leaves the intent as it is.
    """
    match = _PAYLOAD.match(text)
    if match is None:
        return None
    intent = match["intent"].strip()
    if intent not in intents:
        return None
    found = _read_entities(match["entities"]) if match["entities"] else {}
    start, end = match.span("entities")
    return Payload(
        IntentScore(intent, _read_confidence(match["confidence"])),
        tuple(
            ExtractedEntity(entity=name, value=value, start=start, end=end, extractor=EXTRACTOR)
            for name, values in found.items()
            if name in entities
            for value in (values if isinstance(values, list) else [values])
        ),
    )


def _read_confidence(written: str | None) -> float:
    if written is None:
        return 1.0
    try:
        return min(1.0, float(written[1:]))
    except ValueError:
        _LOG.warning("the confidence '%s' of a payload message is no number; taken as 0", written[1:])
        return 0.0


def _read_entities(written: str) -> dict[str, Any]:
    try:
        found = json.loads(written, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        _LOG.warning("the entities of a payload message are no JSON object and are dropped: %s", error)
        return {}
    return found if isinstance(found, dict) else {}


def _finite(digits: str) -> float:
    """1e999 is infinite, which no answer can say in JSON."""
    number = float(digits)
    return number if math.isfinite(number) else _refuse_constant(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
