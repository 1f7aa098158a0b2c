"""`turnstream train`: a project in, a bundle out."""

import signal
import sys
from pathlib import Path

import click

from turnstream.assistant.bundle import BundleError
from turnstream.assistant.problems import ProjectError
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.options import (
    DEFAULT_MODELS,
    NAME_OF_FILE,
    LogChoice,
    ManyValues,
    log_options,
    project_options,
    project_paths,
)
from turnstream.runtime.settings import LogSettings

NEEDED_TO_TRAIN = {
    "tensorflow": "TensorFlow",
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "pycrfsuite": "python-crfsuite",
}
"""What the extra `train` installs, by the name of its module."""


@click.command(
    cls=ManyValues,
    epilog=examples(
        "turnstream train",
        "turnstream train --data data more/nlu.yml --fixed-model-name tuesday",
        "turnstream train --finetune --epoch-fraction 0.3",
    ),
)
@project_options
@click.option("--out", type=NAME_OF_FILE, default=DEFAULT_MODELS, show_default=True, help="Folder for trained bundles.")
@click.option("--fixed-model-name", help="Name of the bundle.  [default: the time]")
@click.option(
    "--augmentation",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="How many times stories are glued together; 0: never.",
)
@click.option("--force", is_flag=True, help="Train every part anew, also where nothing has changed.")
@click.option(
    "--finetune",
    is_flag=False,
    flag_value=DEFAULT_MODELS,
    type=click.Path(path_type=Path),
    help="Train the networks of a bundle, or of the newest in a folder, further on data that has grown.",
)
@click.option(
    "--epoch-fraction",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=1.0,
    show_default=True,
    help="With --finetune: the share of the configured epochs to train.",
)
@log_options
def train(
    config: Path | None,
    domain: str | None,
    data: tuple[str, ...],
    out: str,
    fixed_model_name: str | None,
    augmentation: int,
    force: bool,
    finetune: Path | None,
    epoch_fraction: float,
    log: LogChoice,
) -> None:
    """Train the assistant of the current folder, or of the files given."""
    log.begin(LogSettings(level=log.level or "warning"))
    _require_writable(Path(out), fixed_model_name)
    paths = project_paths(config, domain, data)
    from turnstream.cli.summary import ProgressReporter, print_result, refusal, terminal
    from turnstream.training.train import TrainingRequest
    from turnstream.training.train import train as train_bundle
    from turnstream.training.workers import TrainingEnded

    console = terminal()
    # Ended by SIGTERM as by Ctrl-C: what was written so far is removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with ProgressReporter(console) as reporter:
            request = TrainingRequest(paths, Path(out), fixed_model_name, augmentation, force, finetune, epoch_fraction)
            result = train_bundle(request, reporter)
    except ProjectError as error:
        raise CommandError(refusal(error)) from error
    except BundleError as error:
        raise CommandError(f"--finetune: {error}") from error
    except TrainingEnded as error:
        raise CommandError(str(error)) from error
    except ModuleNotFoundError as error:
        if error.name not in NEEDED_TO_TRAIN:
            raise
        raise CommandError(
            f"{NEEDED_TO_TRAIN[error.name]} is not installed, and this project has models to train: "
            "pip install 'turnstream[train]'."
        ) from error
    except OSError as error:
        raise CommandError(f"The bundle cannot be written: {error}. Nothing was left behind.") from error
    print_result(console, result)


def _require_writable(out: Path, name: str | None) -> None:
    """Raises CommandError where the bundle could not be put, before minutes of training."""
    if name is not None and (not name or Path(name).name != name or name.startswith(".")):
        raise CommandError(f"--fixed-model-name: '{name}' is no name of a folder; --out says where bundles go.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--out: {out} is no folder, and none can be made there: {error.strerror}.") from error
