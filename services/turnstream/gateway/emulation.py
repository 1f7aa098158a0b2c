"""What `/model/parse` answers in the words of other services: `emulation_mode`, as Rasa knows it.

Formats: https://learn.microsoft.com/azure/ai-services/luis/luis-concept-data-extraction, https://wit.ai/docs/http,
https://cloud.google.com/dialogflow/es/docs/reference/rest/v2/DetectIntentResponse.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from turnstream.dialogue.events import ExtractedEntity, IntentScore, ParseData

Json = dict[str, Any]


def luis(parse: ParseData) -> Json:
    instances: dict[str, list[Json]] = {}
    values: dict[str, list[Any]] = {}
    for entity in parse.entities:
        name = entity.role or entity.entity
        instances.setdefault(name, []).append(_luis_entity(entity))
        values.setdefault(name, []).append(entity.value)
    return {
        "query": parse.text,
        "prediction": {
            "normalizedQuery": parse.text,
            "topIntent": parse.intent.name,
            "intents": {intent.name: {"score": intent.confidence} for intent in _ranking(parse)},
            "entities": {"$instance": instances, **values},
        },
    }


def wit(parse: ParseData) -> Json:
    entities: dict[str, list[Json]] = {}
    for entity in parse.entities:
        role = entity.role or entity.entity
        entities.setdefault(f"{entity.entity}:{role}", []).append(_wit_entity(entity, role, parse.text))
    intents = [{"name": parse.intent.name, "confidence": parse.intent.confidence}]
    return {"text": parse.text, "intents": intents, "entities": entities}


def dialogflow(parse: ParseData) -> Json:
    parameters: dict[str, list[Any]] = {}
    for entity in parse.entities:
        parameters.setdefault(entity.role or entity.entity, []).append(entity.value)
    return {
        "responseId": str(uuid.uuid1()),
        "queryResult": {
            "queryText": parse.text,
            "action": parse.intent.name,
            "parameters": parameters,
            "fulfillmentText": "",
            "fulfillmentMessages": [],
            "outputContexts": [],
            "intent": {"name": parse.intent.name, "displayName": parse.intent.name},
            "intentDetectionConfidence": parse.intent.confidence,
        },
    }


MODES: Mapping[str, Callable[[ParseData], Json]] = {"WIT": wit, "LUIS": luis, "DIALOGFLOW": dialogflow}


def _ranking(parse: ParseData) -> Sequence[IntentScore]:
    return parse.intent_ranking or (parse.intent,)


def _luis_entity(entity: ExtractedEntity) -> Json:
    start, end = entity.start or 0, entity.end or 0
    return {
        "role": entity.role,
        "type": entity.entity,
        "text": entity.value,
        "startIndex": start,
        "length": end - start,
        "score": entity.confidence,
        "modelType": entity.extractor,
    }


def _wit_entity(entity: ExtractedEntity, role: str, text: str) -> Json:
    start, end = entity.start or 0, entity.end or 0
    return {
        "confidence": 1 if entity.confidence is None else entity.confidence,
        "name": entity.entity,
        "value": entity.value,
        "body": text[start:end],
        "start": start,
        "end": end,
        "role": role,
        "entities": [],
    }
