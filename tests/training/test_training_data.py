"""What a project must have to be trained, and what comes of a part of it."""

from pathlib import Path

import pytest
from turnstream.assistant.bundle import find_bundle, open_bundle
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.testing.harness import train_quietly
from turnstream.training.train import TrainingRequest

DOMAIN = "intents: [greet]\nresponses: {utter_greet: [{text: hi}]}\n"
EXAMPLES = "nlu:\n- intent: greet\n  examples: '- hello'\n"
RULES = "rules:\n- rule: r\n  steps: [{intent: greet}, {action: utter_greet}]\n"


def train(folder: Path, **data: str) -> LoadedAssistant:
    (folder / "data").mkdir()
    (folder / "domain.yml").write_text(DOMAIN)
    (folder / "config.yml").write_text("pipeline: [{name: KeywordIntentClassifier}]\npolicies: [{name: RulePolicy}]\n")
    for name, text in data.items():
        (folder / "data" / f"{name}.yml").write_text(text)
    result = train_quietly(TrainingRequest(ProjectPaths.default(folder), folder / "models"))
    return LoadedAssistant.load(open_bundle(result.path))


def test_without_stories_and_rules_only_nlu_is_trained(tmp_path: Path) -> None:
    assert not train(tmp_path, nlu=EXAMPLES).has_policies


def test_rules_alone_can_be_trained(tmp_path: Path) -> None:
    assert train(tmp_path, rules=RULES).has_policies


def test_a_project_without_any_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="data: There is nothing to train"):
        train(tmp_path)


def test_a_key_without_effect_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(DOMAIN)
    (tmp_path / "config.yml").write_text(
        "pipeline: [{name: KeywordIntentClassifier}]\npolicies: [{name: RulePolicy, max_history: 3}]\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rules.yml").write_text(RULES)
    result = train_quietly(TrainingRequest(ProjectPaths.default(tmp_path), tmp_path / "models"))
    assert [str(warning) for warning in result.warnings if "no effect" in str(warning)] == [
        "config.yml:2: RulePolicy: 'max_history' has no effect. Rules are always matched in full."
    ]


def test_texts_beside_intents_of_stories_and_rules_are_examples(tmp_path: Path) -> None:
    stories = "stories:\n- story: s\n  steps: [{or: [{intent: greet, user: '[Bo](name) here'}, {user: ahoy}]}]\n"
    rules = RULES.replace("intent: greet", "intent: greet, user: good day")
    train(tmp_path, nlu=EXAMPLES, stories=stories, rules=rules)
    components = open_bundle(find_bundle(tmp_path / "models")).read_json("nlu/components.json")["components"]
    assert components[0]["keywords"] == [["hello", "greet"], ["Bo here", "greet"], ["good day", "greet"]]
