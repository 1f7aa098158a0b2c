"""Options that several commands share."""

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from turnstream.assistant.reader import ProjectPaths
from turnstream.cli.errors import CommandError, missing
from turnstream.cli.groups import NearestGroup
from turnstream.runtime.logs import setup_logging
from turnstream.runtime.settings import LogSettings, Settings, SettingsError, load_settings

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_MODELS = "models"
PORT = click.IntRange(0, 65535)
FILE = click.Path(path_type=Path)
NAME_OF_FILE = click.Path()
"""The same as a text, for what may be no file; shells complete both."""


class ManyValues(click.Command):
    """Lets an option that may be repeated take its values in one go, as Rasa's do: `--data nlu.yml core`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        many = {name for p in self.params if isinstance(p, click.Option) and p.multiple for name in p.opts}
        return super().parse_args(ctx, _repeated(args, many, set(getattr(self, "commands", ()))))


class ManyValuesGroup(ManyValues, NearestGroup):
    """The same for a group of commands, whose names end the values."""


def _repeated(args: list[str], many: set[str], commands: set[str]) -> list[str]:
    spread: list[str] = []
    option, values = None, 0
    for arg in args:
        if arg.startswith("-") and arg != "-":
            option, values = (arg, 0) if arg in many else (None, 0)
        elif option is not None and arg not in commands:
            values += 1
            spread += [option] * (values > 1)
        else:
            option = None
        spread.append(arg)
    return spread


data_option = click.option(
    "--data",
    type=NAME_OF_FILE,
    multiple=True,
    help="Files or folders with NLU data, stories and rules.  [default: data]",
)
domain_option = click.option(
    "-d", "--domain", type=NAME_OF_FILE, help="Domain file or folder.  [default: domain.yml, or the folder domain]"
)


def project_options(command: F) -> F:
    """`--config --domain --data`, each with the default of a project's own folder."""
    for option in (
        data_option,
        domain_option,
        click.option("-c", "--config", type=FILE, help="Model configuration.  [default: config.yml]"),
    ):
        command = option(command)
    return command


def project_paths(config: Path | None, domain: str | None, data: tuple[str, ...]) -> ProjectPaths:
    """The files of the project in the current folder, but for what was given. Raises CommandError."""
    default = ProjectPaths.default(Path())
    given = [Path(p) for p in (config, domain, *data) if p is not None]
    absent = [p for p in given if not p.exists()]
    if absent:
        raise missing(absent[0])
    if config is not None and config.is_dir():
        raise CommandError(f"--config: {config} is a folder; name the file, such as {config / 'config.yml'}.")
    if not given and not any(p is not None and p.exists() for p in (default.config, *default.domain, *default.data)):
        raise CommandError(
            f"There is no project in {Path().resolve()}: no config.yml, no domain.yml, no data. "
            "Go to the project's folder, or make one with 'turnstream init'."
        )
    return ProjectPaths(
        root=default.root,
        config=config or default.config,
        domain=(Path(domain),) if domain else default.domain,
        data=tuple(Path(p) for p in data) or default.data,
        endpoints=default.endpoints,
        tests=default.tests,
    )


def project_here() -> Path | None:
    """The current folder where it holds a project; None where it does not."""
    default = ProjectPaths.default(Path())
    found = any(p is not None and p.exists() for p in (default.config, *default.domain, *default.data))
    return Path().resolve() if found else None


def without_missing_config(paths: ProjectPaths) -> ProjectPaths:
    """For what needs no config: stories are read without one where the project has none."""
    return replace(paths, config=paths.config if paths.config and paths.config.exists() else None)


def existing_endpoints(given: Path | None) -> Path | None:
    """The endpoints file that was given, or the project's own; None where there is none. Raises CommandError."""
    return existing(given, Path("endpoints.yml"))


def existing(given: Path | None, default: Path) -> Path | None:
    """A file that must exist where it was given. Raises CommandError."""
    if given is not None and not given.is_file():
        raise missing(given)
    return given or (default if default.is_file() else None)


def log_options(command: F) -> F:
    """`-v -vv --debug --quiet --log-file`; the command gets them as `log: LogChoice`."""

    @functools.wraps(command)
    def wrapped(*args: Any, verbose: int, debug: bool, quiet: bool, log_file: Path | None, **kwargs: Any) -> Any:
        level = "debug" if debug or verbose > 1 else "info" if verbose else "warning" if quiet else None
        return command(*args, log=LogChoice(level, log_file), **kwargs)

    for option in (
        click.option("--log-file", type=FILE, help="Write the log to this file too."),
        click.option("--quiet", is_flag=True, help="Log warnings and errors only."),
        click.option("--debug", is_flag=True, help="The same as -vv."),
        click.option("-v", "--verbose", count=True, help="Log more; -vv still more."),
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]


class LogChoice:
    """What the command line says about logging."""

    def __init__(self, level: str | None, file: Path | None) -> None:
        self.level = level
        self._file = file

    def level_or(self, default: str, file: Path | None) -> str | None:
        """The level given, or `default` where neither the settings file nor the environment may say another."""
        said = file is not None or "TURNSTREAM_LOG_LEVEL" in os.environ
        return self.level or (None if said else default)

    def begin(self, settings: LogSettings) -> None:
        """Log as chosen. Raises CommandError where the level is unknown or the file cannot be written."""
        try:
            setup_logging(settings.level, as_json=settings.json, message_texts=settings.message_texts)
            if self._file is not None:
                root, handler = logging.getLogger(), logging.FileHandler(self._file, encoding="utf-8")
                handler.setFormatter(root.handlers[0].formatter)
                root.addHandler(handler)
        except (ValueError, OSError) as error:
            raise CommandError(f"{error}") from error


def read_settings(file: Path | None, overrides: dict[str, str | int | float | bool | None]) -> Settings:
    """Settings from file, environment and the command line, in rising order. Raises CommandError."""
    if file is not None and not file.is_file():
        raise missing(file)
    try:
        return load_settings(file, overrides={k: v for k, v in overrides.items() if v is not None})
    except SettingsError as error:
        raise CommandError("\n".join(error.problems)) from error
