"""`turnstream data validate`: what it prints, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Call = Callable[..., Result]

STORIES = """
version: "3.1"
stories:
  - story: one
    steps:
      - intent: greet
      - action: utter_done
  - story: two
    steps:
      - intent: greet
      - action: utter_rephrase
"""
CONFLICT = (
    "data/stories.yml:7: Stories conflict after 'greet': 'one' goes on with 'utter_done', "
    "'two' with 'utter_rephrase' (data/stories.yml:11)."
)


def break_rule(project: Path) -> None:
    rules = project / "data" / "rules.yml"
    rules.write_text(rules.read_text().replace("action: utter_greet", "action: utter_gret"))


def add_conflict(project: Path) -> None:
    (project / "data" / "stories.yml").write_text(STORIES)
    rules = project / "data" / "rules.yml"
    rules.write_text(rules.read_text().replace("intent: greet", "intent: nlu_fallback", 1))


def add_unused(project: Path) -> None:
    domain = project / "domain.yml"
    domain.write_text(domain.read_text().replace("[greet, count, wait]", "[greet, count, wait, unused]"))


def test_warnings_are_told_beside_errors(call: Call, project: Path) -> None:
    break_rule(project)
    add_unused(project)
    result = call("data", "validate")
    assert result.exit_code == 1
    assert "warning: domain.yml:3: The intent 'unused'" in result.stdout
    assert "error: data/rules.yml:7: The rule 'greet' names the response 'utter_gret'" in result.stderr


def test_json_has_file_line_message_and_hint(call: Call, project: Path) -> None:
    break_rule(project)
    add_unused(project)
    result = call("data", "validate", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    found = json.loads(result.stdout)
    assert found["errors"] == [
        {
            "file": "data/rules.yml",
            "line": 7,
            "message": "The rule 'greet' names the response 'utter_gret', which is not in the domain.",
            "hint": "Did you mean 'utter_greet'?",
        }
    ]
    assert [(w["file"], w["line"]) for w in found["warnings"]] == [("domain.yml", 3), ("domain.yml", 13)]


def test_exit_code_of_json_follows_the_warnings_where_asked(call: Call, project: Path) -> None:
    assert call("data", "validate", "--json", "--fail-on-warnings").exit_code == 0
    add_unused(project)
    assert call("data", "validate", "--json").exit_code == 0
    assert call("data", "validate", "--json", "--fail-on-warnings").exit_code == 1


def test_stories_alone(call: Call, project: Path) -> None:
    add_unused(project)
    assert call("data", "validate", "stories").output == "No errors, 0 warnings.\n"
    add_conflict(project)
    result = call("data", "validate", "stories")
    assert result.exit_code == 0
    assert result.output.startswith(f"warning: {CONFLICT}")
    assert "No errors, 1 warning." in result.output
    assert call("data", "validate", "stories", "--fail-on-warnings").exit_code == 1


def test_stories_need_no_config(call: Call, project: Path) -> None:
    add_conflict(project)
    (project / "config.yml").unlink()
    assert f"warning: {CONFLICT}" in call("data", "validate", "stories").output
    assert call("visualize").exit_code == 0


def test_conflicts_are_among_the_warnings_of_all(call: Call, project: Path) -> None:
    add_conflict(project)
    assert f"warning: {CONFLICT}" in call("data", "validate").output


def test_how_far_back_stories_are_compared_can_be_said(call: Call, project: Path) -> None:
    add_conflict(project)
    stories = project / "data" / "stories.yml"
    stories.write_text(stories.read_text().replace("    steps:\n", "    steps:\n      - action: utter_greet\n", 1))
    assert "Stories conflict" not in call("data", "validate", "stories").output
    assert "Stories conflict" in call("data", "validate", "stories", "--max-history", "1").output
    assert call("data", "validate", "stories", "--max-history", "0").exit_code == 2


def test_stories_that_cannot_be_read_are_errors(call: Call, project: Path) -> None:
    (project / "data" / "stories.yml").write_text("stories: [one]\n")
    result = call("data", "validate", "stories")
    assert result.exit_code == 1
    assert "data/stories.yml:1" in result.stderr
