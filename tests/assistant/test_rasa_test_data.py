"""The inputs of Rasa's own unit tests: every file there is accepted or refused as Rasa 3.6 does.

Refused are the files meant to be wrong, those of earlier versions (slots without mappings, `triggers`, pipeline
templates), one with a rule among its stories, and the two whose story has an intent without a name, which Rasa drops
with a warning.
"""

from pathlib import Path

import pytest
from support.shared import BOTS
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths, ReadResult, read_project
from turnstream.assistant.validation import load_project

ROOT = BOTS / "rasa-test-data"
FILES = sorted(path for path in ROOT.rglob("*.y*ml") if path.name != "credentials.yml")

REFUSED = {
    "test_domains/default_with_mapping.yml": "3: The intent 'greet': 'triggers' was removed",
    "test_domains/duplicate_actions.yml": "35: 'utter_default' is listed twice",
    "test_domains/duplicate_entities.yml": "22: 'name' is listed twice",
    "test_domains/duplicate_intents.yml": "5: 'default' is listed twice",
    "test_domains/duplicate_responses.yml": "22: The key 'utter_greet' is there twice",
    "test_domains/empty_response_format.yml": "16: The response 'utter_greet' must be a list, not nothing",
    "test_domains/form.yml": "12: The slot 'cuisine' has no 'mappings'",
    "test_domains/invalid_format.yml": "15: No valid YAML",
    "test_domains/missing_text_for_templates.yml": "8: A variation of 'utter_greet' is a bare text",
    "test_domains/people_form.yml": "7: The slot 'person_name' has no 'mappings'",
    "test_domains/query_form.yml": "6: The slot 'username' has no 'mappings'",
    "test_domains/restaurant_form.yml": "10: The slot 'cuisine' has no 'mappings'",
    "test_domains/test_domain_from_directory/domain_invalid.yml": "4: The key 'version' is there twice",
    "test_domains/wrong_custom_response_format.yml": "17: A variation of 'utter_greet': unknown key 'super'",
    "test_domains/wrong_response_format.yml": "17: A variation of 'utter_greet' is a bare text",
    "test_mixed_yaml_training_data/training_data.yml": "15: A rule must be in 'rules'",
    "test_multi_domain/data/MoodBot/config.yml": "4: 'pipeline' is the name of a template",
    "test_yaml_stories/rules_missing_intent.yml": "6: The rule 'greet user': a step: 'intent' must be a text",
    "test_yaml_stories/stories_missing_intent.yml": "6: The story 'greet user': a step: 'intent' must be a text",
}


def read_alone(path: Path) -> ReadResult:
    """Read one file as what its folder says that it is."""
    folder = path.parent
    if "config" in path.name or folder.name == "test_config":
        return read_project(ProjectPaths(folder, path, (), ()))
    if "test_endpoints" in path.parts:
        return read_project(ProjectPaths(folder, None, (), (), path))
    if "test_domains" in path.parts or path.name == "domain.yml":
        return read_project(ProjectPaths(folder, None, (path,), ()))
    return read_project(ProjectPaths(folder, None, (), (path,)))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [p for p in FILES if name_of(p) not in REFUSED], ids=name_of)
def test_the_file_is_read(path: Path) -> None:
    project = read_alone(path).project

    assert project.domain.intents


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_the_file_is_refused_with_line_and_reason(name: str) -> None:
    with pytest.raises(ProjectError) as refused:
        read_alone(ROOT / name)

    assert f"{Path(name).name}:{REFUSED[name]}" in str(refused.value)


@pytest.mark.parametrize(
    ("folder", "intents"),
    [
        ("test_domain_from_directory_for_entities", 6),
        ("test_domain_from_directory_tree", 6),
        ("test_domain_from_multiple_files", 32),
        ("test_domain_with_duplicates", 8),
        ("test_domain_without_duplicates", 8),
    ],
)
def test_a_domain_folder_is_merged(folder: str, intents: int) -> None:
    domain = read_project(ProjectPaths(ROOT, None, (ROOT / "test_domains" / folder,), ())).project.domain

    assert len([i for i in domain.intents.values() if i.location.line]) == intents


def test_one_bad_file_in_a_domain_folder_refuses_it_by_name() -> None:
    folder = ROOT / "test_domains" / "test_domain_from_directory"

    with pytest.raises(ProjectError, match=r"domain_invalid.yml:4: The key 'version' is there twice"):
        read_project(ProjectPaths(folder, None, (folder,), ()))


@pytest.mark.parametrize(
    "name", ["test_e2ebot", "test_moodbot", "test_multi_domain", "test_response_selector_bot", "test_restaurantbot"]
)
def test_the_whole_project_can_be_trained(name: str) -> None:
    project = load_project(ProjectPaths.default(ROOT / name)).project

    assert project.nlu.examples
    assert project.stories or project.rules


def test_a_project_that_imports_others_gets_their_data_and_domains() -> None:
    project = load_project(ProjectPaths.default(ROOT / "test_multi_domain")).project

    assert [c.name for c in project.config.pipeline or ()] == ["KeywordIntentClassifier"]
    assert {"goodbye", "greet", "mood_great"} <= set(project.domain.intents)
    assert {"utter_goodbye", "utter_greet", "utter_happy"} <= set(project.domain.responses)
    assert len(project.stories) == 5


def test_only_imported_projects_are_read(tmp_path: Path) -> None:
    for name, text in {
        "config.yml": "importers: [{name: MultiProjectImporter}]\nimports: [skills/one]\n",
        "domain.yml": "intents: [root]\n",
        "skills/one/domain.yml": "intents: [one]\n",
        "skills/one/data/nlu.yml": "nlu: [{intent: one, examples: '- 1'}]\n",
        "skills/two/domain.yml": "intents: [two]\n",
        "skills/two/data/nlu.yml": "nlu: [{intent: two, examples: '- 2'}]\n",
        "data/nlu.yml": "nlu: [{intent: root, examples: '- 0'}]\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    project = read_project(ProjectPaths.default(tmp_path)).project

    assert {i for i in project.domain.intents if project.domain.intents[i].location.line} == {"root", "one"}
    assert {e.intent for e in project.nlu.examples} == {"root", "one"}


def test_a_missing_import_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("importers: [{name: MultiProjectImporter}]\nimports: [skills/none]\n")
    (tmp_path / "domain.yml").write_text("intents: []\n")
    (tmp_path / "data").mkdir()

    with pytest.raises(ProjectError, match="The imported project 'skills/none' does not exist"):
        read_project(ProjectPaths.default(tmp_path))
