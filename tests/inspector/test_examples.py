"""A message becomes an NLU example, and the rest of the file stays as its author wrote it."""

from pathlib import Path
from typing import Any

import pytest
from support.inspected import FILES, Inspected
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.assistant.reader import ProjectPaths, read_project
from turnstream.inspector.examples import NewExample, add_example
from turnstream.inspector.project_files import ProjectFiles
from turnstream.runtime.errors import Conflict, InvalidRequest

BERLIN = EntityAnnotation(3, 9, "city", "Berlin")


def added(folder: Path, nlu: str, example: NewExample) -> tuple[str, int]:
    """The file, and the line of the example in it."""
    file = folder / "data" / "nlu.yml"
    file.parent.mkdir()
    with file.open("w", encoding="utf-8", newline="") as written:
        written.write(nlu)
    files = ProjectFiles(folder)
    found = add_example(files, example)
    files.save(found.change)
    with file.open(encoding="utf-8", newline="") as read:
        return read.read(), found.line


def test_an_example_comes_after_the_others_of_its_intent(tmp_path: Path) -> None:
    nlu = FILES["data/nlu.yml"]
    text, line = added(tmp_path, nlu, NewExample("good  morning", "greet"))
    assert text == nlu.replace("      - hi\n", "      - hi\n      - good morning\n")
    assert text.splitlines()[line - 1] == "      - good morning"


def test_entities_are_marked(tmp_path: Path) -> None:
    text, line = added(tmp_path, FILES["data/nlu.yml"], NewExample("to Berlin now", "inform", (BERLIN,)))
    assert text.splitlines()[line - 1] == "      - to [Berlin](city) now"


@pytest.mark.parametrize(
    ("nlu", "after"),
    [
        ("nlu:\n- intent: a\n  examples: |\n    - x", "nlu:\n- intent: a\n  examples: |\n    - x\n    - new\n"),
        (
            "nlu:\n- intent: a\n  examples: |\n    - x\n\n\n# end\n",
            "nlu:\n- intent: a\n  examples: |\n    - x\n    - new\n\n\n# end\n",
        ),
        (
            "nlu:\r\n- intent: a\r\n  examples: |\r\n    - x\r\n- intent: b\r\n",
            "nlu:\r\n- intent: a\r\n  examples: |\r\n    - x\r\n    - new\r\n- intent: b\r\n",
        ),
        (
            "nlu:\n- intent: a\n  examples:\n  - text: |\n      x\n    metadata: {m: 1}\n\n- intent: b\n",
            "nlu:\n- intent: a\n  examples:\n  - text: |\n      x\n    metadata: {m: 1}\n  - text: |\n      new\n\n"
            "- intent: b\n",
        ),
        (
            "nlu:\n- intent: a\n  examples: |\n    - x\n  metadata: {m: 1}\nresponses: {}\n",
            "nlu:\n- intent: a\n  examples: |\n    - x\n    - new\n  metadata: {m: 1}\nresponses: {}\n",
        ),
        (
            "nlu:\n- intent: b\n  examples: |\n    - y\n",
            "nlu:\n- intent: b\n  examples: |\n    - y\n- intent: a\n  examples: |\n    - new\n",
        ),
    ],
    ids=["no-newline-at-end", "empty-lines", "windows", "list", "metadata-after", "first-of-intent"],
)
def test_it_is_put_where_an_author_would(tmp_path: Path, nlu: str, after: str) -> None:
    text, line = added(tmp_path, nlu, NewExample("new", "a"))
    assert text == after
    assert "new" in "".join(text.splitlines()[line - 1 : line + 1])


@pytest.mark.parametrize(
    "nlu",
    ['nlu:\n- intent: a\n  examples: "- x"\n', "nlu: [{intent: a, examples: [{text: x}]}]\n"],
    ids=["quoted", "brackets"],
)
def test_what_cannot_be_added_to_is_left_alone(tmp_path: Path, nlu: str) -> None:
    with pytest.raises(Conflict, match="by hand"):
        added(tmp_path, nlu, NewExample("new", "a"))
    assert (tmp_path / "data/nlu.yml").read_text(encoding="utf-8") == nlu


def test_an_example_that_is_there_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match=r"data/nlu.yml has this example already, in line 9"):
        added(tmp_path, FILES["data/nlu.yml"], NewExample("hi", "greet"))


@pytest.mark.parametrize("text", ["see [this](city)", 'a [b]{"entity": "city"}', "  "])
def test_brackets_of_a_message_do_not_become_markup(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be written as an example"):
        added(tmp_path, FILES["data/nlu.yml"], NewExample(text, "greet"))


@pytest.mark.parametrize("intent", ["greet", "new_one"])
@pytest.mark.parametrize("text", ["a\x00b", "bell \x07", "\ufeffmark", "del\x7f"])
def test_characters_that_yaml_cannot_hold_are_refused(tmp_path: Path, text: str, intent: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot hold"):
        added(tmp_path, FILES["data/nlu.yml"], NewExample(text, intent))


@pytest.mark.parametrize("intent", ["greet", "new_one"])
@pytest.mark.parametrize(
    "text",
    [
        "- dash",
        "a: b # c",
        "'quoted\"",
        "{x}",
        "| block",
        "%tag",
        "ok \\ end",
        "\u05d0\u200f\u05d1",
        "👩‍👩‍👧",
        "!x &y *z",
        "#",
    ],
)
def test_any_other_text_is_read_back_as_it_was(tmp_path: Path, text: str, intent: str) -> None:
    (tmp_path / "domain.yml").write_text("intents: [greet]\n", encoding="utf-8")
    (tmp_path / "config.yml").write_text("recipe: default.v1\n", encoding="utf-8")
    added(tmp_path, FILES["data/nlu.yml"], NewExample(text, intent))
    examples = read_project(ProjectPaths.default(tmp_path)).project.nlu.examples
    assert (text, intent) in [(example.text, example.intent) for example in examples]


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "nlu.yml"
    file.write_text("nlu:\n- intent: a\n  examples: |\n    - x\n", encoding="utf-8")
    files = ProjectFiles(tmp_path)
    found = add_example(files, NewExample("new", "a"))
    file.write_text("nlu: []\n", encoding="utf-8")
    with pytest.raises(Conflict, match="was changed meanwhile"):
        files.save(found.change)
    assert file.read_text(encoding="utf-8") == "nlu: []\n"


def test_data_that_is_linked_from_elsewhere_is_not_written(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "nlu.yml").write_text("nlu:\n- intent: a\n  examples: |\n    - x\n", encoding="utf-8")
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "data" / "theirs").symlink_to(elsewhere, target_is_directory=True)
    found = add_example(ProjectFiles(project), NewExample("new", "a"))
    assert found.change.path == "data/nlu.yml"


async def test_a_preview_writes_nothing_and_saving_does(scene: Inspected) -> None:
    file = scene.project / "data" / "nlu.yml"
    before = file.read_text(encoding="utf-8")
    body: dict[str, Any] = {
        "text": "to the capital",
        "intent": "inform",
        "entities": [{"start": 3, "end": 14, "entity": "city", "value": "Berlin"}],
    }
    preview = await scene.post("examples", body)
    assert file.read_text(encoding="utf-8") == before
    added_line = '      - to [the capital]{"entity": "city", "value": "Berlin"}'
    assert f"+{added_line}\n" in preview["diff"]
    assert await scene.post("examples", {**body, "save": True}) == {**preview, "saved": True}
    assert file.read_text(encoding="utf-8").splitlines()[preview["line"] - 1] == added_line
    examples = read_project(ProjectPaths.default(scene.project)).project.nlu.examples
    assert ("to the capital", "inform") in [(example.text, example.intent) for example in examples]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"text": "hey", "intent": "gret"}, 404, "The domain has no intent 'gret'. Did you mean 'greet'?"),
        ({"text": "hey"}, 400, "'intent' is missing"),
        ({"text": 3, "intent": "greet"}, 400, "'text' must be a text"),
        ({"text": "", "intent": "greet"}, 400, "cannot be written"),
        ({"text": "hey", "intent": "greet", "entities": "x"}, 400, "'entities' must be a list"),
        ({"text": "hey", "intent": "greet", "entities": [3]}, 400, "entities[0] must be an object"),
        ({"text": "hey", "intent": "greet", "entities": [{"start": 0, "end": 4, "entity": "city"}]}, 400, "places"),
        ({"text": "hey", "intent": "greet", "entities": [{"start": 0, "end": 3}]}, 400, "'entity' is missing"),
        (
            {"text": "hey", "intent": "greet", "entities": [{"start": 0, "end": 3, "entity": "citi"}]},
            404,
            "The domain has no entity 'citi'. Did you mean 'city'?",
        ),
        ({"text": "hey", "intent": "greet", "save": 1}, 400, "'save' must be true or false"),
    ],
)
async def test_bad_examples_are_refused(scene: Inspected, body: dict[str, Any], status: int, told: str) -> None:
    refused = await scene.post("examples", body, status)
    assert told in refused["message"]
    assert (scene.project / "data/nlu.yml").read_text(encoding="utf-8") == FILES["data/nlu.yml"]
