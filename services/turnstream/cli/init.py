"""`turnstream init`: a new project that trains in seconds."""

import contextlib
import shutil
import sys
from importlib import resources
from pathlib import Path

import click

from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples

DEFAULT_FOLDER = Path("my-assistant")


@click.command(
    epilog=examples(
        "turnstream init                    asks for a folder, and whether to train",
        "turnstream init my-assistant --train",
        "turnstream init --no-prompt        into the current folder, without questions",
    )
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--init-dir", type=click.Path(path_type=Path), help="The same as FOLDER.")
@click.option("--train/--no-train", default=None, help="Train it at once, or not; asked where it is not said.")
@click.option("--no-prompt", is_flag=True, help="Ask nothing; use the current folder where none is given.")
@click.pass_context
def init(
    context: click.Context, folder: Path | None, init_dir: Path | None, train: bool | None, no_prompt: bool
) -> None:
    """Write a small assistant into FOLDER, ready to train.

    Where nobody sits at a terminal nothing is asked: FOLDER is my-assistant, and nothing is trained.
    """
    asks = not no_prompt and sys.stdin.isatty()
    target = folder or init_dir
    if target is None:
        target = Path() if no_prompt else DEFAULT_FOLDER
        if asks:
            target = Path(click.prompt("Folder for the new project", default=str(target)))
    written = write_starter(target)
    click.echo(f"Wrote {len(written)} files to {target.resolve()}.")
    if train is None:
        train = asks and click.confirm("Train it now? It takes some seconds", default=True)
    if train:
        _train(context, target)
    step = "" if target.resolve() == Path().resolve() else f"cd {target} && "
    click.echo(f"Next: {step}turnstream {'shell' if train else 'train, then turnstream shell'}")


def _train(context: click.Context, target: Path) -> None:
    from turnstream.cli.train import train

    with contextlib.chdir(target):
        context.invoke(train)


def write_starter(target: Path) -> list[Path]:
    """Copy the starter project; refuse, before anything is written, to replace a file that is there."""
    with resources.as_file(resources.files("turnstream.cli") / "starter") as source:
        files = sorted(p.relative_to(source) for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        taken = [f for f in files if (target / f).exists()]
        if taken:
            raise CommandError(f"{target / taken[0]} is there already; choose an empty folder.")
        try:
            for file in files:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, target / file)
        except OSError as error:
            raise CommandError(
                f"{error.filename or target} cannot be written: {error.strerror}. Choose another folder."
            ) from error
    return files
