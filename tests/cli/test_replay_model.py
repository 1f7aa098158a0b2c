"""`replay --model`: recorded messages answered by another bundle, and what is told of it."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.logs import fill, sqlite_log
from support.small_project import FILES, write_project
from turnstream.assistant.bundle import open_bundle
from turnstream.assistant.reader import ProjectPaths
from turnstream.dialogue.events import (
    ActionExecuted,
    BotUttered,
    Event,
    IntentScore,
    ParseData,
    SessionStarted,
    SlotSet,
    UserFeaturized,
    UserUttered,
)
from turnstream.testing.harness import train_quietly
from turnstream.training.train import TrainingRequest

Call = Callable[..., Result]
LOG = ("--log", "turns.db")
CHANGES = {
    "domain_yml": FILES["domain.yml"].replace("Hello, I am small.", "Hello, I have changed."),
    "data_nlu_yml": FILES["data/nlu.yml"].replace("      - add one\n", ""),
    "data_rules_yml": FILES["data/rules.yml"].replace(
        "- intent: wait\n", "- intent: wait\n      - action: action_count\n"
    ),
}


@pytest.fixture(scope="session")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the small project with another greeting, one example less, and one more action in a rule."""
    folder = write_project(tmp_path_factory.mktemp("changed"), **CHANGES)
    train_quietly(TrainingRequest(ProjectPaths.default(folder), folder / "models", "second"))
    return folder / "models" / "second"


def answered(text: str, at: float, intent: str, confidence: float, *steps: tuple[str, Sequence[Event]]) -> list[Event]:
    parse = ParseData(text=text, intent=IntentScore(intent, confidence))
    message = UserUttered(text=text, parse_data=parse, message_id=f"m{at:g}", input_channel="rest", timestamp=at)
    events: list[Event] = [message, UserFeaturized(use_text_for_featurization=False, timestamp=at)]
    for name, returned in (*steps, ("action_listen", ())):
        events += [ActionExecuted(name=name, policy="RulePolicy", confidence=1.0, timestamp=at), *returned]
    return events


def said(text: str, response: str | None = None) -> BotUttered:
    return BotUttered(text=text, metadata={"utter_action": response} if response else {})


SESSION: list[Event] = [
    ActionExecuted(name="action_session_start", timestamp=99), SessionStarted(timestamp=99),
    ActionExecuted(name="action_listen", timestamp=99),
]  # fmt: skip
COUNTED: list[Event] = [said("counted 1"), SlotSet(name="counted", value=1.0)]
DONE = ("utter_done", [said("Done.", "utter_done")])
GREETED = ("utter_greet", [said("Hello, I am small.", "utter_greet")])
TURNS: list[tuple[str, list[Event]]] = [
    ("ada", [*SESSION, *answered("hello", 100, "greet", 1.0, GREETED)]),
    ("ada", answered("count", 200, "count", 1.0, ("action_count", COUNTED), DONE)),
    ("ada", answered("add one", 300, "count", 1.0, ("action_count", COUNTED), DONE)),
    ("bob", [*SESSION, *answered("wait", 150, "wait", 1.0, ("action_wait", [said("waited")]), DONE)]),
]


@pytest.fixture
async def recorded(project: Path) -> None:
    async with sqlite_log(project / "turns.db") as log:
        await fill(log, TURNS)


def report(call: Call, project: Path, *arguments: str) -> tuple[Result, dict[str, Any]]:
    result = call("replay", *LOG, "--json", "report.json", *arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result, json.loads((project / "report.json").read_text())


@pytest.mark.usefixtures("recorded")
def test_the_same_model_answers_the_same(call: Call, project: Path) -> None:
    result, told = report(call, project, "--model", "models", "--fail-on-difference")
    assert result.exit_code == 0, result.stdout
    version = open_bundle(project / "models" / "first").version
    assert result.stdout == f"4 turns of 2 conversations compared with {version}: 4 agree, 0 differ.\n"
    assert (told["model"], told["state"]) == (version, "recorded")
    # What a custom action did is taken from the record.
    assert told["turns"][2]["replayed"]["texts"] == ["counted 1", "Done."]
    assert not (project / "calls").exists()


@pytest.mark.usefixtures("recorded")
def test_another_model_and_what_it_does_differently(call: Call, project: Path, changed: Path) -> None:
    result, told = report(call, project, "--model", str(changed))
    assert result.exit_code == 0, result.stderr
    turns = {turn["text"]: turn for turn in told["turns"]}
    assert {text: turn["differences"] for text, turn in turns.items()} == {
        "hello": ["texts"],
        "count": [],
        "add one": ["intent", "actions", "texts"],
        "wait": ["actions", "texts", "custom action"],
    }
    assert turns["hello"]["recorded"]["texts"] == ["Hello, I am small."]
    assert turns["hello"]["replayed"]["texts"] == ["Hello, I have changed."]
    assert turns["add one"]["replayed"]["intent"] == "nlu_fallback"
    assert turns["add one"]["replayed"]["actions"] == ["utter_rephrase"]
    # After the first action that is not the recorded one, nothing is known of what others would return.
    assert turns["wait"]["would_call"] == ["action_count", "action_wait"]
    assert told["summary"] == {
        "conversations": 2, "turns": 4, "agree": 1, "differ": 3,
        "by_kind": {"intent": 1, "entities": 0, "actions": 2, "texts": 3, "custom action": 1, "error": 0},
    }  # fmt: skip
    assert "would have called action_count, action_wait" in result.stdout
    version = open_bundle(changed).version
    assert f"4 turns of 2 conversations compared with {version}: 1 agree, 3 differ (3 in texts" in result.stdout


@pytest.mark.usefixtures("recorded")
def test_a_difference_can_fail_the_command(call: Call, changed: Path) -> None:
    assert call("replay", *LOG, "--model", str(changed), "--fail-on-difference").exit_code == 1
    only = call("replay", *LOG, "--model", str(changed), "--fail-on-difference", "--until", "99.5")
    assert (only.exit_code, only.stdout[:7]) == (0, "0 turns")


@pytest.mark.usefixtures("recorded")
def test_a_conversation_that_goes_on_with_the_new_answers(call: Call, project: Path) -> None:
    _, told = report(call, project, "--model", "models", "--free")
    assert told["state"] == "free"
    assert told["summary"]["agree"] == 4


@pytest.mark.usefixtures("recorded")
def test_an_action_server_that_is_to_be_called_and_is_away(call: Call, project: Path) -> None:
    (project / "endpoints.yml").write_text('action_endpoint:\n  url: "http://127.0.0.1:9/webhook"\n')
    _, told = report(call, project, "--model", "models", "--call-actions", "--conversation", "bob")
    (turn,) = told["turns"]
    assert "error" in turn["differences"]
    assert "action_wait" in turn["errors"][0]


@pytest.mark.usefixtures("recorded")
def test_refusals(call: Call, project: Path) -> None:
    assert "no trained model" in call("replay", *LOG, "--model", "data").stderr
    assert "no such" in call("replay", *LOG, "--model", "models", "--json", "no such/file").stderr
    shutil.rmtree(project / "models")
    assert call("replay", *LOG, "--model", "models").exit_code == 1
