"""`turnstream data split`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from turnstream.assistant.problems import Problems
from turnstream.assistant.reader import ProjectPaths, read_into

Call = Callable[..., Result]


def texts(file: Path) -> list[tuple[str | None, str]]:
    nlu = read_into(ProjectPaths(file.parent, None, (), (file,)), Problems()).project.nlu
    return sorted((example.intent, example.text) for example in nlu.examples)


def test_each_intent_has_its_share_in_both_parts(call: Call, project: Path) -> None:
    result = call("data", "split", "nlu", "--training-fraction", "0.5")
    assert result.output.splitlines() == [
        "train_test_split/training_data.yml: 3 examples",
        "train_test_split/test_data.yml: 3 examples",
    ]
    learned, tested = (texts(project / "train_test_split" / f"{name}_data.yml") for name in ("training", "test"))
    assert [intent for intent, _ in learned] == [intent for intent, _ in tested] == ["count", "greet", "wait"]
    assert sorted(learned + tested) == texts(project / "data" / "nlu.yml")


def test_what_was_held_out_can_be_tested(call: Call) -> None:
    call("data", "split", "nlu", "--training-fraction", "0.5", "--random-seed", "7", "--out", "parts")
    result = call("test", "nlu", "--nlu", "parts/test_data.yml", "--no-plot")
    assert result.exit_code == 0
    assert "intents (weighted)" in result.output


def test_patterns_are_in_the_part_to_learn_from(call: Call, project: Path) -> None:
    with (project / "data" / "nlu.yml").open("a") as file:
        file.write(
            "  - lookup: city\n    examples: |\n      - Rome\n  - synonym: big\n    examples: |\n      - large\n"
        )
    call("data", "split", "nlu")
    learned = yaml.safe_load((project / "train_test_split" / "training_data.yml").read_text())["nlu"]
    tested = yaml.safe_load((project / "train_test_split" / "test_data.yml").read_text())["nlu"]
    assert [entry for entry in learned if "intent" not in entry] == [
        {"synonym": "big", "examples": "- large\n"},
        {"lookup": "city", "examples": "- Rome\n"},
    ]
    assert all("intent" in entry for entry in tested)


def test_stories_are_split_file_by_file(call: Call, project: Path) -> None:
    stories = [{"story": f"s{n}", "steps": [{"intent": "greet"}, {"action": "utter_greet"}]} for n in range(10)]
    (project / "data" / "stories.yml").write_text(yaml.safe_dump({"version": "3.1", "stories": stories}))
    result = call("data", "split", "stories")
    assert result.output.splitlines() == [
        "train_test_split/train_stories.yml: 8 stories",
        "train_test_split/test_stories.yml: 2 stories",
    ]
    result = call("test", "core", "--stories", "train_test_split/test_stories.yml", "--no-plot")
    assert "Test stories: 2 of 2 passed." in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("nlu", "--nlu", "nowhere"), "nowhere does not exist"),
        (("nlu", "--nlu", "data/rules.yml"), "no NLU examples"),
        (("stories",), "no stories in data"),
        (("nlu", "--out", "config.yml"), "config.yml"),
    ],
)
def test_what_cannot_be_split_is_refused(call: Call, arguments: tuple[str, ...], why: str) -> None:
    result = call("data", "split", *arguments)
    assert result.exit_code == 1
    assert why in result.stderr


def test_fraction_lies_between_nothing_and_all(call: Call) -> None:
    assert call("data", "split", "nlu", "--training-fraction", "1").exit_code == 2
