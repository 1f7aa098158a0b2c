"""`/model/parse` in the words of other services, as Rasa 3.6.21 answered for the same parses."""

import pytest
from turnstream.dialogue.events import ExtractedEntity, IntentScore, ParseData
from turnstream.gateway.emulation import MODES

BERLIN = ExtractedEntity(entity="city", value="Berlin", start=3, end=9, extractor="RegexEntityExtractor")
PARSE = ParseData(text="in Berlin", intent=IntentScore("nlu_fallback", 0.3), entities=(BERLIN,))


def test_luis() -> None:
    found = {"type": "city", "text": "Berlin", "startIndex": 3, "length": 6, "modelType": "RegexEntityExtractor"}
    assert MODES["LUIS"](PARSE) == {
        "query": "in Berlin",
        "prediction": {
            "normalizedQuery": "in Berlin",
            "topIntent": "nlu_fallback",
            "intents": {"nlu_fallback": {"score": 0.3}},
            "entities": {"$instance": {"city": [{**found, "role": None, "score": None}]}, "city": ["Berlin"]},
        },
    }


def test_wit() -> None:
    found = {"confidence": 1, "name": "city", "value": "Berlin", "body": "Berlin", "start": 3, "end": 9}
    assert MODES["WIT"](PARSE) == {
        "text": "in Berlin",
        "intents": [{"name": "nlu_fallback", "confidence": 0.3}],
        "entities": {"city:city": [{**found, "role": "city", "entities": []}]},
    }


def test_dialogflow() -> None:
    answer = MODES["DIALOGFLOW"](PARSE)
    assert answer.pop("responseId")
    assert answer == {
        "queryResult": {
            "queryText": "in Berlin",
            "action": "nlu_fallback",
            "parameters": {"city": ["Berlin"]},
            "fulfillmentText": "",
            "fulfillmentMessages": [],
            "outputContexts": [],
            "intent": {"name": "nlu_fallback", "displayName": "nlu_fallback"},
            "intentDetectionConfidence": 0.3,
        }
    }


@pytest.mark.parametrize("mode", MODES)
def test_each_finds_room_for_what_was_not_understood(mode: str) -> None:
    assert MODES[mode](ParseData())
