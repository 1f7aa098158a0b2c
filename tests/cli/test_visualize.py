"""`turnstream visualize`."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import Result
from support.commands import turnstream

Call = Callable[..., Result]


def labels(file: Path) -> list[str]:
    root = ET.fromstring(file.read_text(encoding="utf-8").partition("\n")[2])
    return [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_stories_and_rules_of_the_project_are_drawn(call: Call, project: Path) -> None:
    (project / "data" / "stories.yml").write_text("stories: [{story: a, steps: [intent: wait, action: utter_done]}]\n")
    result = call("visualize")
    assert result.output == "graph.html: 15 nodes, 13 edges\n"
    drawn = labels(project / "graph.html")
    assert drawn[:4] == ["start", "wait", "utter_done", "end"]
    assert "action_count" in drawn


def test_file_and_data_can_be_chosen(call: Call, project: Path) -> None:
    (project / "other.yml").write_text("stories: [{story: a, steps: [intent: wait, action: utter_done]}]\n")
    assert call("visualize", "--stories", "other.yml", "--out", "other.html").exit_code == 0
    assert labels(project / "other.html") == ["start", "wait", "utter_done", "end"]
    assert call("visualize", "--max-history", "0").exit_code == 2


def test_the_page_is_opened_where_that_is_asked_for(project: Path) -> None:
    opened = project / "opened"
    browser = project / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n', encoding="utf-8")
    browser.chmod(0o755)
    done = turnstream("visualize", "--open", cwd=project, BROWSER=str(browser))
    assert done.code == 0, done.errors
    assert opened.read_text(encoding="utf-8") == f"{project / 'graph.html'}\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--no-rules",), "nothing to draw"),
        (("--stories", "nowhere"), "nowhere does not exist"),
        (("--out", "data"), "data cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call: Call, arguments: tuple[str, ...], why: str) -> None:
    result = call("visualize", *arguments)
    assert result.exit_code == 1
    assert why in result.stderr
