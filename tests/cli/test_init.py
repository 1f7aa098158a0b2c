"""`turnstream init`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from support.commands import at_a_terminal

Call = Callable[..., Result]


def test_writes_a_project_that_is_valid(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = call("init", "--init-dir", str(tmp_path / "new"), "--no-prompt")
    assert result.exit_code == 0
    assert "turnstream train" in result.output
    monkeypatch.chdir(tmp_path / "new")
    assert call("data", "validate").output == "No errors, 0 warnings.\n"


def test_replaces_no_file(call: Call, project: Path) -> None:
    before = (project / "domain.yml").read_text()
    result = call("init", "--no-prompt")
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert (project / "domain.yml").read_text() == before
    assert not (project / "data" / "stories.yml").exists()


def test_asks_nothing_where_nobody_sits_at_a_terminal(call: Call, project: Path) -> None:
    result = call("init")
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        0,
        "Next: cd my-assistant && turnstream train, then turnstream shell",
    )
    assert (project / "my-assistant" / "config.yml").is_file()
    assert call("init", "fresh").exit_code == 0
    assert (project / "fresh" / "config.yml").is_file()


def test_asks_two_questions_at_a_terminal(tmp_path: Path) -> None:
    told = at_a_terminal("init", cwd=tmp_path, typed="bot\nn\n")
    screen = " ".join(told)
    assert screen.index("Folder for the new project [my-assistant]: ") < screen.index(
        "Train it now? It takes some seconds"
    )
    assert screen.count("]: ") == 2
    assert told[-1].endswith("Next: cd bot && turnstream train, then turnstream shell")
    assert (tmp_path / "bot" / "domain.yml").is_file()


def test_a_folder_that_cannot_be_written_is_named(call: Call, project: Path) -> None:
    (project / "file").write_text("")
    result = call("init", "file/bot")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "file" in result.stderr
    assert "Choose another folder." in result.stderr
