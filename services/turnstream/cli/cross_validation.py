"""Training the NLU of a project on a part of its data."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from turnstream.assistant.nlu_data import NluData
from turnstream.assistant.nlu_writer import nlu_yaml
from turnstream.assistant.problems import ProjectError
from turnstream.assistant.reader import ProjectPaths
from turnstream.cli.errors import CommandError
from turnstream.cli.summary import ProgressReporter, refusal, terminal
from turnstream.training.train import TrainingRequest, train
from turnstream.training.workers import TrainingEnded


@contextmanager
def trained_fold(paths: ProjectPaths, data: NluData) -> Iterator[Path]:
    """A bundle with the pipeline, trained on `data`, for as long as the context lasts. Raises CommandError."""
    with tempfile.TemporaryDirectory(prefix="turnstream-fold-") as folder:
        place = Path(folder)
        (place / "nlu.yml").write_text(nlu_yaml(data), encoding="utf-8")
        (place / "config.yml").write_text(_nlu_only(paths.config), encoding="utf-8")
        responses = tuple(path for path in paths.domain if path.exists())
        fold = replace(paths, config=place / "config.yml", domain=responses, data=(place / "nlu.yml",), tests=())
        try:
            with ProgressReporter(terminal()) as reporter:
                yield train(TrainingRequest(fold, place / "models"), reporter).path
        except ProjectError as error:
            raise CommandError(refusal(error)) from error
        except TrainingEnded as error:
            raise CommandError(str(error)) from error


def _nlu_only(config: Path | None) -> str:
    content = yaml.safe_load(config.read_text(encoding="utf-8")) if config is not None and config.is_file() else {}
    # Nothing is learned by it; a domain with forms is refused without it.
    policies = [{"name": "RulePolicy"}]
    return yaml.safe_dump({**(content or {}), "policies": policies}, sort_keys=False, allow_unicode=True)
