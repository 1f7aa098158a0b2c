"""`turnstream completion`, and what the shells are answered."""

import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from support.commands import environment
from turnstream.cli.main import COMMANDS, cli


def complete(words: str, place: int) -> list[str]:
    """What bash is told for the word at this place."""
    asked = {"_TURNSTREAM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    program = "from turnstream.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(**asked), capture_output=True, text=True, check=False
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_asks_turnstream(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="turnstream")
    assert result.exit_code == 0
    assert f"_TURNSTREAM_COMPLETE={shell}_complete" in result.stdout


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(cli, ["completion", "bash"], prog_name="turnstream").stdout
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run(
        [bash, "-c", f"{script}\ncomplete -p turnstream"], capture_output=True, text=True, check=False
    )
    assert "complete -o nosort -F _turnstream_completion turnstream" in done.stdout


def test_commands_are_completed() -> None:
    assert complete("turnstream ", 1) == list(COMMANDS)
    assert complete("turnstream vi", 1) == ["visualize"]


def test_options_are_completed() -> None:
    assert complete("turnstream visualize --max", 2) == ["--max-history"]


def test_other_shells_are_refused() -> None:
    assert CliRunner().invoke(cli, ["completion", "csh"]).exit_code == 2
