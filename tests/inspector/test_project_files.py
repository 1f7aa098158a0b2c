"""Examples and stories are saved where the project keeps such things, whatever its folders are called."""

import shutil
from pathlib import Path

import pytest
from support.inspected import inspected
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.inspector.examples import NewExample, add_example
from turnstream.inspector.project_files import ProjectFiles

STORIES = "stories:\n- story: {name}\n  steps:\n  - intent: greet\n  - action: utter_greet\n"


def written(folder: Path, **contents: str) -> Path:
    """Files by their path with `__` for slashes, all `.yml`."""
    for name, content in contents.items():
        file = folder / f"{name.replace('__', '/')}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return folder


def stories(*names: str) -> str:
    first, *rest = (STORIES.format(name=name) for name in names)
    return first + "".join(text.removeprefix("stories:\n") for text in rest)


@pytest.mark.parametrize(
    ("contents", "data", "story", "test"),
    [
        ({}, (), "data/stories.yml", "tests/test_stories.yml"),
        ({"data__nlu": "nlu: []"}, (), "data/stories.yml", "tests/test_stories.yml"),
        (
            {"data__chitchat": stories("a"), "data__core__main": stories("b", "c"), "tests__test_all": stories("t")},
            (),
            "data/core/main.yml",
            "tests/test_all.yml",
        ),
        (
            {"data__stories": stories("a"), "data__more": stories("b", "c"), "data__test_more": stories("t")},
            (),
            "data/stories.yml",
            "data/test_more.yml",
        ),
        (
            {"data__stories": stories("old"), "de__core": stories("a"), "de__rules": "rules: []"},
            ("de",),
            "de/core.yml",
            "tests/test_stories.yml",
        ),
        ({"de__nlu": "nlu: []"}, ("de",), "de/stories.yml", "tests/test_stories.yml"),
        ({"nlu": "nlu: []", "core": stories("a")}, ("nlu.yml", "core.yml"), "core.yml", "tests/test_stories.yml"),
        ({"nlu": "nlu: []"}, ("nlu.yml",), "nlu.yml", "tests/test_stories.yml"),
        ({"data__broken": "stories: [\n"}, (), "data/broken.yml", "tests/test_stories.yml"),
    ],
    ids=["nothing", "no-stories", "where-most-are", "usual", "elsewhere", "new", "files", "one-file", "broken"],
)
def test_a_story_goes_where_stories_are(
    tmp_path: Path, contents: dict[str, str], data: tuple[str, ...], story: str, test: str
) -> None:
    files = ProjectFiles(written(tmp_path, **contents), [tmp_path / name for name in data])
    assert (files.home_of_stories(tests=False), files.home_of_stories(tests=True)) == (story, test)


@pytest.mark.parametrize(
    ("data", "file"), [((), "data/nlu.yml"), (("de",), "de/nlu.yml"), (("de/one.yml",), "de/one.yml")]
)
def test_the_first_example_of_all_goes_to_the_data(tmp_path: Path, data: tuple[str, ...], file: str) -> None:
    written(tmp_path, de__one="rules: []\n")
    files = ProjectFiles(tmp_path, [tmp_path / name for name in data])
    assert add_example(files, NewExample("hey", "greet")).change.path == file


def test_an_example_of_an_intent_in_several_files_goes_where_most_are(tmp_path: Path) -> None:
    written(
        tmp_path,
        nlu__de__greet="nlu:\n- intent: greet\n  examples: |\n    - hallo\n    - moin\n",
        nlu__en__all="nlu:\n- intent: bye\n  examples: |\n    - bye\n- intent: greet\n  examples: |\n    - hi\n",
    )
    files = ProjectFiles(tmp_path, [tmp_path / "nlu"])
    added = {intent: add_example(files, NewExample("so long", intent)) for intent in ("greet", "bye")}
    assert {intent: found.change.path for intent, found in added.items()} == {
        "greet": "nlu/de/greet.yml",
        "bye": "nlu/en/all.yml",
    }
    assert added["bye"].change.diff.endswith(
        "     - bye\n+    - so long\n - intent: greet\n   examples: |\n     - hi\n"
    )


def test_files_of_imported_projects_are_saved_into(tmp_path: Path) -> None:
    greets = "nlu:\n- intent: greet\n  examples: |\n    - hi\n"
    written(
        tmp_path / "bot",
        config="importers: [{name: MultiProjectImporter}]\nimports: [skills/small, ../elsewhere]\n",
        skills__small__domain="intents: [greet]\n",
        skills__small__data__nlu=greets,
        skills__small__data__core=stories("a"),
        skills__unused__data__nlu=greets + "    - hey\n",
    )
    written(tmp_path / "elsewhere", nlu=greets + "    - hello\n    - hey\n")
    files = ProjectFiles(tmp_path / "bot")
    assert files.home_of_stories(tests=False) == "skills/small/data/core.yml"
    assert add_example(files, NewExample("good day", "greet")).change.path == "skills/small/data/nlu.yml"


def test_a_config_that_cannot_be_read_imports_nothing(tmp_path: Path) -> None:
    files = ProjectFiles(written(tmp_path, config="imports: [", data__nlu="nlu: []"))
    assert files.home_of_stories(tests=False) == "data/stories.yml"


async def test_a_project_with_folders_of_its_own_is_saved_into(orders: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(orders, moved)
    (moved / "data").rename(moved / "training")
    async with inspected(moved, tmp_path, data=["training"]) as scene:
        await scene.say("hello")
        body = {"turn": 1, "name": "hello", "save": True}
        story = await scene.post("conversations/ada/story", body | {"kind": "story"})
        test = await scene.post("conversations/ada/story", body)
        asked = {"text": "hey Berlin", "intent": "greet", "save": True}
        entity = EntityAnnotation(4, 10, "city", "Berlin")
        marked = [{"start": entity.start, "end": entity.end, "entity": entity.entity}]
        example = await scene.post("examples", asked | {"entities": marked})
    assert [one["file"] for one in (story, test, example)] == [
        "training/stories.yml",
        "tests/test_stories.yml",
        "training/nlu.yml",
    ]
    assert "+++ b/training/stories.yml\n" in story["diff"]
    assert "+      - hey [Berlin](city)\n" in example["diff"]
    assert "- hey [Berlin](city)\n" in (scene.project / "training" / "nlu.yml").read_text(encoding="utf-8")
    assert not (scene.project / "data").exists()
