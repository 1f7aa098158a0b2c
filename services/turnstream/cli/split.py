"""`turnstream data split`: training data in a part to learn from and a part to test on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import yaml

from turnstream.assistant.files import data_files, is_test_file
from turnstream.assistant.nlu_data import NluData
from turnstream.assistant.nlu_writer import nlu_yaml
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.reader import ProjectPaths, read_into
from turnstream.cli.counting import counted
from turnstream.cli.errors import CommandError, missing
from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup
from turnstream.cli.options import FILE

SEED = 42


def _split_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--out", type=FILE, default="train_test_split", show_default=True, help="Folder for the parts."),
        click.option("--random-seed", type=int, default=SEED, show_default=True, help="Chooses what goes where."),
        click.option(
            "--training-fraction",
            type=click.FloatRange(0, 1, min_open=True, max_open=True),
            default=0.8,
            show_default=True,
            help="Share of the part to learn from.",
        ),
    ):
        command = option(command)
    return command


def _data_option(*names: str) -> Callable[..., Any]:
    return click.option(*names, "data", type=FILE, default="data", show_default=True, help="File or folder to split.")


@click.group(
    cls=NearestGroup, epilog=examples("turnstream data split nlu", "turnstream data split stories --out parts")
)
def split() -> None:
    """Divide data into a part to learn from and a part to test on."""


@split.command(epilog=examples("turnstream data split nlu --training-fraction 0.8 --random-seed 42"))
@_data_option("-u", "--nlu")
@_split_options
def nlu(data: Path, training_fraction: float, random_seed: int, out: Path) -> None:
    """Examples: each intent has its share in both parts. Synonyms, lookup tables and regexes are in the first."""
    from turnstream.evaluation.cross_validation import split as split_examples

    problems = Problems()
    found = read_into(ProjectPaths(Path(), None, (), (_existing(data),)), problems).project.nlu
    _refuse(problems)
    examples = tuple(example for example in found.examples if example.intent)
    if not examples:
        raise CommandError(f"There are no NLU examples in {data}. Name other files with --nlu.")
    learned, tested = split_examples(examples, training_fraction, random_seed)
    _write(out / "training_data.yml", nlu_yaml(replace(found, examples=tuple(learned))), f"{len(learned)} examples")
    _write(out / "test_data.yml", nlu_yaml(NluData(tuple(tested))), f"{len(tested)} examples")


@split.command(epilog=examples("turnstream data split stories --training-fraction 0.8 --random-seed 42"))
@_data_option("-s", "--stories")
@_split_options
def stories(data: Path, training_fraction: float, random_seed: int, out: Path) -> None:
    """Stories, file by file; rules and whatever else a file has are in the first part."""
    from turnstream.authoring.splitting import NotSplittable, split_stories

    problems = Problems()
    read_into(ProjectPaths(Path(), None, (), (_existing(data),)), problems)
    _refuse(problems)
    has_stories = False
    for file in data_files([data]):
        if is_test_file(file):
            continue
        try:
            parts = split_stories(file.read_text(encoding="utf-8"), training_fraction, random_seed)
        except (NotSplittable, yaml.YAMLError) as error:
            raise CommandError(f"{file} cannot be split: {error}.") from error
        if parts is not None:
            has_stories = True
            _write(out / f"train_{file.name}", parts.learned, counted(parts.learned_count, "story"))
            _write(out / f"test_{file.name}", parts.tested, counted(parts.tested_count, "story"))
    if not has_stories:
        raise CommandError(f"There are no stories in {data}. Name other files with --stories.")


def _existing(data: Path) -> Path:
    if not data.exists():
        raise missing(data)
    return data


def _refuse(problems: Problems) -> None:
    from turnstream.cli.summary import refusal

    if problems.errors:
        raise CommandError(refusal(ProjectError(problems.errors)))


def _write(file: Path, text: str, what: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
    click.echo(f"{file}: {what}")
