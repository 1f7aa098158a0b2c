"""`turnstream completion`, and what the shells are answered."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.commands import environment, shown_at_a_terminal
from turnstream.cli.main import COMMANDS, cli

PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


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
        env=environment(PATH=PATH),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "complete -o nosort -F _turnstream_completion turnstream" in done.stderr
    return done.stdout.splitlines()


def test_bash_completes_commands_and_options() -> None:
    assert in_bash("turnstream vi", 1) == ["visualize"]
    assert in_bash("turnstream data validate --fail", 3) == ["--fail-on-warnings"]


def shell_or_skip(name: str) -> str:
    """Where a shell is; the test says in one line where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} to complete in: apt-get install {name}")
    return found


def script_of(shell: str, folder: Path) -> Path:
    """The script that this shell is to read, in a file."""
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="turnstream")
    file = folder / f"turnstream.{shell}"
    file.write_text(result.stdout, encoding="utf-8")
    return file


def in_zsh(folder: Path, *lines: str) -> list[str]:
    """What zsh's editor makes of each line, whose end is completed once it has read the script."""
    zsh = shell_or_skip("zsh")
    typed = " ".join(shlex.quote(line) for line in lines)
    (folder / ".zshrc").write_text(
        f"autoload -Uz compinit && compinit -u -D\nsource {shlex.quote(str(script_of('zsh', folder)))}\n"
        f"zle-line-init() {{\n  for line in {typed}; do\n    BUFFER=$line; CURSOR=$#BUFFER; zle complete-word\n"
        '    print -r -- "<$BUFFER>"\n  done\n  exit\n}\nzle -N zle-line-init\n',
        encoding="utf-8",
    )
    variables = environment(PATH=PATH, ZDOTDIR=str(folder), TERM="dumb", SHELL=zsh)
    shown = "".join(shown_at_a_terminal([zsh, "-i"], cwd=folder, variables=variables))
    return re.findall(r"<([^>]*)>", shown)


def in_fish(folder: Path, line: str) -> list[str]:
    """What fish offers for the end of the line once it has read the script, without what it says of each."""
    fish, script = shell_or_skip("fish"), script_of("fish", folder)
    done = subprocess.run(
        [fish, "--no-config", "-c", f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"],
        cwd=folder,
        env=environment(PATH=PATH, HOME=str(folder)),
        capture_output=True,
        text=True,
        check=True,
    )
    return [offered.partition("\t")[0] for offered in done.stdout.splitlines() if offered]


def test_zsh_completes_commands_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "weather.yml").touch()
    completed = in_zsh(
        tmp_path, "turnstream vi", "turnstream data validate --fail", "turnstream train --domain wea", "turnstream no"
    )
    assert [line.rstrip() for line in completed] == [
        "turnstream visualize",
        "turnstream data validate --fail-on-warnings",
        "turnstream train --domain weather.yml",
        "turnstream no",
    ]


def test_fish_completes_commands_options_and_files(tmp_path: Path) -> None:
    (tmp_path / "weather.yml").touch()
    assert in_fish(tmp_path, "turnstream vi") == ["visualize"]
    assert in_fish(tmp_path, "turnstream data validate --fail") == ["--fail-on-warnings"]
    assert in_fish(tmp_path, "turnstream train --domain wea") == ["weather.yml"]


def test_commands_are_completed() -> None:
    assert complete("turnstream ", 1) == list(COMMANDS)
    assert complete("turnstream vi", 1) == ["visualize"]


def test_options_are_completed() -> None:
    assert complete("turnstream visualize --max", 2) == ["--max-history"]


def test_other_shells_are_refused() -> None:
    assert CliRunner().invoke(cli, ["completion", "csh"]).exit_code == 2
