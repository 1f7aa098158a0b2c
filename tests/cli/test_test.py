"""`turnstream test` as a whole: stories and NLU data in, exit code and reports out. Its bundle has no networks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from support.small_project import FILES, write_project
from turnstream.assistant.problems import Problems
from turnstream.assistant.reader import ProjectPaths, read_test_stories
from turnstream.testing.harness import train_quietly
from turnstream.training.train import TrainingRequest

Call = Callable[..., Result]

CONFIG = FILES["config.yml"].replace(
    "  - name: FallbackClassifier", "  - name: RegexEntityExtractor\n  - name: FallbackClassifier"
)
DOMAIN = FILES["domain.yml"].replace(
    "slots:\n",
    "entities: [city]\nslots:\n  city:\n    type: text\n    mappings:\n      - {type: from_entity, entity: city}\n",
)
NLU = (
    FILES["data/nlu.yml"]
    + "      - wait in [Rome](city)\n  - lookup: city\n    examples: |\n      - Rome\n      - Oslo\n"
)
RULES = FILES["data/rules.yml"].replace(
    "  - rule: wait\n    steps:\n      - intent: wait\n",
    "  - rule: wait\n    steps:\n      - intent: wait\n      - slot_was_set:\n          - city\n",
)
RIGHT = """
version: "3.1"
stories:
  - story: waiting
    steps:
      - user: hello
        intent: greet
      - action: utter_greet
      - user: wait in [Rome](city)
        intent: wait
      - slot_was_set:
          - city: Rome
      - action: action_wait
      - action: utter_done
"""
WRONG = """
  - story: "counting: one"
    steps:
      - user: count on [me](city)
        intent: count
      - action: action_count
      - action: utter_greet
      - intent: greet
        entities: [city]
      - active_loop: null
      - action: utter_greet
"""


@pytest.fixture(scope="session")
def trained_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"config_yml": CONFIG, "domain_yml": DOMAIN, "data_nlu_yml": NLU, "data_rules_yml": RULES}
    folder = write_project(tmp_path_factory.mktemp("tested"), **files)
    train_quietly(TrainingRequest(ProjectPaths.default(folder), folder / "models", "first"))
    return folder


@pytest.fixture
def project(trained_here: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(trained_here, tmp_path / "project")
    write_tests(folder, RIGHT)
    return folder


def write_tests(project: Path, text: str, name: str = "tests/test_stories.yml") -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(text, encoding="utf-8")


def report(project: Path, name: str, folder: str = "results") -> Any:
    return json.loads((project / folder / name).read_text(encoding="utf-8"))


def names(project: Path, folder: str = "results") -> set[str]:
    return {path.name for path in (project / folder).iterdir()}


def test_everything_is_tested_and_reported_by_the_names_of_the_peer(call: Call, project: Path) -> None:
    result = call("test")
    assert result.exit_code == 0
    assert "Test stories: 1 of 1 passed." in result.output
    assert names(project) == {
        *("intent_report.json", "intent_confusion_matrix.png", "intent_histogram.png"),
        "RegexEntityExtractor_report.json",
        "RegexEntityExtractor_confusion_matrix.png",
        *("story_report.json", "story_confusion_matrix.png", "story_entities_report.json"),
        *("failed_test_stories.yml", "stories_with_warnings.yml"),
    }
    assert report(project, "story_report.json")["conversation_accuracy"]["correct"] == 1
    assert report(project, "intent_report.json")["accuracy"] == 1.0
    assert report(project, "RegexEntityExtractor_report.json")["city"]["support"] == 1
    assert (project / "results" / "story_confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


def test_a_failed_story_is_told_with_what_was_expected_and_what_came(call: Call, project: Path) -> None:
    write_tests(project, RIGHT + WRONG)
    result = call("test", "core", "--e2e", "--no-plot")
    assert result.exit_code == 0
    assert "Test stories: 1 of 2 passed." in result.output
    assert "failed: counting: one (tests/test_stories.yml:16): 'count on me' has other entities" in result.output
    text = (project / "results" / "failed_test_stories.yml").read_text(encoding="utf-8")
    assert "    # predicted entities: none\n" in text
    assert "  - action: utter_greet  # predicted: utter_done (RulePolicy)\n" in text
    assert [step for story in yaml.safe_load(text)["stories"] for step in story["steps"]] == [
        {"intent": "count", "user": "count on [me](city)"},
        {"slot_was_set": [{"city": "me"}]},
        {"action": "action_count"},
        {"action": "utter_greet"},
        {"action": "action_listen"},
        {"intent": "greet", "entities": ["city"]},
        {"slot_was_set": [{"city": ""}]},
        {"active_loop": None},
        {"action": "utter_greet"},
    ]


def test_failed_stories_can_be_read_and_tested_again(call: Call, project: Path) -> None:
    write_tests(project, RIGHT + WRONG)
    call("test", "core", "--e2e", "--no-plot")
    failed = project / "results" / "failed_test_stories.yml"
    problems = Problems()
    again = failed.rename(project / "test_again.yml")
    stories = read_test_stories(project, [again], problems)
    assert (problems.errors, [story.name for story in stories]) == ([], ["counting: one"])
    result = call("test", "core", "--e2e", "--no-plot", "--stories", "test_again.yml", "--out", "again")
    assert "Test stories: 0 of 1 passed." in result.output
    assert report(project, "story_report.json", "again")["conversation_accuracy"]["total"] == 1


@pytest.mark.parametrize(("stories", "code"), [(RIGHT, 0), (RIGHT + WRONG, 1)])
@pytest.mark.parametrize("command", [["test"], ["test", "core"]])
def test_exit_code_where_it_is_asked_for(
    call: Call, project: Path, command: list[str], stories: str, code: int
) -> None:
    write_tests(project, stories)
    result = call(*command, "--fail-on-prediction-errors", "--no-plot")
    assert result.exit_code == code
    assert ("1 of the test stories failed." in result.stderr) == bool(code)


def test_without_e2e_a_message_is_what_the_story_says(call: Call, project: Path) -> None:
    write_tests(project, RIGHT.replace("user: hello", "user: gibberish"))
    assert "Test stories: 1 of 1 passed." in call("test", "core", "--no-plot").output
    assert "story_entities_report.json" not in names(project)
    told = call("test", "core", "--e2e", "--no-plot").output
    assert "'gibberish' is greet, and was understood as nlu_fallback" in told


def test_what_is_written_can_be_chosen(call: Call, project: Path) -> None:
    write_tests(project, RIGHT + WRONG)
    assert call("test", "--no-plot", "--no-errors", "--successes", "--out", "mine").exit_code == 0
    assert names(project, "mine") == {
        *("intent_report.json", "intent_successes.json"),
        *("RegexEntityExtractor_report.json", "RegexEntityExtractor_successes.json"),
        *("story_report.json", "story_entities_report.json", "successful_test_stories.yml"),
    }
    assert "story: waiting" in (project / "mine" / "successful_test_stories.yml").read_text(encoding="utf-8")
    assert len(report(project, "intent_successes.json", "mine")) == 7


def test_stories_of_any_file_are_tested_where_it_is_named(call: Call, project: Path) -> None:
    write_tests(project, "version: '3.1'\nstories:\n" + WRONG, "other.yml")
    result = call("test", "core", "--no-plot", "--stories", "other.yml")
    assert "Test stories: 0 of 1 passed." in result.output


def test_or_and_checkpoints_are_followed(call: Call, project: Path) -> None:
    either = "      - or:\n          - {user: hello, intent: greet}\n          - {user: hi, intent: greet}\n"
    write_tests(project, f"stories:\n  - story: either\n    steps:\n{either}      - action: utter_greet\n")
    assert "Test stories: 2 of 2 passed." in call("test", "core", "--e2e", "--no-plot").output


def test_held_out_examples(call: Call, project: Path) -> None:
    held_out = "nlu:\n  - intent: greet\n    examples: |\n      - hello you\n      - what ho\n"
    write_tests(project, held_out, "held_out.yml")
    result = call("test", "nlu", "--nlu", "held_out.yml", "--no-plot")
    assert result.exit_code == 0
    assert report(project, "intent_report.json")["accuracy"] == 0.5
    assert report(project, "intent_errors.json") == [
        {
            "text": "what ho",
            "intent": "greet",
            "intent_prediction": {"name": "nlu_fallback", "confidence": pytest.approx(0.5)},
        }
    ]
    assert not (project / "results" / "story_report.json").exists()


def test_cross_validation_trains_on_one_part_and_tests_on_the_other(call: Call, project: Path) -> None:
    result = call("test", "nlu", "--cross-validation", "--folds", "2", "--no-plot")
    assert result.exit_code == 0
    assert "Part 2 of 2: 4 examples to learn, 3 to test" in result.output
    found = report(project, "intent_report.json")
    assert sum(found[intent]["support"] for intent in ("greet", "count", "wait")) == 7
    assert {path.name for path in (project / "models").iterdir()} == {"first"}


def test_cross_validation_of_a_project_with_forms(call: Call, project: Path) -> None:
    form = "forms:\n  trip:\n    required_slots: [city]\n"
    (project / "domain.yml").write_text(DOMAIN + form, encoding="utf-8")
    assert call("test", "nlu", "--cross-validation", "--folds", "2", "--no-plot").exit_code == 0


def test_several_configs_are_compared_on_the_same_parts(call: Call, project: Path) -> None:
    (project / "other.yml").write_text(FILES["config.yml"], encoding="utf-8")
    result = call("test", "nlu", "--config", "config.yml", "other.yml", "--folds", "2", "--no-plot")
    assert result.exit_code == 0, result.output
    comparison = result.output[result.output.index("F1\n") :].splitlines()
    rows = [[word for word in line.split() if word != "│"] for line in comparison if line.startswith("│")]
    assert rows == [["config", "0.000"], ["other", "0.000"]]
    first, second = (report(project, "intent_report.json", f"results/{name}") for name in ("config", "other"))
    assert first == second
    (project / "deep").mkdir()
    (project / "deep" / "config.yml").write_text(CONFIG, encoding="utf-8")
    refused = call("test", "nlu", "--config", "config.yml", "deep/config.yml")
    assert (refused.exit_code, "the same name" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("test", "--stories", "nowhere.yml"), "nowhere.yml does not exist"),
        (("test", "nlu", "--nlu", "nowhere.yml"), "nowhere.yml does not exist"),
        (("test", "--model", "nowhere"), "nowhere"),
        (("test", "core", "--stories", "data/nlu.yml"), "nothing to test"),
    ],
)
def test_what_cannot_be_tested_is_refused(call: Call, arguments: tuple[str, ...], why: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 1
    assert why in result.stderr


def test_a_test_file_that_cannot_be_read_is_refused_where_stories_are_tested(call: Call, project: Path) -> None:
    """The others' success would hide that its stories are not tested."""
    write_tests(project, "stories: [{story: a, steps: [{user: hello: there}]}]\n", "tests/test_broken.yml")
    result = call("test", "core")
    assert (result.exit_code, "tests/test_broken.yml:1" in result.stderr) == (1, True)
    assert call("test", "nlu", "--no-plot").exit_code == 0
