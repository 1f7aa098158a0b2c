"""`python -m benchmarks.accuracy [DATA SET]...`: training and testing on public data sets, with the peer's configs.

Each data set is a project of its own; `turnstream train` and `turnstream test` do the rest. The data sets lie beside
the repository, in `shared/data`.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.project import BUILD, REPOSITORY, BenchmarkError, TrainingFigures, run_training

DATA = REPOSITORY.parent / "shared" / "data"
FEATURIZERS: tuple[dict[str, Any], ...] = (
    {"name": "WhitespaceTokenizer"},
    {"name": "RegexFeaturizer"},
    {"name": "LexicalSyntacticFeaturizer"},
    {"name": "CountVectorsFeaturizer"},
    {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
)
INTENTS, ENTITIES, RESPONSES, ACTIONS = "intent", "DIETClassifier", "response_selection", "story"
"""Reports of `turnstream test`."""
FIGURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "intent accuracy": (INTENTS, ("accuracy",)),
    "entity F1": (ENTITIES, ("micro avg", "f1-score")),
    "top response right": (RESPONSES, ("accuracy",)),
    "MRR": (RESPONSES, ("mrr",)),
    "action accuracy": (ACTIONS, ("accuracy",)),
    "action weighted F1": (ACTIONS, ("weighted avg", "f1-score")),
    "whole dialogues": (ACTIONS, ("conversation_accuracy", "accuracy")),
}
"""The report of a figure, and where it stands in it."""
FALLBACK = 0.3
"""The threshold of a FallbackClassifier by default; its ambiguity threshold is left out."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """train, test: files under `DATA`; domain: a file there, or None for one made from the examples.

    component: what is trained, with its keys; peer: the figures and what the peer reaches, None where it was not
    measured; peer_memory_gb: its peak while training; out_of_scope: messages that no intent fits.
    """

    train: str
    test: str
    component: dict[str, Any]
    peer: dict[str, float | None]
    peer_memory_gb: float
    domain: str | None = None
    is_dialogue: bool = False
    out_of_scope: str | None = None


def _diet(epochs: int) -> dict[str, Any]:
    return {"name": "DIETClassifier", "epochs": epochs, "constrain_similarities": True}


def _ted() -> dict[str, Any]:
    return {"name": "TEDPolicy", "max_history": 10, "epochs": 100, "constrain_similarities": True}


DATA_SETS = {
    "hwu64": DataSet(
        "nlu/hwu64/train/nlu.yml",
        "nlu/hwu64/test/nlu.yml",
        _diet(30),
        {"intent accuracy": 0.856, "entity F1": 0.754},
        7.7,
    ),
    "atis": DataSet(
        "nlu/atis-roles/train/nlu.yml",
        "nlu/atis-roles/val/nlu.yml",
        _diet(10),
        {"intent accuracy": 0.943, "entity F1": 0.875},
        8.3,
    ),
    "clinc150": DataSet(
        "nlu/clinc150/train/nlu.yml",
        "nlu/clinc150/val/nlu.yml",
        _diet(5),
        {"intent accuracy": 0.864},
        2.0,
        out_of_scope="nlu/clinc150/oos_val/nlu.yml",
    ),
    "stackfaq": DataSet(
        "selection/stackfaq/split/train/nlu.yml",
        "selection/stackfaq/split/dev/nlu.yml",
        {"name": "ResponseSelector", "epochs": 100, "constrain_similarities": True},
        {"top response right": 0.820, "MRR": None},
        1.4,
        "selection/stackfaq/domain.yml",
    ),
    "sub-dialogues": DataSet(
        "stories/ted-subdialogues/train/stories.yml",
        "stories/ted-subdialogues/test/stories.yml",
        _ted(),
        {"action accuracy": 0.995, "action weighted F1": 0.997, "whole dialogues": 27 / 32},
        1.1,
        "stories/ted-subdialogues/domain.yml",
        is_dialogue=True,
    ),
    "multiwoz": DataSet(
        "stories/multiwoz-ted/split/train/stories.yml",
        "stories/multiwoz-ted/split/dev/stories.yml",
        _ted(),
        {"action accuracy": 0.714, "action weighted F1": 0.709, "whole dialogues": 1 / 148},
        1.4,
        "stories/multiwoz-ted/domain.yml",
        is_dialogue=True,
    ),
}


@dataclass(slots=True)
class Measured:
    """By seed, in the order of the runs."""

    training: list[TrainingFigures] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(DATA_SETS)))
@click.option("--seeds", default=1, show_default=True, help="How many seeds: 1, 2, ...")
def main(names: tuple[str, ...], seeds: int) -> None:
    """Measure the data sets named, all where none is."""
    results: dict[str, Measured] = {}
    for name in names or DATA_SETS:
        results[name] = Measured()
        for seed in range(1, seeds + 1):
            try:
                _measure(name, DATA_SETS[name], seed, results[name])
            except BenchmarkError as error:
                raise click.ClickException(str(error)) from error
    Console(width=None if sys.stdout.isatty() else 110).print(_table(results))


def _measure(name: str, data: DataSet, seed: int, measured: Measured) -> None:
    folder = BUILD / "accuracy" / name
    shutil.rmtree(folder, ignore_errors=True)
    _write_project(folder, data, seed)
    measured.training.append(run_training(folder, folder / "models", "--augmentation", "0"))
    results = _test(folder, data, data.test)
    for figure in data.peer:
        report, keys = FIGURES[figure]
        value: Any = _read(results / f"{report}_report.json")
        for key in keys:
            value = value[key]
        measured.figures.setdefault(figure, []).append(float(value))
    if data.out_of_scope is not None:
        for figure, value in _out_of_scope(results, _test(folder, data, data.out_of_scope)).items():
            measured.figures.setdefault(figure, []).append(value)


def _test(folder: Path, data: DataSet, examples: str) -> Path:
    """The folder with the reports."""
    kind = ["core", "-s"] if data.is_dialogue else ["nlu", "--nlu"]
    out = f"results-{Path(examples).parent.name}"
    options = ["--out", out, "--no-plot", "--successes"]
    command = [sys.executable, "-m", "turnstream.cli", "test", *kind, str(DATA / examples), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"testing on {examples} failed:\n{done.stderr[-2000:]}")
    return folder / out


def _out_of_scope(in_scope: Path, out_of_scope: Path) -> dict[str, float]:
    """What a FallbackClassifier makes of both: it speaks where the best intent's confidence is below its threshold."""
    right, wrong = (sum(c < FALLBACK for c in _confidences(folder)) for folder in (out_of_scope, in_scope))
    recall = right / len(_confidences(out_of_scope))
    return {"out-of-scope recall": recall, "out-of-scope precision": right / max(1, right + wrong)}


def _confidences(results: Path) -> list[float]:
    """Of the best intent of each message."""
    files = [results / f"intent_{which}.json" for which in ("errors", "successes")]
    return [one["intent_prediction"]["confidence"] for file in files if file.is_file() for one in _read(file)]


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _write_project(folder: Path, data: DataSet, seed: int) -> None:
    (folder / "data").mkdir(parents=True)
    text = (DATA / data.train).read_text(encoding="utf-8")
    (folder / "data" / Path(data.train).name).write_text(text, encoding="utf-8")
    component = {**data.component, "random_seed": seed}
    config = {
        "recipe": "default.v1",
        "language": "en",
        "assistant_id": "accuracy",
        "pipeline": [] if data.is_dialogue else [*FEATURIZERS, component],
        "policies": [component] if data.is_dialogue else [],
    }
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    domain = yaml.safe_dump(_domain_of(text)) if data.domain is None else (DATA / data.domain).read_text("utf-8")
    (folder / "domain.yml").write_text(domain, encoding="utf-8")


def _domain_of(text: str) -> dict[str, Any]:
    """Intents and entities, with their roles, of NLU data."""
    sections = [section for section in yaml.safe_load(text)["nlu"] if "intent" in section]
    roles: dict[str, set[str]] = {}
    for plain, full in re.findall(r"\](?:\((\w[^)]*)\)|(\{[^}]*\}))", "".join(s["examples"] for s in sections)):
        marked = json.loads(full) if full else {"entity": plain.split(":")[0]}
        roles.setdefault(marked["entity"], set()).update({marked["role"]} if "role" in marked else ())
    entities = [{name: {"roles": sorted(known)}} if known else name for name, known in roles.items()]
    return {"version": "3.1", "intents": [section["intent"] for section in sections], "entities": entities}


def _table(results: dict[str, Measured]) -> Table:
    columns = ("data set", "figure", "peer", "here", "spread", "training s", "processor s", "memory GB", "peer")
    table = Table(*columns, box=None, pad_edge=False)
    for name, measured in results.items():
        training, data = measured.training, DATA_SETS[name]
        for figure, values in measured.figures.items():
            peer = data.peer.get(figure)
            table.add_row(
                name,
                figure,
                "" if peer is None else f"{peer:.3f}",
                f"{statistics.fmean(values):.3f}",
                _spread(values),
                f"{statistics.fmean(figures.wall_s for figures in training):.0f}",
                f"{statistics.fmean(figures.cpu_s for figures in training):.0f}",
                f"{max(figures.peak_mb for figures in training) / 1024:.1f}",
                f"{data.peer_memory_gb:.1f}",
            )
    return table


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else "one run"


if __name__ == "__main__":
    main()
