"""`train --finetune`: what an earlier bundle knows stays, new vocabulary and labels are added."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.small_project import write_project
from turnstream.assistant.bundle import BundleError, open_bundle
from turnstream.assistant.components import (
    CountVectorsFeaturizerOptions,
    DIETClassifierOptions,
    LexicalSyntacticFeaturizerOptions,
    RegexFeaturizerOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.domain import Domain, ResponseVariation
from turnstream.assistant.nlu_data import Example, NluData, RegexPattern
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.states import StateEncoder
from turnstream.testing.harness import train_quietly
from turnstream.training.finetuning import ModelStart
from turnstream.training.train import TrainingRequest, TrainingResult

CONFIG = """
recipe: default.v1
assistant_id: small
language: en
pipeline:
  - name: WhitespaceTokenizer
  - name: CountVectorsFeaturizer
  - name: DIETClassifier
    epochs: 4
    random_seed: 1
    number_of_transformer_layers: 0
    entity_recognition: false
policies:
  - name: RulePolicy
"""
OPTIONS = [
    WhitespaceTokenizerOptions(),
    RegexFeaturizerOptions(),
    LexicalSyntacticFeaturizerOptions(),
    CountVectorsFeaturizerOptions(),
]
BEFORE = NluData(
    examples=(Example("hello bot", "greet"), Example("Oslo now", "ask")), regexes=(RegexPattern("n", "[0-9]+"),)
)
AFTER = NluData(
    examples=(Example("hello robot", "greet"), Example("Bergen now", "ask"), Example("42", "ask")),
    regexes=(RegexPattern("a", "x+"), RegexPattern("n", "[0-9]{2}")),
)
ANSWERS = Domain(responses={"utter_faq/a": (ResponseVariation(text="the bot answers"),)})


def ids_of(pipeline: FeaturePipeline, text: str) -> tuple[list[list[int]], list[int]]:
    features = pipeline.featurize(text).features
    return [sorted(row[row > 0].tolist()) for row in features.ids], sorted(features.sentence_ids.tolist())


def test_features_keep_their_ids_and_new_ones_follow() -> None:
    before = FeaturePipeline.fit(OPTIONS, BEFORE, ANSWERS)
    after = FeaturePipeline.fit(OPTIONS, AFTER, ANSWERS, FeaturePipeline.from_json(before.to_json()))
    assert ids_of(after, "hello bot") == ids_of(before, "hello bot")
    assert ids_of(after, "Oslo now") == ids_of(before, "Oslo now")
    assert after.spec.token_vocabulary > before.spec.token_vocabulary
    (new,), _ = ids_of(after, "robot")
    assert max(new) > before.spec.token_vocabulary
    old = before.featurize_response("the bot answers").features
    np.testing.assert_array_equal(after.featurize_response("the bot answers").features.ids, old.ids)
    assert (ids_of(after, "42")[1], ids_of(after, "7")[1]) != (ids_of(before, "42")[1], ids_of(before, "7")[1])


def test_the_same_data_give_the_same_pipeline_again() -> None:
    before = FeaturePipeline.fit(OPTIONS, BEFORE, ANSWERS)
    again = FeaturePipeline.fit(OPTIONS, BEFORE, ANSWERS, before)
    assert (again.spec, again.message_spec) == (before.spec, before.message_spec)
    assert again.to_json() == before.to_json()


def test_states_keep_their_features() -> None:
    before = StateEncoder(["intent:b", "slot:gone:0"])
    grown = StateEncoder.of(Domain(), earlier=before).to_json()["features"]
    assert grown[:2] == ["intent:b", "slot:gone:0"]
    assert len(grown) > 2


def test_a_share_of_the_epochs_is_at_least_one() -> None:
    options = DIETClassifierOptions(epochs=10)
    assert [ModelStart(Path(), share).shortened(options).epochs for share in (0.01, 0.25, 1.0)] == [1, 3, 10]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a network, and its bundle `first`."""
    folder = write_project(tmp_path_factory.mktemp("further"), config_yml=CONFIG)
    train_quietly(request(folder, "first"))
    return folder


def request(project: Path, name: str) -> TrainingRequest:
    return TrainingRequest(ProjectPaths.default(project), project / "models", name)


@pytest.fixture
def further(project: Path, tmp_path: Path) -> Callable[..., TrainingResult]:
    """Train the project further, with some texts of its files replaced."""

    def run(*replaced: tuple[str, str, str], name: str = "second") -> TrainingResult:
        changed = write_project(tmp_path, config_yml=CONFIG)
        for file, old, new in replaced:
            path = changed / file
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
        return train_quietly(replace(request(changed, name), finetune=project / "models", epoch_fraction=0.5))

    return run


def test_training_further_adds_words_and_intents(further: Callable[..., TrainingResult]) -> None:
    result = further(
        ("data/nlu.yml", "nlu:\n", "nlu:\n  - intent: absent\n    examples: |\n      - nobody here\n"),
        ("domain.yml", "[greet,", "[absent, greet,"),
    )
    bundle = open_bundle(result.path)
    (entry,) = (e for e in bundle.read_json("nlu/components.json")["components"] if e.get("model") == "diet")
    assert entry["intents"] == ["count", "greet", "wait", "absent"]
    (outcome,) = result.outcomes
    assert not outcome.reused


def test_what_has_not_changed_is_taken_over(further: Callable[..., TrainingResult], project: Path) -> None:
    result = further(("data/rules.yml", "rule: greet", "rule: say hello"), name="third")
    assert [outcome.reused for outcome in result.outcomes] == [True]
    name = "training/diet/weights.npz"
    files = [open_bundle(root).manifest.files[name] for root in (result.path, project / "models" / "first")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("config.yml", "transformer_layers: 0", "transformer_layers: 1", "'DIETClassifier' is not as in"),
        ("config.yml", "  - name: CountVectorsFeaturizer\n", "", "'DIETClassifier' is not as in|featurizer"),
        ("data/nlu.yml", "intent: wait", "intent: count", "the intent 'wait' is learnt there"),
    ],
)
def test_what_would_get_lost_is_refused(
    further: Callable[..., TrainingResult], file: str, old: str, new: str, problem: str
) -> None:
    with pytest.raises(ProjectError, match=problem):
        further((file, old, new))


def test_without_a_bundle_there_is_nothing_to_go_on_from(project: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no trained model here"):
        train_quietly(replace(request(project, "second"), finetune=tmp_path))
