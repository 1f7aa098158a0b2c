"""`turnstream train` and `turnstream data validate`."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from turnstream.assistant.bundle import find_bundle, open_bundle

Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _keep_signals() -> Iterator[None]:
    """Training handles SIGTERM its own way, in a process of its own."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def files(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_trains_the_project_of_the_folder_without_a_flag(call: Call, project: Path) -> None:
    with (project / "data" / "nlu.yml").open("a") as file:
        file.write("  - intent: greet\n    examples: |\n      - good morning\n")
    story = "stories:\n- story: one\n  steps:\n  - intent: greet\n  - action: utter_greet\n"
    (project / "data" / "one.yml").write_text(story)
    result = call("train")
    assert result.exit_code == 0
    assert "7 examples, 3 intents, 1 story, 4 rules, 1 slot, 3 responses" in result.output
    assert "Your assistant is trained: models/" in result.output
    assert len(files(project / "models")) == 2


def test_says_when_nothing_has_changed(call: Call, project: Path) -> None:
    result = call("train")
    assert result.exit_code == 0
    assert "Nothing has changed since models/first was trained" in result.output
    assert files(project / "models") == {"first"}


def test_names_and_places_a_bundle_as_told(call: Call, project: Path) -> None:
    assert call("train", "--fixed-model-name", "mine", "--out", "elsewhere").exit_code == 0
    assert open_bundle(find_bundle(project / "elsewhere")).root.name == "mine"


def test_each_training_is_a_version_of_its_own_however_soon_after_another(call: Call, project: Path) -> None:
    for name in ("a", "b", "c"):
        assert call("train", "--force", "--fixed-model-name", name).exit_code == 0
    assert len({open_bundle(project / "models" / name).version for name in ("a", "b", "c")}) == 3


def test_trains_further_from_the_newest_bundle_or_the_one_named(call: Call) -> None:
    assert "Nothing has changed since models/first was trained" in call("train", "--finetune").output
    named = call("train", "--finetune", "models/first", "--epoch-fraction", "0.5", "--fixed-model-name", "second")
    assert named.output.splitlines()[-1] == "Your assistant is trained: models/second"


def test_training_further_needs_a_bundle(call: Call) -> None:
    result = call("train", "--finetune", "nowhere")
    assert (result.exit_code, result.stderr) == (
        1,
        "--finetune: nowhere: no trained model here. Run 'turnstream train' first.\n",
    )
    assert call("train", "--finetune", "--epoch-fraction", "0").exit_code == 2


def test_takes_several_files_after_one_flag(call: Call) -> None:
    result = call("train", "--data", "data/nlu.yml", "data/rules.yml", "--domain", "domain.yml", "-c", "config.yml")
    assert "6 examples, 3 intents, 4 rules" in result.output


@pytest.mark.parametrize("command", [["train"], ["data", "validate"]])
def test_all_problems_are_told_with_their_places_and_nothing_is_written(
    call: Call, project: Path, command: list[str]
) -> None:
    rules = project / "data" / "rules.yml"
    rules.write_text(rules.read_text().replace("utter_greet", "utter_gret").replace("intent: wait", "intent: weight"))
    result = call(*command)
    assert result.exit_code == 1
    assert "data/rules.yml:7" in result.stderr
    assert "utter_gret" in result.stderr
    assert "weight" in result.stderr
    assert result.stderr.splitlines()[-1].endswith("errors; nothing was done.")
    assert files(project / "models") == {"first"}


@pytest.mark.parametrize("command", [["train"], ["data", "validate"]])
def test_rules_that_contradict_each_other_are_refused(call: Call, project: Path, command: list[str]) -> None:
    with (project / "data" / "rules.yml").open("a") as file:
        file.write("  - rule: greet otherwise\n    steps:\n      - intent: greet\n      - action: utter_done\n")
    result = call(*command)
    assert result.exit_code == 1
    assert "greet otherwise" in result.stderr


def test_places_where_no_bundle_can_be_are_refused_first(call: Call) -> None:
    result = call("train", "--out", "config.yml")
    assert (result.exit_code, result.stderr) == (
        1,
        "--out: config.yml is no folder, and none can be made there: File exists.\n",
    )
    assert "is no name of a folder" in call("train", "--fixed-model-name", "../x").stderr


@pytest.mark.parametrize("command", [["train"], ["data", "validate"]])
def test_a_folder_without_a_project_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*command)
    assert result.exit_code == 1
    assert "turnstream init" in result.stderr


def test_a_file_that_is_not_there_is_told(call: Call) -> None:
    result = call("train", "--config", "other.yml")
    assert (result.exit_code, result.stderr) == (
        1,
        f"other.yml does not exist. It was looked for in {Path().resolve()}.\n",
    )


def test_validation_counts_warnings_and_can_refuse_them(call: Call, project: Path) -> None:
    assert call("data", "validate").output == "No errors, 0 warnings.\n"
    domain = project / "domain.yml"
    domain.write_text(domain.read_text().replace("[greet, count, wait]", "[greet, count, wait, unused]"))
    result = call("data", "validate")
    assert result.exit_code == 0
    assert "unused" in result.output
    assert call("data", "validate", "--fail-on-warnings").exit_code == 1
