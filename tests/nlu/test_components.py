import math
from typing import Any

import numpy as np
import pytest
from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import (
    DIETClassifierOptions,
    EntitySynonymMapperOptions,
    FallbackClassifierOptions,
    KeywordIntentClassifierOptions,
    RegexEntityExtractorOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import NluData
from turnstream.dialogue.events import ExtractedEntity, IntentScore
from turnstream.features.patterns import Pattern
from turnstream.features.pipeline import FeaturePipeline
from turnstream.nlu.diet_classifier import DietClassifier, DietLabels, ranked
from turnstream.nlu.fallback_classifier import FallbackClassifier
from turnstream.nlu.keyword_classifier import KeywordIntentClassifier
from turnstream.nlu.payload import read_payload
from turnstream.nlu.regex_extractor import RegexEntityExtractor
from turnstream.nlu.synonym_mapper import EntitySynonymMapper
from turnstream.nlu.understanding import NluComponent, Outside, Understanding
from turnstream.runtime.errors import InternalError, ModelServerUnavailable
from turnstream.testing.fake_models import FakeModels

PIPELINE = FeaturePipeline.fit([WhitespaceTokenizerOptions()], NluData(), Domain())


def message(text: str, **parts: Any) -> Understanding:
    featurized = PIPELINE.featurize(text)
    return Understanding(text, featurized.tokens, featurized.features, **parts)


async def process(component: NluComponent, given: Understanding, models: FakeModels | None = None) -> Understanding:
    return await component.process(given, Outside(models or FakeModels()))


async def test_the_first_keyword_in_the_order_of_the_files_wins() -> None:
    keywords = {"good day": "greet", "day": "time", "what( is it)?": "ask"}
    classifier = KeywordIntentClassifier(KeywordIntentClassifierOptions(), keywords)
    assert (await process(classifier, message("a good day"))).intent == IntentScore("greet", 1.0)
    assert (await process(classifier, message("what is it"))).intent == IntentScore("ask", 1.0)
    assert (await process(classifier, message("Good Day"))).intent == IntentScore(None, 0.0)


async def test_a_keyword_that_is_not_found_leaves_what_was_classified_before() -> None:
    classifier = KeywordIntentClassifier(KeywordIntentClassifierOptions(), {"hi": "greet"})
    before = IntentScore("bye", 0.6)
    assert (await process(classifier, message("so long", intent=before))).intent == before


async def test_patterns_give_entities_that_may_overlap() -> None:
    patterns = [Pattern("zip", "[0-9]{5}"), Pattern("place", None, ("12345 Rome",))]
    extractor = RegexEntityExtractor(RegexEntityExtractorOptions(), patterns)
    found = (await process(extractor, message("to 12345 rome"))).entities
    assert [(e.entity, e.value, e.start, e.end, e.extractor) for e in found] == [
        ("zip", "12345", 3, 8, "RegexEntityExtractor"),
        ("place", "12345 rome", 3, 13, "RegexEntityExtractor"),
    ]


async def test_synonyms_replace_values_and_sign() -> None:
    mapper = EntitySynonymMapper(EntitySynonymMapperOptions(), {"nyc": "New York", "5": "five"})
    entities = tuple(ExtractedEntity("x", value) for value in ("NYC", 5, "Rome"))
    found = (await process(mapper, message("", entities=entities))).entities
    assert [(e.value, e.processors) for e in found] == [
        ("New York", ("EntitySynonymMapper",)),
        ("five", ("EntitySynonymMapper",)),
        ("Rome", ()),
    ]


@pytest.mark.parametrize(
    ("scores", "falls_back"),
    [((0.9, 0.1), False), ((0.29, 0.1), True), ((0.55, 0.46), True), ((0.9,), False), ((), True)],
)
async def test_fallback_below_the_threshold_or_when_two_are_close(scores: tuple[float, ...], falls_back: bool) -> None:
    ranking = tuple(IntentScore(f"i{n}", score) for n, score in enumerate(scores))
    given = message("x", intent=ranking[0] if ranking else None, ranking=ranking)
    found = await process(FallbackClassifier(FallbackClassifierOptions()), given)
    if falls_back:
        fallback = IntentScore("nlu_fallback", 0.3)
        assert found.intent == fallback
        assert found.ranking == ((fallback, *ranking) if ranking else ())
    else:
        assert (found.intent, found.ranking) == (ranking[0], ranking)


def diet(options: DIETClassifierOptions | None = None, *, trained: bool = True) -> DietClassifier:
    labels = DietLabels(("bye", "greet", "travel"), {"entity": ("O", "B-city", "I-city", "L-city", "U-city")})
    model = BundledModel("diet", 3) if trained else None
    return DietClassifier(options or DIETClassifierOptions(), model, labels, PIPELINE)


def diet_outputs(tags: list[int], confidences: list[float]) -> dict[str, Any]:
    scores = np.array([[0.1, 0.2, 0.7]], np.float32)
    return {"intent_scores": scores, "entity_tags": [tags], "entity_confidences": [confidences]}


async def test_diet_gives_a_ranking_and_entities() -> None:
    models = FakeModels({"diet": diet_outputs([0, 1, 3, 0], [0.9, 0.75, 0.5, 0.0])})
    found = await process(diet(), message("to New York"), models)
    assert [score.name for score in found.ranking] == ["travel", "greet", "bye"]
    assert found.intent == found.ranking[0]
    (city,) = found.entities
    assert (city.entity, city.value, city.confidence, city.extractor) == ("city", "New York", 0.5, "DIETClassifier")
    (call,) = models.calls
    assert (call.model, call.version) == ("diet", 3)
    assert sorted(call.inputs) == ["ids", "lengths", "sentence_ids", "sentence_weights", "weights"]
    assert call.inputs["lengths"].tolist() == [3]


async def test_a_diet_that_was_not_trained_asks_no_model() -> None:
    found = await process(diet(trained=False), message("hello"))
    assert (found.intent, found.ranking, found.entities) == (IntentScore(None, 0.0), (), ())


async def test_diet_for_entities_alone_leaves_the_intent() -> None:
    models = FakeModels({"diet": diet_outputs([4], [0.9])})
    classifier = diet(DIETClassifierOptions(intent_classification=False))
    found = await process(classifier, message("Rome", intent=IntentScore("greet", 1.0)), models)
    assert found.intent == IntentScore("greet", 1.0)
    assert [e.value for e in found.entities] == ["Rome"]


@pytest.mark.parametrize("outputs", [{}, {"intent_scores": [[0.5, 0.5]]}, {"intent_scores": [0.1, 0.2, 0.7]}])
async def test_an_answer_of_another_shape_is_an_error_that_names_the_model(outputs: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match=r"model 'diet': 'intent_scores' should be \[1, 3\]"):
        await process(diet(), message("hello"), FakeModels({"diet": outputs}))


async def test_a_model_server_that_is_away_is_no_understanding() -> None:
    with pytest.raises(ModelServerUnavailable):
        await process(diet(), message("hello"), FakeModels({"diet": ModelServerUnavailable("away")}))


def test_a_ranking_is_cut_and_scaled_only_when_asked() -> None:
    scores = np.array([0.1, 0.5, 0.4], np.float64)
    names = ("a", "b", "c")
    assert [s.name for s in ranked(names, scores, 0, True)] == ["b", "c", "a"]
    assert [s.confidence for s in ranked(names, scores, 2, False)] == [0.5, 0.4]
    best, second = ranked(names, scores, 2, True)
    assert math.isclose((best.confidence or 0.0) + (second.confidence or 0.0), 1.0)


@pytest.mark.parametrize(
    "text",
    [
        '/inform{"city": NaN}',
        '/inform{"city": 1e999}',
        '/inform{"city": ' + "[" * 60_000 + "}",
        '/inform{"city": 1' + "0" * 10_000 + "}",
    ],
)
def test_json_that_cannot_be_read_keeps_the_intent(text: str) -> None:
    payload = read_payload(text, {"inform"}, {"city"})
    assert payload is not None
    assert (payload.intent, payload.entities) == (IntentScore("inform", 1.0), ())


def test_a_confidence_with_two_points_is_zero() -> None:
    payload = read_payload("/inform@0.5.1", {"inform"}, set())
    assert payload is not None
    assert payload.intent == IntentScore("inform", 0.0)
