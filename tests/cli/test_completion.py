"""`turnstream completion`, and what the shells are answered."""

import shutil
import subprocess
import sys
from pathlib import Path

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


def in_bash(words: str, place: int) -> list[str]:
    """What bash completes the word at this place to, once it has read the script."""
    script = CliRunner().invoke(cli, ["completion", "bash"], prog_name="turnstream").stdout
    bash = shutil.which("bash")
    assert bash is not None
    asked = f"COMP_WORDS=({words})\nCOMP_CWORD={place}\n_turnstream_completion turnstream\n"
    done = subprocess.run(
        [bash, "-c", f'{script}\ncomplete -p turnstream >&2\n{asked}printf "%s\\n" "${{COMPREPLY[@]}}"'],
        env=environment(PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "complete -o nosort -F _turnstream_completion turnstream" in done.stderr
    return done.stdout.splitlines()


def test_bash_completes_commands_and_options() -> None:
    assert in_bash("turnstream vi", 1) == ["visualize"]
    assert in_bash("turnstream data validate --fail", 3) == ["--fail-on-warnings"]


def test_commands_are_completed() -> None:
    assert complete("turnstream ", 1) == list(COMMANDS)
    assert complete("turnstream vi", 1) == ["visualize"]


def test_options_are_completed() -> None:
    assert complete("turnstream visualize --max", 2) == ["--max-history"]


def test_other_shells_are_refused() -> None:
    assert CliRunner().invoke(cli, ["completion", "csh"]).exit_code == 2
