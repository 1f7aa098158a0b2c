"""Reports on understood messages: what counts as right for intents, entities and responses."""

import pytest
from turnstream.assistant.nlu_data import EntityAnnotation, Example
from turnstream.dialogue.events import ExtractedEntity, IntentScore, ParseData, ResponseScore, SelectedResponse
from turnstream.evaluation.cross_validation import split, stratified_folds
from turnstream.evaluation.entities import token_labels
from turnstream.evaluation.nlu import reports, understand

TOKENS = ((0, 4), (5, 8), (9, 13))


def selected(*keys: str) -> SelectedResponse:
    return SelectedResponse(keys[0], 0.5, f"utter_{keys[0]}", ranking=tuple(ResponseScore(key, 0.1) for key in keys))


async def test_examples_come_back_in_order_with_what_was_made_of_them() -> None:
    heard: list[int] = []

    async def parse(text: str) -> ParseData:
        return ParseData(text=text, intent=IntentScore(text[0], 0.9))

    examples = [Example(f"{letter}{number}", letter) for number in range(30) for letter in "xy"]
    found = await understand(examples, parse, heard.append)
    assert [one.example for one in found] == examples
    assert heard == list(range(1, 61))
    report = reports(found).intents
    assert report is not None
    assert report.accuracy == 1.0


async def test_retrieval_intent_counts_by_its_base_and_its_response_in_full() -> None:
    async def parse(text: str) -> ParseData:
        ranking = ("faq/name", "faq/age") if text == "right" else ("faq/age", "faq/name")
        return ParseData(text=text, intent=IntentScore("faq", 0.9), response_selector={"faq": selected(*ranking)})

    found = reports(await understand([Example("right", "faq/name"), Example("wrong", "faq/name")], parse))
    assert found.intents is not None
    assert found.responses is not None
    assert found.intents.accuracy == 1.0
    assert (found.responses.accuracy, found.response_mrr) == (0.5, 0.75)


async def test_entities_are_reported_by_extractor_over_tokens() -> None:
    async def parse(text: str) -> ParseData:
        mine = ExtractedEntity("city", "york", 9, 13, extractor="DIETClassifier")
        other = ExtractedEntity("city", "new york", 5, 13, extractor="RegexEntityExtractor")
        return ParseData(text=text, text_tokens=TOKENS, entities=(mine, other))

    example = Example("from new york", "go", (EntityAnnotation(5, 13, "city", "new york"),))
    found = reports(await understand([example], parse), ("CRFEntityExtractor",)).entities
    micro = {name: (report.micro.precision, report.micro.recall) for name, report in found.items()}
    assert micro == {
        "CRFEntityExtractor": (0.0, 0.0),
        "DIETClassifier": (1.0, 0.5),
        "RegexEntityExtractor": (1.0, 1.0),
    }


def test_token_takes_the_longest_entity_with_role_and_group() -> None:
    long = ExtractedEntity("trip", "new york", 5, 13, role="to", group="1")
    short = ExtractedEntity("city", "york", 9, 13)
    nowhere = ExtractedEntity("mood", "glad")
    assert token_labels(TOKENS, [short, long, nowhere]) == ["no_entity", "trip.to.1", "trip.to.1"]


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_each_example_is_in_one_fold_and_each_intent_in_all(folds: int) -> None:
    examples = [Example(f"{intent} {number}", intent) for intent in "abc" for number in range(7)]
    parts = stratified_folds(examples, folds)
    assert sorted(e.text for part in parts for e in part) == sorted(e.text for e in examples)
    assert all({e.intent for e in part} == set("abc") for part in parts)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_split_takes_its_share_of_every_intent() -> None:
    examples = [Example(f"{intent} {number}", intent) for intent in "ab" for number in range(10)]
    learned, tested = split(examples, 0.8)
    assert [sum(e.intent == intent for e in learned) for intent in "ab"] == [8, 8]
    assert len(tested) == 4
