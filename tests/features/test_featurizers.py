"""Vectors worked out by hand."""

import json

import numpy as np
import pytest
from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    LexicalSyntacticFeaturizerOptions,
    RegexFeaturizerOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.domain import Domain, ResponseVariation
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import Example, LookupTable, NluData, RegexPattern
from turnstream.assistant.problems import ProjectError
from turnstream.features.arrays import MAX_IDS_PER_TOKEN, MAX_TOKENS, FeatureSpec, TextFeatures, model_inputs, pad
from turnstream.features.choice import FeatureChoice
from turnstream.features.grams import GramAnalyzer
from turnstream.features.pipeline import CACHED_TEXTS, LONGEST_CACHED_TEXT, FeaturePipeline
from turnstream.features.store import Attribute


def fitted(
    options: ComponentOptions, *texts: str, nlu: NluData | None = None, domain: Domain | None = None
) -> FeaturePipeline:
    data = nlu or NluData(examples=tuple(Example(text, "greet") for text in texts))
    return FeaturePipeline.fit([WhitespaceTokenizerOptions(), options], data, domain or Domain())


def rows(features: TextFeatures) -> list[dict[int, float]]:
    return [
        {int(i): float(w) for i, w in zip(ids, weights, strict=True) if i}
        for ids, weights in zip(features.ids, features.weights, strict=True)
    ]


def sentence(features: TextFeatures) -> dict[int, float]:
    return {int(i): float(w) for i, w in zip(features.sentence_ids, features.sentence_weights, strict=True)}


def count_vectors(*texts: str, **options: object) -> FeaturePipeline:
    return fitted(CountVectorsFeaturizerOptions(**options), *texts)  # type: ignore[arg-type]


def test_words_count_once_a_token_and_together_in_the_sentence() -> None:
    # Sorted terms: a 1, b 2, c 3.
    features = count_vectors("b a", "c").featurize("a b a x").features
    assert rows(features) == [{1: 1.0}, {2: 1.0}, {1: 1.0}, {}]
    assert sentence(features) == {1: 2.0, 2: 1.0}


def test_numbers_are_one_word() -> None:
    features = count_vectors("12 apples").featurize("7 pears").features
    assert rows(features)[0] == {1: 1.0}


def test_word_pairs_are_in_the_sentence_row_alone() -> None:
    # Token rows know: a 1, b 2. Sentence rows: a 1, a b 2, b 3.
    pipeline = count_vectors("a b", max_ngram=2)
    assert pipeline.spec == FeatureSpec(2, 3)
    features = pipeline.featurize("a b").features
    assert rows(features) == [{1: 1.0}, {2: 1.0}]
    assert sentence(features) == {1: 1.0, 2: 1.0, 3: 1.0}


def test_characters_within_words_are_counted_with_blanks_around() -> None:
    # " a", "a ", and within "aa" also "aa": ids by sorted terms " a" 1, "a " 2, "aa" 3.
    features = count_vectors("aa a", analyzer="char_wb", min_ngram=2, max_ngram=2).featurize("aaa a").features
    assert rows(features) == [{1: 1.0, 2: 1.0, 3: 2.0}, {1: 1.0, 2: 1.0}]
    assert sentence(features) == {1: 2.0, 2: 2.0, 3: 2.0}


def test_characters_across_words_are_in_the_sentence_row_alone() -> None:
    pipeline = count_vectors("a b", analyzer="char", min_ngram=3, max_ngram=3)
    assert pipeline.spec == FeatureSpec(0, 1)
    assert sentence(pipeline.featurize("a b").features) == {1: 1.0}


def test_a_word_shorter_than_the_n_gram_counts_once() -> None:
    options = CountVectorsFeaturizerOptions(analyzer="char_wb", min_ngram=2, max_ngram=5)
    assert GramAnalyzer(options).grams("a") == [" a", "a ", " a "]


def test_limits_on_document_frequency_and_size() -> None:
    texts = ("a b c", "a b", "a d")
    assert count_vectors(*texts, min_df=2).spec.sentence_vocabulary == 2
    assert count_vectors(*texts, max_df=2).spec.sentence_vocabulary == 3
    assert count_vectors(*texts, max_df=0.4).spec.sentence_vocabulary == 2
    pipeline = count_vectors(*texts, max_features=1)
    assert sentence(pipeline.featurize("a").features) == {1: 1.0}


def test_stop_words_are_left_out() -> None:
    assert count_vectors("the cat", stop_words="english").spec.sentence_vocabulary == 1
    assert count_vectors("the cat", stop_words=("cat",)).spec.sentence_vocabulary == 1


def test_case_and_accents_count_unless_told_otherwise() -> None:
    assert rows(count_vectors("Hello").featurize("HELLO").features) == [{1: 1.0}]
    assert rows(count_vectors("Hello", lowercase=False).featurize("HELLO").features) == [{}]
    assert rows(count_vectors("cafe", strip_accents="unicode").featurize("Café").features) == [{1: 1.0}]


def test_unknown_words_become_the_oov_token_once_training_has_seen_it() -> None:
    # Sorted terms: hi 1, oov 2.
    pipeline = count_vectors("hi there", OOV_token="OOV", OOV_words=("there",))
    assert rows(pipeline.featurize("hi nobody").features) == [{1: 1.0}, {2: 1.0}]
    assert rows(count_vectors("hi", OOV_token="OOV").featurize("nobody").features) == [{}]


def test_forms_of_a_token_and_its_neighbours() -> None:
    options = LexicalSyntacticFeaturizerOptions(features=(("low",), ("BOS", "upper"), ("digit",)))
    pipeline = fitted(options, "a B")
    # (0, low, True) 1; (1, BOS, False) 2; (1, BOS, True) 3; (1, upper, False) 4; (1, upper, True) 5;
    # (2, digit, False) 6.
    assert pipeline.spec == FeatureSpec(6, 0)
    features = pipeline.featurize("a B").features
    assert rows(features) == [{3: 1.0, 4: 1.0, 6: 1.0}, {1: 1.0, 2: 1.0, 5: 1.0}]
    assert sentence(features) == {}
    # A digit was never seen after a token, nor anything but small letters before one.
    assert rows(pipeline.featurize("B 1").features) == [{3: 1.0, 5: 1.0}, {2: 1.0, 4: 1.0}]


def regex_data(**options: object) -> NluData:
    return NluData(
        examples=(Example("x", "greet"),),
        regexes=(RegexPattern("zip", "[0-9]{5}"), RegexPattern("article", "A-[0-9]+")),
        lookups=(LookupTable("city", ("New York", "Rome")),),
    )


def test_patterns_mark_the_tokens_they_touch_by_name_before_lookups() -> None:
    # article 1, zip 2, then the lookup table 3.
    pipeline = fitted(RegexFeaturizerOptions(), nlu=regex_data())
    features = pipeline.featurize("New York 12345 A-77").features
    assert rows(features) == [{3: 1.0}, {3: 1.0}, {2: 1.0}, {1: 1.0}]
    assert sentence(features) == {1: 1.0, 2: 1.0, 3: 1.0}


def test_case_and_word_boundaries_of_patterns() -> None:
    exact = fitted(RegexFeaturizerOptions(), nlu=regex_data())
    assert rows(exact.featurize("rome Romeo").features) == [{}, {}]
    loose = fitted(RegexFeaturizerOptions(case_sensitive=False, use_word_boundaries=False), nlu=regex_data())
    assert rows(loose.featurize("rome Romeo").features) == [{3: 1.0}, {3: 1.0}]
    only = fitted(RegexFeaturizerOptions(use_regexes=False), nlu=regex_data())
    assert only.spec == FeatureSpec(1, 1)


def test_an_invalid_regular_expression_is_refused_with_its_line() -> None:
    nlu = NluData(regexes=(RegexPattern("zip", "[0-9", Location("data/nlu.yml", 7)),))
    with pytest.raises(ProjectError, match=r"data/nlu.yml:7: the regular expression '\[0-9' of 'zip' is invalid"):
        fitted(RegexFeaturizerOptions(), nlu=nlu)


def test_featurizers_share_one_id_space_in_the_order_of_the_pipeline() -> None:
    options = [
        WhitespaceTokenizerOptions(),
        CountVectorsFeaturizerOptions(),
        CountVectorsFeaturizerOptions(analyzer="char_wb", min_ngram=1, max_ngram=1),
    ]
    pipeline = FeaturePipeline.fit(options, NluData(examples=(Example("ab", "greet"),)), Domain())
    # The word is 1; " ", "a" and "b" are 2 to 4.
    features = pipeline.featurize("ab").features
    assert rows(features) == [{1: 1.0, 2: 2.0, 3: 1.0, 4: 1.0}]
    assert sentence(features) == {1: 1.0, 2: 2.0, 3: 1.0, 4: 1.0}


def faq_domain(*texts: str) -> Domain:
    return Domain(responses={"utter_faq/a": tuple(ResponseVariation(text=text) for text in texts)})


def test_words_of_responses_alone_do_not_reach_messages() -> None:
    pipeline = fitted(CountVectorsFeaturizerOptions(), "hi you", domain=faq_domain("hi stranger"))
    assert (pipeline.message_spec, pipeline.spec) == (FeatureSpec(2, 2), FeatureSpec(3, 3))
    assert rows(pipeline.featurize("hi stranger").features) == [{1: 1.0}, {}]
    # A word of both has one id; `you` is none of the responses' words.
    assert rows(pipeline.featurize_response("hi you stranger").features) == [{1: 1.0}, {}, {3: 1.0}]


def test_a_shared_vocabulary_holds_for_messages_and_responses() -> None:
    options = CountVectorsFeaturizerOptions(use_shared_vocab=True)
    pipeline = fitted(options, "hi you", domain=faq_domain("hi stranger"))
    assert pipeline.message_spec == pipeline.spec == FeatureSpec(3, 3)
    for featurize in (pipeline.featurize, pipeline.featurize_response):
        assert rows(featurize("hi you stranger").features) == [{1: 1.0}, {2: 1.0}, {3: 1.0}]


def test_a_stored_pipeline_gives_the_same_features() -> None:
    options = [
        WhitespaceTokenizerOptions(),
        RegexFeaturizerOptions(),
        LexicalSyntacticFeaturizerOptions(),
        CountVectorsFeaturizerOptions(OOV_token="oov", OOV_words=("x",)),
        CountVectorsFeaturizerOptions(analyzer="char_wb", max_ngram=3, alias="letters"),
    ]
    pipeline = FeaturePipeline.fit(options, regex_data(), faq_domain("Rome is nice"))
    again = FeaturePipeline.from_json(pipeline.to_json())
    assert (again.spec, again.message_spec) == (pipeline.spec, pipeline.message_spec)
    for text in ("x y", "New York 12345", "", "Rome!"):
        for one, other in (
            (pipeline.featurize(text), again.featurize(text)),
            (pipeline.featurize_response(text), again.featurize_response(text)),
        ):
            assert one.tokens == other.tokens
            assert rows(one.features) == rows(other.features)
            assert sentence(one.features) == sentence(other.features)


@pytest.mark.parametrize("damage", [{}, {"tokenizer": None}, {"tokenizer": {"name": "RulePolicy"}, "featurizers": []}])
def test_a_damaged_pipeline_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"damaged|no tokenizer"):
        FeaturePipeline.from_json(damage)


def test_a_loaded_pipeline_keeps_the_latest_texts_alone_and_no_huge_ones() -> None:
    loaded = FeaturePipeline.from_json(json.loads(json.dumps(count_vectors("a b").to_json())))
    for number in range(CACHED_TEXTS + 5):
        loaded.featurize(f"a {number}")
    loaded.featurize("b" * (LONGEST_CACHED_TEXT + 1))
    assert len(loaded.store) == CACHED_TEXTS
    assert (Attribute.TEXT, "a 4") not in loaded.store
    assert (Attribute.TEXT, "a 5") in loaded.store


def test_some_featurizers_can_be_selected_by_name_with_the_same_ids() -> None:
    options = [
        WhitespaceTokenizerOptions(),
        CountVectorsFeaturizerOptions(),
        CountVectorsFeaturizerOptions(analyzer="char_wb", alias="letters"),
    ]
    pipeline = FeaturePipeline.fit(options, NluData(examples=(Example("ab", "greet"),)), Domain())
    both, letters = (p.featurize("ab").features for p in (pipeline, pipeline.selected(("letters",))))
    assert rows(letters)[0] == {i: w for i, w in rows(both)[0].items() if i > 1}


CHOICES = [
    WhitespaceTokenizerOptions(),
    RegexFeaturizerOptions(),
    LexicalSyntacticFeaturizerOptions(alias="forms"),
    CountVectorsFeaturizerOptions(),
    CountVectorsFeaturizerOptions(analyzer="char_wb", max_ngram=2, alias="letters"),
]
LEARNT = NluData(examples=(Example("ab 12", "greet"), Example("Ba", "bye")), regexes=(RegexPattern("n", "[0-9]+"),))


@pytest.mark.parametrize(
    "names", [("letters",), ("forms", "RegexFeaturizer"), ("CountVectorsFeaturizer",), ("nobody",)], ids=",".join
)
def test_what_chosen_featurizers_give_can_be_told_from_the_features_of_all(names: tuple[str, ...]) -> None:
    domain = Domain(responses={"utter_faq/a": (ResponseVariation(text="ba ca"),)})
    pipeline = FeaturePipeline.fit(CHOICES, LEARNT, domain)
    stored = json.dumps(choice.to_json()) if (choice := pipeline.choice(names)) else ""
    loaded = FeatureChoice.from_json(json.loads(stored), pipeline.spec)

    alone = pipeline.selected(names)
    for both, expected in (
        (pipeline.featurize("ab 12 Ba"), alone.featurize("ab 12 Ba")),
        (pipeline.featurize_response("ba ca"), alone.featurize_response("ba ca")),
    ):
        found = loaded.of(both.features)
        assert found.ids.tolist() == expected.features.ids.tolist()
        assert found.weights.tolist() == expected.features.weights.tolist()
        assert sentence(found) == sentence(expected.features)


def test_who_names_no_featurizer_sees_the_features_of_all() -> None:
    assert count_vectors("a").choice(()) is None


def test_without_a_tokenizer_there_are_no_tokens() -> None:
    featurized = FeaturePipeline.fit([], NluData(), Domain()).featurize("hello")
    assert featurized.tokens == ()
    assert featurized.features.ids.shape == (0, 0)


def test_rows_of_a_huge_text_are_bounded_while_its_tokens_and_sentence_are_whole() -> None:
    featurized = count_vectors("a", "b").featurize("a " * 2000 + "b")
    assert len(featurized.tokens) == 2001
    assert featurized.features.ids.shape[0] == MAX_TOKENS
    assert sentence(featurized.features) == {1: 2000.0, 2: 1.0}


def test_the_features_of_a_huge_word_are_bounded() -> None:
    word = "".join(chr(0x4E00 + i) for i in range(1000))
    features = count_vectors(word, analyzer="char_wb").featurize(word).features
    assert features.ids.shape == (1, MAX_IDS_PER_TOKEN)


def test_padding_keeps_every_axis_and_sends_dense_features_only_where_a_model_has_them() -> None:
    pipeline = count_vectors("a b", "c")
    batch = pad([pipeline.featurize(text).features for text in ("a b", "x")])
    assert batch.ids.tolist() == [[[1], [2]], [[0], [0]]]
    assert batch.lengths.tolist() == [2, 1]
    assert batch.sentence_ids.tolist() == [[1, 2], [0, 0]]
    assert "dense" not in model_inputs(batch, pipeline.spec)
    assert "dense" in model_inputs(batch, FeatureSpec(3, 3, 4))
    assert batch.weights.dtype == np.float32
