"""What the documentation says to type exists, and what it shows of the output is so."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_lines import fault_of, words_of
from support.page_commands import BESIDE_THE_TUTORIAL, DOCS, FOLLOWED, PAGES
from support.pages import Reader
from support.shared import REPOSITORY

COMMAND = re.compile(r"^ *(?:\$ )?(?:[A-Z_]+=\S+ )*(?P<command>(?:turnstream|make) .+)$")
IN_TEXT = re.compile(r"`(?:[A-Z_]+=\S+ )*((?:turnstream|make) [^`]+)`")
PLACEHOLDER = re.compile(r"^turnstream (COMMAND|serve NAME)\b|^turnstream …")


def commands(page: Path) -> Iterator[str]:
    """Every command of ours that the page names: in a block, or in the text."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if found := COMMAND.match(line):
            yield re.split(r" {3,}", found["command"])[0]
        else:
            yield from IN_TEXT.findall(line)


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has done the tutorial."""
    with Reader(tmp_path_factory.mktemp("tutorial")) as reader:
        reader.follow(DOCS / "tutorial.md")
        yield reader


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page: Path) -> None:
    named = [command for command in commands(page) if not PLACEHOLDER.match(command)]
    faults = {command: fault_of(words_of(command)) for command in named}
    assert not {command: fault for command, fault in faults.items() if fault}


def test_commands_are_found() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 100


def test_tutorial_prints_what_it_shows(tutorial: Reader) -> None:
    assert not tutorial.differences, "\n".join(tutorial.differences)


def test_readme_prints_what_it_shows(tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        reader.follow(REPOSITORY / "README.md")
    assert not reader.differences, "\n".join(reader.differences)


@pytest.mark.parametrize("name", FOLLOWED)
def test_how_to_prints_what_it_shows(tutorial: Reader, tmp_path: Path, name: str) -> None:
    shutil.copytree(tutorial.home / "my-assistant", tmp_path / "my-assistant")
    with Reader(tmp_path, dict(tutorial.versions)).enter("my-assistant") as reader:
        assert reader.follow(DOCS / f"{name}.md") > 0
    assert not reader.differences, "\n".join(reader.differences)


def test_commands_of_the_text_run_in_the_project_of_the_tutorial(tutorial: Reader, tmp_path: Path) -> None:
    shutil.copytree(tutorial.home / "my-assistant", tmp_path / "my-assistant")
    with Reader(tmp_path, dict(tutorial.versions)).enter("my-assistant") as reader:
        for command in BESIDE_THE_TUTORIAL:
            reader.do(command)
    assert not reader.differences, "\n".join(reader.differences)


def test_a_page_that_shows_something_else_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ turnstream init bot\nWrote 11 files to /home/ada/bot.\n...\n```\n", encoding="utf-8")
    with Reader(tmp_path) as reader:
        reader.follow(page)
    assert ["Wrote 10 files to /home/ada/bot." in told for told in reader.differences] == [True]


@pytest.mark.parametrize(
    "line", ["turnstream trian", "turnstream train --fast", "turnstream data validate --max-history many", "make tests"]
)
def test_a_command_that_is_none_is_found(line: str) -> None:
    assert fault_of(words_of(line))
