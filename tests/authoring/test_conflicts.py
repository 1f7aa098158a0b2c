"""Stories that contradict each other: which turns, after what, and how far back one looks."""

from pathlib import Path

import pytest
from support.shared import BOTS
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.problems import Problems
from turnstream.assistant.reader import ProjectPaths, read_into
from turnstream.authoring.conflicts import find_conflicts, longest_window, warn_of_conflicts

DATA = BOTS / "rasa-test-data"


def told(file: str, window: int | None) -> list[tuple[str, dict[str, int]]]:
    """What comes before each conflict, and the line of each action."""
    paths = ProjectPaths(DATA, None, (DATA / "test_domains" / "default.yml",), (DATA / "test_yaml_stories" / file,))
    project = read_into(paths, Problems()).project
    found = find_conflicts(project.stories, project.domain, window)
    return [(" ".join(c.after), {turn.action: turn.location.line for turn in c.turns}) for c in found]


@pytest.mark.parametrize(
    ("number", "window", "conflicts"),
    [
        (1, None, []),
        (1, 2, [("utter_greet greet", {"utter_greet": 7, "utter_default": 18})]),
        (2, None, [("greet utter_greet default", {"utter_default": 12, "utter_goodbye": 18})]),
        (3, None, [("greet utter_greet default", {"utter_default": 14, "utter_goodbye": 20})]),
        (4, None, [("greet utter_greet greet utter_greet greet", {"utter_greet": 11, "utter_default": 22})]),
        (5, None, []),
        (5, 2, [("utter_greet greet", {"utter_greet": 18, "utter_default": 20})]),
        (6, None, [("greet", {"utter_greet": 5, "utter_default": 10})]),
    ],
)
def test_conflicts_with_the_lines_of_their_turns(
    number: int, window: int | None, conflicts: list[tuple[str, dict[str, int]]]
) -> None:
    assert told(f"stories_conflicting_{number}.yml", window) == conflicts


@pytest.mark.parametrize(
    "file", ["stories_defaultdomain.yml", "stories_form.yml", "stories_unexpected_intent_unlearnable.yml"]
)
def test_stories_that_agree_are_left_in_peace(file: str) -> None:
    assert told(file, None) == []


def test_listen_that_is_unsaid_is_where_the_next_message_is() -> None:
    assert told("stories.yml", 2) == [("simple utter_default", {"utter_greet": 6, "action_listen": 12})]


def test_warning_names_every_story_and_its_place() -> None:
    paths = ProjectPaths(DATA, None, (DATA / "test_domains" / "default.yml",), (DATA / "test_yaml_stories",))
    file = Path("test_yaml_stories/stories_conflicting_4.yml")
    project = read_into(ProjectPaths(paths.root, None, paths.domain, (DATA / file,)), Problems()).project
    problems = Problems()
    warn_of_conflicts(find_conflicts(project.stories, project.domain, None), problems)
    assert [f"{warning.location}: {warning.message}" for warning in problems.warnings] == [
        f"{file}:11: Stories conflict after '... > utter_greet > greet > utter_greet > greet': 'story 1' goes on with "
        f"'utter_greet', 'story 2' with 'utter_default' ({file}:22)."
    ]


@pytest.mark.parametrize(
    ("policies", "window"),
    [
        ([("MemoizationPolicy", {"max_history": 3}), ("TEDPolicy", {"max_history": 8})], 8),
        ([("MemoizationPolicy", {"max_history": 3}), ("TEDPolicy", {})], None),
        ([("RulePolicy", {}), ("UnexpecTEDIntentPolicy", {"max_history": 9}), ("TEDPolicy", {"max_history": 4})], 4),
        ([("RulePolicy", {})], None),
    ],
)
def test_stories_are_compared_as_far_as_a_policy_looks(
    policies: list[tuple[str, dict[str, int]]], window: int | None
) -> None:
    config = ModelConfig(pipeline=(), policies=tuple(ComponentConfig(name, options) for name, options in policies))
    assert longest_window(config) == window
