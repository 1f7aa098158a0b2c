"""LogisticRegressionClassifier and CRFEntityExtractor: trained by libraries, run on numpy alone."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pycrfsuite
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from support.nlu_bundles import write_nlu
from turnstream.assistant.bundle import BundleWriter, open_bundle
from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    CRFEntityExtractorOptions,
    DIETClassifierOptions,
    LogisticRegressionClassifierOptions,
    RegexFeaturizerOptions,
    WhitespaceTokenizerOptions,
    read_component,
)
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import EntityAnnotation, Example, NluData, RegexPattern
from turnstream.assistant.problems import Problems
from turnstream.dialogue.events import ParseData
from turnstream.features.linear_chain import LinearChain
from turnstream.nlu.loaded import LoadedNlu
from turnstream.nlu.understanding import Outside
from turnstream.testing.fake_models import FakeModels
from turnstream.testing.harness import SilentReporter
from turnstream.training.nlu_components import fit_nlu
from turnstream.training.nlu_parts import nlu_parts
from turnstream.training.parts import make

PIPELINE: list[ComponentOptions] = [
    WhitespaceTokenizerOptions(),
    RegexFeaturizerOptions(),
    CountVectorsFeaturizerOptions(),
]


def marked(text: str, intent: str) -> Example:
    """`from {Rome} to <Paris>`: a city of departure and one of arrival."""
    plain, entities = "", []
    for char in text:
        if char in "{<":
            start = len(plain)
        elif char in "}>":
            role = "from" if char == "}" else "to"
            entities.append(EntityAnnotation(start, len(plain), "city", plain[start:], role, None))
        else:
            plain += char
    return Example(plain, intent, tuple(entities))


NLU = NluData(
    examples=(
        marked("hello there", "greet"),
        marked("good morning", "greet"),
        marked("hi bot", "greet"),
        marked("from {Rome} to <Paris>", "travel"),
        marked("to <New York> please", "travel"),
        marked("go to <Oslo> from {New York}", "travel"),
        marked("from {Oslo}", "travel"),
        marked("bye", "leave"),
        marked("see you later", "leave"),
    ),
    regexes=(RegexPattern("capital", "[A-Z][a-z]+"),),
)


def loaded(options: list[ComponentOptions], folder: Path, nlu: NluData = NLU) -> LoadedNlu:
    artifacts = fit_nlu([*PIPELINE, *options], nlu, Domain())
    with BundleWriter(folder / "bundle", domain=Domain(), config=ModelConfig()) as writer:
        write_nlu(writer, artifacts)
        make(nlu_parts(artifacts, ""), writer, None, SilentReporter())
        return LoadedNlu.load(open_bundle(writer.commit()))


async def parse(nlu: LoadedNlu, text: str) -> ParseData:
    return (await nlu.parse(text, Outside(FakeModels()))).parse


@pytest.mark.parametrize("intents", [("greet", "travel"), ("greet", "travel", "leave")])
async def test_a_logistic_regression_ranks_the_intents(intents: tuple[str, ...], tmp_path: Path) -> None:
    nlu = NluData(examples=tuple(example for example in NLU.examples if example.intent in intents))
    classifier = loaded([LogisticRegressionClassifierOptions()], tmp_path, nlu)
    for example in nlu.examples:
        assert (await parse(classifier, example.text)).intent.name == example.intent
    ranking = (await parse(classifier, "hello bot")).intent_ranking
    assert {score.name for score in ranking} == set(intents)
    assert sum(score.confidence for score in ranking) == pytest.approx(1.0, abs=1e-5)
    assert (await parse(classifier, "")).intent.name is None


async def test_options_of_a_logistic_regression_are_followed(tmp_path: Path) -> None:
    options = LogisticRegressionClassifierOptions(ranking_length=2, max_iter=1, class_weight={"leave": 50.0})
    assert len((await parse(loaded([options], tmp_path), "hm")).intent_ranking) == 2


async def test_liblinear_tells_each_intent_from_all_others(tmp_path: Path) -> None:
    options = LogisticRegressionClassifierOptions(solver="liblinear", class_weight=None, tol=1e-8)
    nlu = loaded([options], tmp_path)
    rows = np.zeros((len(NLU.examples), nlu.pipeline.spec.sentence_vocabulary))
    for row, example in zip(rows, NLU.examples, strict=True):
        features = nlu.featurize(example.text).features
        row[features.sentence_ids - 1] = features.sentence_weights
    each = LogisticRegression(solver="liblinear", tol=1e-8, random_state=42)
    expected = OneVsRestClassifier(each).fit(rows, [example.intent for example in NLU.examples])

    for example, probabilities in zip(NLU.examples, expected.predict_proba(rows), strict=True):
        found = {score.name: score.confidence for score in (await parse(nlu, example.text)).intent_ranking}
        assert [found[name] for name in expected.classes_] == pytest.approx(probabilities, abs=1e-3)


async def test_weights_of_intents_count_with_liblinear_too(tmp_path: Path) -> None:
    found = []
    for number, weight in enumerate((None, {"leave": 50.0})):
        options = LogisticRegressionClassifierOptions(solver="liblinear", class_weight=weight)
        ranking = (await parse(loaded([options], tmp_path / str(number)), "x")).intent_ranking
        found.append({score.name: score.confidence for score in ranking}["leave"])
    assert found[1] > 1.3 * found[0]


@pytest.mark.parametrize(
    ("keys", "refusal"),
    [
        ({"solver": "lbgfs"}, "'solver' must be 'lbfgs' or"),
        ({"class_weight": "even"}, "'class_weight' must be 'balanced' or a mapping or null, not 'even'"),
        ({"tol": -1.0}, "'tol' must not be negative, not -1.0"),
        ({"max_iter": -1}, "'max_iter' must not be negative, not -1"),
    ],
)
def test_keys_that_a_logistic_regression_cannot_work_with_are_refused(keys: dict[str, Any], refusal: str) -> None:
    problems = Problems()
    read_component(ComponentConfig("LogisticRegressionClassifier", keys), problems)
    assert [refusal in str(error) for error in problems.errors] == [True]


@pytest.mark.parametrize("featurizers", [[], [CountVectorsFeaturizerOptions(min_df=100)]])
async def test_without_features_nothing_is_learnt_and_a_warning_says_so(
    featurizers: list[ComponentOptions], tmp_path: Path
) -> None:
    options = [*PIPELINE[:1], *featurizers, LogisticRegressionClassifierOptions(), DIETClassifierOptions()]
    artifacts = fit_nlu(options, replace(NLU, regexes=()), Domain())
    assert [training.data for training in (*artifacts.linear, *artifacts.diets)] == [None, None]
    assert [str(warning) for warning in artifacts.warnings] == [
        f"config.yml: {name} learns nothing: the featurizers before it found no features in the examples."
        for name in ("LogisticRegressionClassifier", "DIETClassifier")
    ]


@pytest.mark.parametrize("bilou", [True, False])
async def test_a_crf_finds_entities_and_their_roles(bilou: bool, tmp_path: Path) -> None:
    extractor = loaded([CRFEntityExtractorOptions(BILOU_flag=bilou)], tmp_path)
    for example in NLU.examples:
        found = (await parse(extractor, example.text)).entities
        assert [(e.start, e.end, e.entity, e.role) for e in found] == [
            (e.start, e.end, e.entity, e.role) for e in example.entities
        ]
    (city,) = (await parse(extractor, "to Bergen please")).entities
    assert (city.value, city.role, city.extractor) == ("Bergen", "to", "CRFEntityExtractor")
    assert 0.0 < (city.confidence or 0.0) <= 1.0


async def test_a_crf_sees_patterns_and_affixes_where_asked_to(tmp_path: Path) -> None:
    options = CRFEntityExtractorOptions(features=(("low",), ("pattern", "suffix3", "digit"), ()))
    (city,) = (await parse(loaded([options], tmp_path), "from Kiel")).entities
    assert (city.value, city.role) == ("Kiel", "from")


async def test_without_annotations_or_intents_nothing_is_learnt(tmp_path: Path) -> None:
    nothing = NluData(examples=(Example("hello", "greet"), Example("hi", "greet")))
    options = [LogisticRegressionClassifierOptions(), CRFEntityExtractorOptions()]
    parsed = await parse(loaded(list(options), tmp_path, nothing), "hello")
    assert (parsed.intent.name, parsed.entities) == (None, ())
    assert not list((tmp_path / "bundle" / "nlu").glob("crf*"))


def test_tags_and_confidences_are_those_of_crfsuite(tmp_path: Path) -> None:
    trainer = pycrfsuite.Trainer(verbose=False)
    sequences = [[{"a": 1.0, "b": 0.5}, {"c": 1.0}, {"a": 2.0}], [{"c": 1.0}, {"b": 1.0}]]
    for sequence, tags in zip(sequences, ["xyx", "yx"], strict=True):
        trainer.append(pycrfsuite.ItemSequence(sequence), list(tags))
    trainer.set_params({"c2": 0.1, "feature.possible_transitions": True})
    trainer.train(str(tmp_path / "model"))
    tagger = pycrfsuite.Tagger()
    with tagger.open(str(tmp_path / "model")):
        info = tagger.info()
        tags = sorted(info.labels)
        chain = LinearChain.from_json(
            {
                "tags": tags,
                "transitions": [[info.transitions.get((a, b), 0.0) for b in tags] for a in tags],
                "weights": {
                    name: {i: info.state_features.get((name, tag), 0.0) for i, tag in enumerate(tags)} for name in "abc"
                },
            }
        )
        again = LinearChain.from_json(json.loads(json.dumps(chain.to_json())))
        for sequence in [*sequences, [{"b": 1.0, "unknown": 9.0}]]:
            expected = tagger.tag(pycrfsuite.ItemSequence(sequence))
            found, confidences = again.tag(sequence)
            assert list(found) == expected
            marginals = [tagger.marginal(tag, place) for place, tag in enumerate(expected)]
            assert list(confidences) == pytest.approx(marginals, abs=1e-5)
    assert again.tag([]) == ((), ())


def test_an_unknown_feature_of_a_crf_is_refused() -> None:
    problems = Problems()
    read_component(ComponentConfig("CRFEntityExtractor", {"features": [["low"], ["prefix4"], ["low"]]}), problems)
    assert "unknown feature 'prefix4'. Did you mean 'prefix" in str(problems.errors[0])
