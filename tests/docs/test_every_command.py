"""No command of a page is only looked up: each is run by something, or says why nothing can run it."""

import re

import pytest
from support.page_commands import (
    BESIDE_THE_TUTORIAL,
    NOT_RUN,
    PAGES,
    RUN_BY,
    followed_commands,
    is_run_as,
    named_commands,
    plain,
)
from support.shared import REPOSITORY

BESIDE = tuple(map(plain, BESIDE_THE_TUTORIAL))
RUN = (*followed_commands(), *BESIDE, *RUN_BY)


def test_every_command_is_run_by_something() -> None:
    named = {command: page.name for page in PAGES for command in named_commands(page)}
    assert len(named) > 80
    left = {c: page for c, page in named.items() if not is_run_as(c, RUN) and not c.startswith(tuple(NOT_RUN))}
    assert left == {}


def test_nothing_is_listed_that_no_page_names() -> None:
    named = {command for page in PAGES for command in named_commands(page)}
    listed = {*BESIDE, *RUN_BY}
    assert listed - named == set()
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in named)] == []


@pytest.mark.parametrize("command", RUN_BY)
def test_what_runs_a_command_is_there_and_uses_its_options(command: str) -> None:
    file, _, name = RUN_BY[command].partition("::")
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE) if name else words_in(command, text)
    if command.startswith("turnstream"):
        started = (REPOSITORY / "tests" / "support" / "commands.py").read_text(encoding="utf-8")
        options = re.findall(r"--[a-z-]+", command)
        assert [option for option in options if option not in text + started] == []


def words_in(command: str, text: str) -> bool:
    """Whether a script, a Makefile or a Compose file runs it, in whatever way it writes that."""
    return all(word in text for word in command.removeprefix("make ").removeprefix("turnstream ").split())


@pytest.mark.parametrize("command", ["turnstream train --fast", "make nothing", "curl localhost"])
def test_a_command_that_nothing_runs_is_found(command: str) -> None:
    assert not is_run_as(command, RUN)


def test_a_name_alone_is_run_with_whatever_arguments() -> None:
    assert is_run_as("turnstream export", ["turnstream export --output a.jsonl"])
    assert not is_run_as("turnstream export --follow", ["turnstream export --output a.jsonl"])
