"""What the command line offers."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from support.command_lines import fault_of, words_of
from turnstream.cli.main import COMMANDS, cli

RASA_FLAGS = {
    "train": "--config -c --domain -d --data --out --fixed-model-name --force --augmentation -v --debug --quiet",
    "run": "--model -m --endpoints --credentials --port -p --interface -i --enable-api --cors --auth-token -t "
    "--jwt-secret --jwt-method --log-file -v --debug --quiet",
    "run actions": "--actions --port -p --cors --auto-reload --grpc --ssl-certificate --ssl-keyfile --ssl-ca-file",
    "shell": "--model -m --endpoints --conversation-id",
    "shell nlu": "--model -m",
    "test": "--model -m --stories -s --nlu -u --out --no-plot --successes --no-errors --fail-on-prediction-errors",
    "test core": "--model -m --stories -s --out --no-plot --successes --no-errors --fail-on-prediction-errors --e2e",
    "test nlu": "--model -m --nlu -u --out --no-plot --successes --no-errors --cross-validation --folds -f --config",
    "data validate": "--config -c --domain -d --data --fail-on-warnings --max-history",
    "data validate stories": "--config -c --domain -d --data --fail-on-warnings --max-history",
    "init": "--no-prompt --init-dir",
    "visualize": "--domain -d --stories -s --out --max-history",
    "interactive": "--model -m --endpoints",
    "data split nlu": "--nlu -u --training-fraction --random-seed --out",
    "data split stories": "--stories -s --training-fraction --random-seed --out",
}


def options(path: str) -> set[str]:
    command: click.Command | None = cli
    for name in path.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    return {flag for p in command.params if isinstance(p, click.Option) for flag in (*p.opts, *p.secondary_opts)}


@pytest.mark.parametrize("command", RASA_FLAGS)
def test_flags_that_a_user_of_rasa_knows_are_there(command: str) -> None:
    assert set(RASA_FLAGS[command].split()) <= options(command)


def every_command() -> dict[str, click.Command]:
    """By the words that call it."""
    found: dict[str, click.Command] = {}

    def walk(path: str, command: click.Command) -> None:
        found[path] = command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                walk(f"{path} {name}", below)

    walk("turnstream", cli)
    return found


EVERY_COMMAND = every_command()


def help_of(path: str) -> str:
    words = path.split()[1:]
    result = CliRunner().invoke(cli, [*words, "--help"], prog_name="turnstream", terminal_width=80)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("path", EVERY_COMMAND)
def test_every_command_helps_with_an_example_that_can_be_typed(path: str) -> None:
    text = help_of(path)
    assert text.startswith(f"Usage: {path} ")
    shown = text.partition("  Examples:\n")[2].splitlines()
    typed = [line[line.index(path) :] for line in shown if path in line]
    assert typed, f"none of {shown} calls {path}"
    faults = {line: fault_of(words_of(line.partition("   ")[0].rstrip(')"'))) for line in typed}
    assert not {line: fault for line, fault in faults.items() if fault}


def test_help_fits_a_screen_and_names_every_command() -> None:
    lines = help_of("turnstream").splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "  Examples:" in lines
    named = set(" ".join(lines).replace(",", " ").split())
    assert set(COMMANDS) <= named


def test_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(cli, ["talk"]).exit_code == 2


def test_version_is_told() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output.startswith("turnstream ")


def test_help_loads_nothing_that_takes_time() -> None:
    program = (
        "import contextlib, io, json, sys\n"
        "from turnstream.cli.main import cli\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    cli(['--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert {"tensorflow", "grpc", "aiohttp", "numpy", "rich", "yaml"}.isdisjoint(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ("data convert", "rasa data convert"),
        ("data migrate", "rasa data migrate"),
        ("evaluate markers", "turnstream export"),
        ("test e2e", "turnstream test core --e2e"),
    ],
)
def test_what_only_rasa_has_says_what_to_do_instead(command: str, instead: str) -> None:
    result = CliRunner().invoke(cli, command.split())
    assert result.exit_code == 2
    assert "There is no command" in result.output
    assert instead in result.output
