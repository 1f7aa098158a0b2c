"""The jobs of training and testing by request: what they make of a body, and what they refuse."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.small_project import FILES, write_project
from turnstream.assistant.bundle import open_bundle
from turnstream.assistant.reader import ProjectPaths
from turnstream.cli.workshop import main
from turnstream.gateway.workshop import BODY, ORDER, RESULT
from turnstream.testing.harness import train_quietly
from turnstream.training.train import TrainingRequest

STORIES = """
stories:
  - story: right by its intent, wrong by its text
    steps:
      - user: qwertz
        intent: greet
      - action: utter_greet
  - story: wrong
    steps:
      - user: hello
        intent: greet
      - action: utter_done
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("trained"))
    return train_quietly(TrainingRequest(ProjectPaths.default(folder), folder / "models", "first")).path


def whole_project() -> str:
    merged: dict[str, Any] = {}
    for name in ("config.yml", "domain.yml", "data/nlu.yml", "data/rules.yml"):
        merged |= yaml.safe_load(FILES[name])
    return yaml.safe_dump(merged, sort_keys=False)


def done(folder: Path, kind: str, body: str, **options: Any) -> dict[str, Any]:
    """The result of a job."""
    folder.mkdir(exist_ok=True)
    (folder / BODY).write_text(body, encoding="utf-8")
    (folder / ORDER).write_text(json.dumps({"kind": kind, **options}), encoding="utf-8")
    main(folder)
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def train(folder: Path, body: str, **options: Any) -> dict[str, Any]:
    defaults = {"keep": False, "models": str(folder / "kept"), "force": False, "augmentation": 50}
    return done(folder, "train", body, **defaults | options)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("is_json", [True, False])
def test_a_project_in_one_body_becomes_a_bundle(tmp_path: Path, keep: bool, is_json: bool) -> None:
    project = whole_project()
    body = json.dumps(yaml.safe_load(project)) if is_json else project
    value = train(tmp_path, body, keep=keep)["value"]
    with tarfile.open(tmp_path / value["archive"]) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    unpacked = open_bundle(tmp_path / "unpacked" / value["name"])
    assert "utter_greet" in unpacked.domain.responses
    assert (tmp_path / "kept" / value["name"]).exists() == keep


def test_a_project_is_refused_with_every_problem_at_its_line_of_the_body(tmp_path: Path) -> None:
    body = (
        whole_project().replace("action: utter_greet", "action: utter_greeet").replace("- greet\n", "- greet: 5\n", 1)
    )
    lines = dict(enumerate(body.splitlines(), 1))
    (story,) = (number for number, line in lines.items() if "utter_greeet" in line)
    (intent,) = (number for number, line in lines.items() if "greet: 5" in line)
    refused = train(tmp_path, body)["refused"]
    assert f"domain.yml:{intent}: " in refused
    body = body.replace("greet: 5", "greet")
    assert f"data.yml:{story}: " in train(tmp_path / "again", body)["refused"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("- a list", "mapping"),
        ("pipelines: []", "Did you mean 'pipeline'?"),
        ("a: [", "No valid YAML"),
        ("5", "mapping"),
    ],
)
def test_a_body_that_is_no_project_is_refused(tmp_path: Path, body: str, why: str) -> None:
    assert why in train(tmp_path, body)["refused"]


def test_a_folder_that_cannot_be_written_is_a_conflict(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in train(tmp_path, whole_project(), keep=True, models=str(tmp_path / "file"))["conflict"]


def test_stories_are_played_by_their_intents_or_by_their_texts(tmp_path: Path, bundle: Path) -> None:
    by_intent = done(tmp_path / "intent", "stories", STORIES, e2e=False, model=str(bundle))["value"]
    assert by_intent["report"]["conversation_accuracy"] == {"accuracy": 0.5, "correct": 1, "total": 2}
    assert not by_intent["is_end_to_end_evaluation"]
    greeting = {"action": "utter_greet", "predicted": "utter_greet", "confidence": 1.0, "policy": "RulePolicy"}
    assert by_intent["actions"][0] == greeting
    assert 0 < by_intent["precision"] <= 1
    by_text = done(tmp_path / "text", "stories", STORIES, e2e=True, model=str(bundle))["value"]
    assert by_text["report"]["conversation_accuracy"]["correct"] == 0
    assert by_text["is_end_to_end_evaluation"]


@pytest.mark.parametrize("is_json", [True, False])
def test_examples_are_understood_by_a_bundle(tmp_path: Path, bundle: Path, is_json: bool) -> None:
    examples = [{"text": "hello", "intent": "greet", "entities": []}, {"text": "add one", "intent": "greet"}]
    body = "nlu:\n- intent: greet\n  examples: |\n    - hello\n    - add one\n"
    if is_json:
        body = json.dumps({"rasa_nlu_data": {"common_examples": examples}})
    value = done(tmp_path, "intents", body, folds=0, is_json=is_json, model=str(bundle))["value"]
    evaluation = value["intent_evaluation"]
    assert evaluation["accuracy"] == 0.5
    (wrong,) = evaluation["errors"]
    assert (wrong["text"], wrong["intent"], wrong["intent_prediction"]["name"]) == ("add one", "greet", "count")
    assert [one["predicted"] for one in evaluation["predictions"]] == ["greet", "count"]
    assert evaluation["report"]["greet"]["support"] == 2
    assert value["response_selection_evaluation"] is None


def test_cross_validation_trains_on_the_other_parts(tmp_path: Path) -> None:
    value = done(tmp_path, "intents", whole_project(), folds=2, is_json=False, model="")["value"]
    assert len(value["intent_evaluation"]["predictions"]) == 6
    # Keywords that were not learned cannot be understood.
    assert value["intent_evaluation"]["accuracy"] == 0.0


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("stories", "stories: []", "no stories"),
        ("intents", "nlu: []", "no examples"),
        ("intents", "nlu: 5", "data.yml:1"),
    ],
)
def test_a_body_with_nothing_to_test_is_refused(tmp_path: Path, bundle: Path, kind: str, body: str, why: str) -> None:
    refused = done(tmp_path, kind, body, e2e=False, folds=0, is_json=False, model=str(bundle))["refused"]
    assert why in refused


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in done(tmp_path, "stories", STORIES, e2e=False, model=str(tmp_path))["refused"]


def test_without_tensorflow_the_answer_says_where_to_train(tmp_path: Path) -> None:
    """As in the image of the services, in a process of its own: this one may have imported it."""
    network = whole_project().replace("KeywordIntentClassifier", "CountVectorsFeaturizer\n- name: DIETClassifier")
    (tmp_path / BODY).write_text(network, encoding="utf-8")
    options = {"kind": "train", "keep": False, "models": str(tmp_path), "force": False, "augmentation": 0}
    (tmp_path / ORDER).write_text(json.dumps(options), encoding="utf-8")
    without = "import sys; sys.modules['tensorflow'] = None; from turnstream.cli.workshop import main"
    run = f"{without}; from pathlib import Path; main(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", run], check=True)
    result = json.loads((tmp_path / RESULT).read_text(encoding="utf-8"))
    assert "turnstream bundle install" in result["missing"]
