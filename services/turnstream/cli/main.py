"""The command line: `turnstream ...`. Names, flags and defaults are those that users of Rasa know, where one exists."""

import importlib
import os
import signal
import sys
from dataclasses import dataclass

import click
from click.shell_completion import CompletionItem

from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is defined, and what the list of commands says about it."""

    module: str
    name: str
    summary: str


AUTHORS = {
    "init": LazyCommand("init", "init", "Write a small assistant, ready to train."),
    "train": LazyCommand("train", "train", "Train the assistant of this folder."),
    "shell": LazyCommand("shell", "shell", "Talk to the trained assistant in the terminal."),
    "interactive": LazyCommand("interactive", "interactive", "Talk to it, correct it on the way, and save that."),
    "test": LazyCommand("test", "test", "Test it on its test stories and NLU data."),
    "data": LazyCommand("data", "data", "Check training data, and split it for tests."),
    "visualize": LazyCommand("visualize", "visualize", "Draw stories and rules as a graph for the browser."),
    "run": LazyCommand("run", "run", "Serve the assistant; `run actions`: its actions."),
    "completion": LazyCommand("completion", "completion", "Complete commands in bash, zsh or fish."),
}
OPERATORS = {
    "replay": LazyCommand("replay", "replay", "Rebuild trackers from the log, or try another model."),
    "export": LazyCommand("export", "export", "Write the log's events as Rasa's event brokers do."),
    "import": LazyCommand("import_", "import_", "Bring conversations of a Rasa tracker store in."),
    "erase": LazyCommand("erase", "erase", "Delete a person's conversation from the turn log."),
    "bundle": LazyCommand("bundle", "bundle", "Install bundles; configure a model server for them."),
    "rollout": LazyCommand("rollout", "rollout", "Say which bundle serves which share of conversations."),
    "health": LazyCommand("health", "health", "Ask a process of a deployment whether it is well."),
    "serve": LazyCommand("serve", "serve", "Serve single services, as a deployment does."),
    "model-server": LazyCommand("serve", "model_server", "Serve SavedModels as TensorFlow Serving does."),
}
COMMANDS = AUTHORS | OPERATORS
ABSENT = {
    "evaluate": "'turnstream export' writes every event as JSON lines: look for markers there, or in the inspector.",
    "telemetry": "Nothing is reported to anybody.",
    "x": "There is no Rasa X; 'turnstream run --inspect' shows conversations.",
}


class LazyGroup(NearestGroup):
    """Imports a command when it is called: none should wait for what another needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"turnstream.cli.{found.module}"), found.name)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One screen of 24 lines: operators' commands are named, and tell about themselves with --help."""
        with formatter.section("Commands (COMMAND --help tells more, --version the version)"):
            formatter.write_dl([(name, command.summary) for name, command in AUTHORS.items()])
        with formatter.section("For operators"):
            formatter.write_text(", ".join(OPERATORS))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(n, help=c.summary) for n, c in COMMANDS.items() if n.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from turnstream.runtime.version import VERSION

        click.echo(f"turnstream {VERSION}")
        context.exit()


@click.group(
    cls=LazyGroup,
    absent=ABSENT,
    epilog=examples(
        "turnstream init my-assistant --train     a new project, trained",
        "turnstream shell                         talk to it in the terminal",
        "turnstream run --enable-api              serve it on http://127.0.0.1:5005",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
