"""Single examples beside what was made of them, in the shapes of the peer's lists of errors and successes."""

from collections.abc import Iterator
from typing import Any

from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.dialogue.parse_json import entity_to_rasa
from turnstream.evaluation.entities import by_extractor, token_labels
from turnstream.evaluation.nlu import NluReports, Understood

Case = tuple[dict[str, Any], bool]
"""The example, and whether it was understood."""


def intent_case(one: Understood) -> Case:
    prediction = {"name": one.intent, "confidence": one.parse.intent.confidence or 0.0}
    case = {"text": one.example.text, "intent": one.right_intent, "intent_prediction": prediction}
    return case, one.intent == one.right_intent


def response_case(one: Understood) -> Case:
    confidence = one.selected.confidence if one.selected else 0.0
    case = {
        "text": one.example.text,
        "intent_response_key_target": one.example.intent,
        "intent_response_key_prediction": {"name": one.response, "confidence": confidence},
    }
    return case, one.response == one.example.intent


def entity_cases(reports: NluReports, extractor: str) -> Iterator[Case]:
    """Those alone in which there is an entity, or one was found."""
    for one in reports.understood:
        found = by_extractor(one.parse.entities).get(extractor, [])
        if not (one.example.entities or found):
            continue
        is_right = token_labels(one.tokens, one.example.entities) == token_labels(one.tokens, found)
        case = {
            "text": one.example.text,
            "entities": [_annotation(entity) for entity in one.example.entities],
            "predicted_entities": [entity_to_rasa(entity) for entity in found],
        }
        yield case, is_right


def _annotation(entity: EntityAnnotation) -> dict[str, Any]:
    names = ("start", "end", "value", "entity", "role", "group")
    return {name: value for name in names if (value := getattr(entity, name)) is not None}
