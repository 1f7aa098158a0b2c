"""How the command line refuses."""

import difflib
from pathlib import Path
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """A command cannot do what it was asked; the text says why and what to do next."""

    def show(self, file: IO[Any] | None = None) -> None:
        """The text alone, on standard error."""
        click.echo(self.message, file=file, err=True)


def missing(path: Path) -> CommandError:
    """What to say of a file or folder that is not there: the nearest one that is, or where it was looked for."""
    folder = path.resolve().parent
    names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    if close:
        return CommandError(f"{path} does not exist. Did you mean '{path.with_name(close[0])}'?")
    where = f"It was looked for in {folder}" if folder.is_dir() else f"There is no folder {folder} either"
    return CommandError(f"{path} does not exist. {where}.")
