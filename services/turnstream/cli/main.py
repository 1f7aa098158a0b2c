"""The command line: `turnstream ...`. Names, flags and defaults are those that users of Rasa know, where one exists."""

import importlib
import os
import signal
import sys
from dataclasses import dataclass

import click

EPILOG = """\b
Examples:
  turnstream init my-assistant        a new project
  turnstream train                    train the project in this folder
  turnstream shell                    talk to it in the terminal
  turnstream run --enable-api         serve it on http://127.0.0.1:5005
  turnstream run actions              start its action server
"""


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is defined, and what the list of commands says about it."""

    module: str
    name: str
    summary: str


COMMANDS = {
    "init": LazyCommand("init", "init", "Write a small assistant, ready to train."),
    "train": LazyCommand("train", "train", "Train the assistant of this folder."),
    "shell": LazyCommand("shell", "shell", "Talk to the trained assistant in the terminal."),
    "run": LazyCommand("run", "run", "Serve the trained assistant; `run actions`: its actions."),
    "replay": LazyCommand("replay", "replay", "Rebuild trackers from the turn log, or try another model on it."),
    "export": LazyCommand("export", "export", "Write the log's events as Rasa's event brokers do."),
    "import": LazyCommand("import_", "import_", "Bring conversations of a Rasa tracker store in."),
    "test": LazyCommand("test", "test", "Test the assistant on its test stories and NLU data."),
    "data": LazyCommand("data", "data", "Check training data."),
    "erase": LazyCommand("erase", "erase", "Delete a person's conversation from the turn log."),
    "bundle": LazyCommand("bundle", "bundle", "Install bundles; configure a model server for them."),
    "rollout": LazyCommand("rollout", "rollout", "Say which bundle serves which share of conversations."),
    "health": LazyCommand("health", "health", "Ask a process of a deployment whether it is well."),
    "serve": LazyCommand("serve", "serve", "Serve single services, as a deployment does."),
    "model-server": LazyCommand("serve", "model_server", "Serve SavedModels over TensorFlow Serving's gRPC API."),
}


class LazyGroup(click.Group):
    """Imports a command when it is called: none should wait for what another needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"turnstream.cli.{found.module}"), found.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from turnstream.runtime.version import VERSION

        click.echo(f"turnstream {VERSION}")
        context.exit()


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="The version.")
def cli() -> None:
    """Train a Rasa 3 assistant and run it as event-sourced gRPC services."""


def main() -> None:
    """Run the command line; what a user did wrong is said in plain words, with an exit code that is not 0."""
    if os.getpid() == 1:
        # The kernel passes over a SIGTERM that the first process of a container does not handle, as while it starts.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        cli(prog_name="turnstream")
    except BrokenPipeError:
        # Whoever read the output has gone. What Python still wants to write at its end has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
