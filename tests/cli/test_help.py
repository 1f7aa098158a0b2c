"""What the command line offers."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
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


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_list_helps(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"])
    assert (result.exit_code, result.output[:6]) == (0, "Usage:")


def test_help_fits_a_screen_and_has_examples() -> None:
    lines = CliRunner().invoke(cli, ["--help"], terminal_width=80, prog_name="turnstream").output.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "  Examples:" in lines


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
