"""The commands of the command line with their options."""

import inspect
from collections.abc import Iterator

import click
from turnstream.cli.main import AUTHORS, OPERATORS, cli

from reference.tables import table

LOGGING = ("verbose", "debug", "quiet", "log_file")


def page() -> Iterator[str]:
    """docs/reference/commands.md"""
    yield "Names and options are Rasa's, where Rasa has them. `turnstream COMMAND --help` shows examples, too.\n"
    yield "Most commands take `-v` (log more; `-vv` still more), `--debug` (the same as `-vv`), `--quiet` (log warnings"
    yield "and errors only) and `--log-file PATH` (write the log to this file too); they are not repeated below.\n"
    for title, names in (("For authors", AUTHORS), ("For operators", OPERATORS)):
        yield f"## {title}\n"
        for name in names:
            command = cli.get_command(click.Context(cli), name)
            assert command is not None
            yield from _command(f"turnstream {name}", command, 3)


def _command(path: str, command: click.Command, depth: int) -> Iterator[str]:
    arguments = "".join(f" {p.make_metavar(click.Context(command))}" for p in command.params if _is_argument(p))
    yield f"{'#' * depth} {path}\n"
    yield f"`{path}{arguments}`\n"
    yield inspect.cleandoc(command.help or "").replace("\b\n", "") + "\n"
    options = [p for p in command.params if isinstance(p, click.Option) and p.name not in LOGGING]
    if options:
        yield from table("option", "meaning", rows=((_names(o), _meaning(o)) for o in options))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _command(f"{path} {name}", below, depth + 1)


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument) and parameter.type is not click.UNPROCESSED


def _names(option: click.Option) -> str:
    metavar = "" if option.is_flag or option.count else f" {option.make_metavar(click.Context(click.Command('x')))}"
    return ", ".join(
        f"`{name}{metavar if name.startswith('--') else ''}`" for name in (*option.opts, *option.secondary_opts)
    )


def _meaning(option: click.Option) -> str:
    default = option.default
    shown = option.show_default and default not in (None, False)
    return f"{option.help or ''}{f'  [default: {default}]' if shown else ''}".replace(
        "[default: ", "Default: "
    ).replace("]", "")
