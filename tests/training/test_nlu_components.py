import pytest
from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    CRFEntityExtractorOptions,
    DIETClassifierOptions,
    EntitySynonymMapperOptions,
    KeywordIntentClassifierOptions,
    LogisticRegressionClassifierOptions,
    RegexEntityExtractorOptions,
    ResponseSelectorOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.domain import Domain, ResponseVariation
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import EntityAnnotation, Example, LookupTable, NluData, RegexPattern
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.features.arrays import MAX_TOKENS
from turnstream.features.store import Attribute
from turnstream.features.training_data import DietData, SelectorData
from turnstream.training.keywords import fit_keywords
from turnstream.training.nlu_components import NluArtifacts, fit_nlu
from turnstream.training.synonyms import fit_synonyms

FEATURIZERS: tuple[ComponentOptions, ...] = (WhitespaceTokenizerOptions(), CountVectorsFeaturizerOptions())
LINE = Location("data/nlu.yml", 3)


def city(start: int, end: int, role: str | None = None, group: str | None = None) -> EntityAnnotation:
    return EntityAnnotation(start, end, "city", "x", role, group)


TRAVEL = NluData(
    examples=(
        Example("hello", "greet"),
        Example("hello", "greet"),
        Example("New York to Rome", "travel", (city(0, 8, "from"), city(12, 16, "to")), location=LINE),
        Example("just Rome", None, (city(5, 9),)),
    )
)


def diet_of(artifacts: NluArtifacts) -> DietData:
    (diet,) = artifacts.diets
    assert diet.data is not None
    return diet.data


def selector_of(artifacts: NluArtifacts) -> SelectorData:
    (selector,) = artifacts.selectors
    assert selector.data is not None
    return selector.data


def test_diet_gets_intents_and_tags_of_every_example() -> None:
    data = diet_of(fit_nlu([*FEATURIZERS, DIETClassifierOptions()], TRAVEL, Domain()))
    assert data.intent_names == ("greet", "travel")
    assert data.intents.tolist() == [0, 0, 1, -1]
    entity, role = data.taggers
    assert (entity.name, entity.tags) == ("entity", ("O", "B-city", "I-city", "L-city", "U-city"))
    assert [labels.tolist() for labels in entity.labels] == [[0], [0], [1, 3, 0, 4], [0, 4]]
    assert (role.name, len(role.tags)) == ("role", 9)
    assert [role.tags[i] for i in role.labels[2]] == ["B-from", "L-from", "O", "U-to"]
    assert role.labels[3].tolist() == [0, 0]
    assert all(len(t) == text.ids.shape[0] for t, text in zip(entity.labels, data.texts, strict=True))


def test_several_components_featurize_each_distinct_text_once() -> None:
    options = [
        *FEATURIZERS,
        DIETClassifierOptions(),
        LogisticRegressionClassifierOptions(),
        CRFEntityExtractorOptions(),
    ]
    store = fit_nlu(options, TRAVEL, Domain()).pipeline.store
    assert store.values(Attribute.TEXT) == ("hello", "New York to Rome", "just Rome")
    assert store.computed == 3


def test_options_of_diet_say_what_is_learnt() -> None:
    intents = diet_of(fit_nlu([*FEATURIZERS, DIETClassifierOptions(entity_recognition=False)], TRAVEL, Domain()))
    assert intents.taggers == ()
    options = DIETClassifierOptions(intent_classification=False, BILOU_flag=False)
    entities = diet_of(fit_nlu([*FEATURIZERS, options], TRAVEL, Domain()))
    assert entities.intent_names == ()
    assert set(entities.intents.tolist()) == {-1}
    assert entities.taggers[0].tags == ("O", "city")


def test_a_diet_with_nothing_to_learn_has_no_model() -> None:
    artifacts = fit_nlu([*FEATURIZERS, DIETClassifierOptions()], NluData(examples=(Example("hi", "greet"),)), Domain())
    assert artifacts.diets[0].data is None
    assert artifacts.components_json()["components"][0]["model"] is None
    assert "intents are not learnt" in str(artifacts.warnings[0])


def test_several_diets_have_models_of_their_own() -> None:
    options = [*FEATURIZERS, DIETClassifierOptions(), DIETClassifierOptions(entity_recognition=False)]
    assert [diet.model for diet in fit_nlu(options, TRAVEL, Domain()).diets] == ["diet", "diet-2"]


def test_an_annotation_within_a_word_is_a_warning_with_its_line() -> None:
    nlu = NluData(
        examples=(Example("in Rome", "a", (city(3, 6),), location=LINE), Example("x", "b")),
    )
    artifacts = fit_nlu([*FEATURIZERS, DIETClassifierOptions()], nlu, Domain())
    (warning,) = artifacts.warnings
    assert str(warning).startswith("data/nlu.yml:3: 'Rom' is marked as 'city' in 'in Rome'")
    assert diet_of(artifacts).taggers[0].labels[0].tolist() == [0, 4]


def test_a_warning_shows_the_beginning_of_a_long_text_and_what_is_too_late_to_learn_is_no_fault() -> None:
    text = "go " * MAX_TOKENS + "Rome"
    late = Example(text, "a", (city(len(text) - 4, len(text)),))
    within = Example(text + "!", "a", (city(0, 1),), location=LINE)
    artifacts = fit_nlu([*FEATURIZERS, DIETClassifierOptions()], NluData(examples=(late, within)), Domain())
    warnings = [str(warning) for warning in artifacts.warnings if "is marked" in str(warning)]
    assert [warning[:50] for warning in warnings] == ["data/nlu.yml:3: 'g' is marked as 'city' in 'go go "]
    assert len(warnings[0]) < 400


def test_the_name_of_an_intent_is_split_where_the_tokenizer_says_so() -> None:
    nlu = NluData(examples=(Example("hi", "greet"), Example("hi where", "greet+ask"), Example("where", "ask")))
    for flag, expected in ((True, (("ask",), ("greet",), ("greet", "ask"))), (False, ())):
        tokenizer = WhitespaceTokenizerOptions(intent_tokenization_flag=flag, intent_split_symbol="+")
        artifacts = fit_nlu([tokenizer, CountVectorsFeaturizerOptions(), DIETClassifierOptions()], nlu, Domain())
        data = diet_of(artifacts)
        assert (data.intent_names, data.intent_words) == (("ask", "greet", "greet+ask"), expected)


FAQ = NluData(
    examples=(
        Example("your name", "faq/name"),
        Example("name please", "faq/name"),
        Example("how old", "faq/age"),
        Example("joke", "chat/joke"),
        Example("hello", "greet"),
    )
)
ANSWERS = Domain(
    responses={
        "utter_faq/age": (ResponseVariation(image="x.png"), ResponseVariation(text="how old indeed")),
        "utter_faq/name": (ResponseVariation(image="x.png"),),
    }
)


def test_a_selector_gets_the_examples_of_retrieval_intents_and_the_texts_of_responses() -> None:
    artifacts = fit_nlu([*FEATURIZERS, ResponseSelectorOptions()], FAQ, ANSWERS)
    data = selector_of(artifacts)
    assert data.keys == ("chat/joke", "faq/age", "faq/name")
    assert data.labels.tolist() == [2, 2, 1, 0]
    assert [len(texts) for texts in data.key_texts] == [0, 1, 0]
    assert artifacts.retrieval_intents == ("chat", "faq")
    assert (artifacts.selectors[0].name, artifacts.selectors[0].model) == ("default", "selector-default")


def test_every_variation_of_a_response_is_a_text_for_it() -> None:
    texts = ("how old indeed", "how old indeed", "a hundred years")
    answers = Domain(responses={"utter_faq/age": tuple(ResponseVariation(text=text) for text in texts)})
    artifacts = fit_nlu([*FEATURIZERS, ResponseSelectorOptions()], FAQ, answers)
    data = selector_of(artifacts)
    expected = [artifacts.pipeline.featurize_response(text).features for text in (texts[0], texts[2])]
    assert [text.sentence_ids.tolist() for text in data.key_texts[1]] == [e.sentence_ids.tolist() for e in expected]


def test_what_a_selector_learns_of_texts_comes_from_the_featurizers_that_it_chooses() -> None:
    words, letters = CountVectorsFeaturizerOptions(), CountVectorsFeaturizerOptions(analyzer="char_wb", alias="letters")
    before = (WhitespaceTokenizerOptions(), words, letters)
    artifacts = fit_nlu([*before, ResponseSelectorOptions(featurizers=("letters",))], FAQ, ANSWERS)
    data, alone = selector_of(artifacts), artifacts.pipeline.selected(("letters",))
    message, answer = alone.featurize("your name").features, alone.featurize_response("how old indeed").features
    assert data.texts[0].sentence_ids.tolist() == message.sentence_ids.tolist()
    assert data.texts[0].ids.tolist() == message.ids.tolist()
    assert data.key_texts[1][0].sentence_ids.tolist() == answer.sentence_ids.tolist()
    assert artifacts.pipeline.store.computed == 5, "four messages and an answer, each once"


@pytest.mark.parametrize("use_text_as_label", [False, True])
def test_a_response_without_text_warns_where_texts_are_the_labels(use_text_as_label: bool) -> None:
    artifacts = fit_nlu([*FEATURIZERS, ResponseSelectorOptions(use_text_as_label=use_text_as_label)], FAQ, ANSWERS)
    assert [str(warning).split(" ", 1)[1][:30] for warning in artifacts.warnings] == (
        ["'utter_faq/name' has no text, "] if use_text_as_label else []
    )


def test_a_selector_of_one_retrieval_intent_gets_its_examples_alone() -> None:
    artifacts = fit_nlu([*FEATURIZERS, ResponseSelectorOptions(retrieval_intent="faq")], FAQ, ANSWERS)
    assert selector_of(artifacts).keys == ("faq/age", "faq/name")
    assert artifacts.selectors[0].model == "selector-faq"


def test_a_selector_with_one_response_is_not_trained_and_says_so() -> None:
    artifacts = fit_nlu([*FEATURIZERS, ResponseSelectorOptions(retrieval_intent="chat")], FAQ, ANSWERS)
    assert artifacts.selectors[0].data is None
    assert "there is 'chat/joke' alone" in str(artifacts.warnings[0])
    assert artifacts.selectors_json()["selectors"][0]["model"] is None


def test_an_intent_of_a_retrieval_example_is_learnt_without_its_key() -> None:
    data = diet_of(fit_nlu([*FEATURIZERS, DIETClassifierOptions()], FAQ, ANSWERS))
    assert data.intent_names == ("chat", "faq", "greet")


def test_patterns_of_an_extractor_are_those_named_like_entities() -> None:
    nlu = NluData(
        examples=TRAVEL.examples,
        regexes=(RegexPattern("city", "R.*"), RegexPattern("zip", "[0-9]+")),
        lookups=(LookupTable("city", ("Rome",)), LookupTable("other", ("x",))),
    )
    (entry,) = fit_nlu([RegexEntityExtractorOptions()], nlu, Domain()).components
    assert entry["patterns"] == [
        {"name": "city", "expression": "R.*"},
        {"name": "city", "phrases": ["Rome"], "word_boundaries": True},
    ]


def test_an_invalid_expression_of_an_extractor_is_refused() -> None:
    nlu = NluData(examples=TRAVEL.examples, regexes=(RegexPattern("city", "(", LINE),))
    with pytest.raises(ProjectError, match=r"data/nlu.yml:3: the regular expression '\(' of 'city' is invalid"):
        fit_nlu([RegexEntityExtractorOptions()], nlu, Domain())


def test_a_keyword_of_two_intents_or_within_another_intents_keyword_is_dropped() -> None:
    nlu = NluData(
        examples=(
            Example("hello", "greet"),
            Example("hello again", "greet"),
            Example("say hello", "ask", location=LINE),
            Example("bye", "bye"),
            Example("bye", "greet", location=LINE),
            Example("faq please", "faq/name"),
            Example("entities only"),
        )
    )
    problems = Problems()
    assert fit_keywords(nlu, True, problems) == {"hello again": "greet", "say hello": "ask", "faq please": "faq"}
    warnings = [str(warning) for warning in problems.warnings]
    assert "data/nlu.yml:3: 'bye' stands for the intents 'bye' and 'greet'" in warnings[0]
    assert "'hello' of the intent 'greet' occurs in 'say hello' of 'ask'" in warnings[1]


def test_a_value_is_its_own_synonym_and_the_later_definition_wins() -> None:
    nlu = NluData(
        examples=(
            Example("in LA", "x", (EntityAnnotation(3, 5, "city", "Los Angeles"),), location=LINE),
            Example("in Oslo", "x", (EntityAnnotation(3, 7, "city", "Oslo"),)),
        ),
        synonyms={"la": "Louisiana", "Bergen": "Oslo", "Oslo": "Capital"},
    )
    problems = Problems()
    assert fit_synonyms(nlu, problems) == {
        "la": "Los Angeles",
        "louisiana": "Louisiana",
        "bergen": "Oslo",
        "oslo": "Capital",
        "capital": "Capital",
        "los angeles": "Los Angeles",
    }
    assert any("'LA' is a synonym of 'Louisiana' and of 'Los Angeles'" in str(w) for w in problems.warnings)


def test_fitting_twice_gives_the_same_files() -> None:
    options = [*FEATURIZERS, KeywordIntentClassifierOptions(), EntitySynonymMapperOptions(), DIETClassifierOptions()]
    one, other = (fit_nlu(options, TRAVEL, ANSWERS) for _ in range(2))
    assert one.pipeline_json() == other.pipeline_json()
    assert one.components_json() == other.components_json()
