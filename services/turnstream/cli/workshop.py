"""`python -m turnstream.cli.workshop FOLDER`: one job that was asked for over REST (`gateway.workshop`).

The order is in the folder, the result is left there. Whatever goes wrong is part of the result, told for clients.
"""

import asyncio
import json
import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from turnstream.api.v1.trackers_pb2 import PreviewedEvents
from turnstream.assistant.bundle import BundleError, find_bundle, open_bundle
from turnstream.assistant.nlu_data import EntityAnnotation, Example, NluData
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.reader import ProjectPaths, read_into, read_test_stories
from turnstream.assistant.single_file import lay_out
from turnstream.assistant.stories import TestStory
from turnstream.assistant.validation import load_project
from turnstream.cli.errors import CommandError
from turnstream.dialogue.proto import event_from_proto
from turnstream.evaluation.cross_validation import stratified_folds
from turnstream.evaluation.dialogues import reports as dialogue_reports
from turnstream.evaluation.nlu import Understood
from turnstream.evaluation.nlu import reports as nlu_reports
from turnstream.evaluation.results import dialogue_result, nlu_result
from turnstream.gateway.workshop import BODY, ORDER, RESULT
from turnstream.replay.comparing import comparison_as_json
from turnstream.runtime.settings import load_settings
from turnstream.training.workers import TrainingEnded

NO_TENSORFLOW = (
    "this server has no TensorFlow, which the models of this request need: run `turnstream train` or `turnstream test` "
    "where it is installed (turnstream[train]), and bring the bundle here with `turnstream bundle install`"
)
NO_SPACE = "the bundle cannot be written: "


@dataclass(frozen=True, slots=True)
class Job:
    """The folder of a job, and the values of its order."""

    folder: Path
    options: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        return (self.folder / BODY).read_bytes()

    def project(self) -> ProjectPaths:
        """The body as files. Raises ProjectError."""
        place = self.folder / "project"
        place.mkdir()
        return lay_out(self.body, place)


def main(folder: Path) -> None:
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    result = _done(JOBS[order["kind"]], Job(folder, order))
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")


def _done(job: Callable[[Job], dict[str, Any]], order: Job) -> dict[str, Any]:
    try:
        return {"value": job(order)}
    except ProjectError as error:
        return {"refused": "\n".join(map(str, error.problems))}
    except (CommandError, BundleError, TrainingEnded) as error:
        return {"refused": str(error)}
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        return {"missing": NO_TENSORFLOW}
    except OSError as error:
        return {"conflict": f"{NO_SPACE}{error}; with save_to_default_model_directory=false nothing is kept here"}


def _train(job: Job) -> dict[str, Any]:
    """The bundle, in the folder of models where it is to stay, and packed."""
    paths = job.project()
    # What can be refused is refused before TensorFlow is imported, which takes longer.
    load_project(paths)
    from turnstream.training.train import TrainingRequest, train

    models = Path(job.options["models"]) if job.options["keep"] else job.folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    request = TrainingRequest(paths, models, None, job.options["augmentation"], job.options["force"])
    bundle = train(request, _Nobody()).path
    archive = job.folder / f"{bundle.name}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(bundle, arcname=bundle.name)
    return {"name": bundle.name, "archive": archive.name}


class _Nobody:
    """Is told how training goes."""

    def begin(self, part: str) -> None: ...

    def progress(self, part: str, progress: Any) -> None: ...

    def end(self, outcome: Any) -> None: ...


def _test_stories(job: Job) -> dict[str, Any]:
    tests = _read_stories(job)
    end_to_end = bool(job.options["e2e"])

    async def run() -> dict[str, Any]:
        from turnstream.cli.examining import examined

        async with examined(_model(job), load_settings()) as subject:
            results = [result for test in tests for result in await subject.play(test, end_to_end=end_to_end)]
        return dialogue_result(dialogue_reports(results), end_to_end=end_to_end)

    return asyncio.run(run())


def _read_stories(job: Job) -> Sequence[TestStory]:
    """Raises ProjectError."""
    paths, problems = job.project(), Problems()
    file = paths.root / "test_stories.yml"
    shutil.copy(paths.data[0], file)
    tests = read_test_stories(paths.root, [file], problems)
    problems.raise_if_any()
    if not tests:
        raise CommandError("there are no stories in the body")
    return tests


def _test_intents(job: Job) -> dict[str, Any]:
    paths, data = _read_examples(job)
    folds = job.options["folds"]
    if folds:
        return _cross_validated(paths, data, folds)
    return asyncio.run(_understood(_model(job), [example for example in data.examples if example.intent]))


def _read_examples(job: Job) -> tuple[ProjectPaths, NluData]:
    """Raises ProjectError, CommandError where there is nothing to test."""
    if job.options["is_json"]:
        paths, data = ProjectPaths(job.folder, None, (), ()), _from_json(job.body)
    else:
        paths, problems = job.project(), Problems()
        data = read_into(replace(paths, config=None, domain=()), problems).project.nlu
        problems.raise_if_any()
    if not any(example.intent for example in data.examples):
        raise CommandError("there are no examples with an intent in the body")
    return paths, data


def _from_json(body: bytes) -> NluData:
    """Rasa's JSON of NLU data: https://rasa.com/docs/rasa/training-data-format (`rasa_nlu_data.common_examples`)."""
    try:
        examples = json.loads(body)["rasa_nlu_data"]["common_examples"]
        return NluData(tuple(Example(one["text"], one.get("intent"), _entities(one)) for one in examples))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise CommandError(f"the body is no JSON with rasa_nlu_data.common_examples ({reason})") from error


def _entities(example: Mapping[str, Any]) -> tuple[EntityAnnotation, ...]:
    keys = ("start", "end", "entity", "value", "role", "group")
    return tuple(EntityAnnotation(**{k: one[k] for k in keys if k in one}) for one in example.get("entities") or ())


def _cross_validated(paths: ProjectPaths, data: NluData, folds: int) -> dict[str, Any]:
    from turnstream.cli.cross_validation import trained_fold
    from turnstream.cli.examining import extractors_of

    understood: list[Understood] = []
    extractors: tuple[str, ...] = ()
    parts = stratified_folds(data.examples, folds)
    for held_out in parts:
        learned = tuple(example for part in parts if part is not held_out for example in part)
        with trained_fold(paths, replace(data, examples=learned)) as bundle:
            understood += asyncio.run(_parsed(bundle, held_out))
            extractors = extractors_of(open_bundle(bundle))
    return nlu_result(nlu_reports(understood, extractors))


async def _understood(model: Path, examples: Sequence[Example]) -> dict[str, Any]:
    from turnstream.cli.examining import extractors_of

    understood = await _parsed(model, examples)
    return nlu_result(nlu_reports(understood, extractors_of(open_bundle(model))))


async def _parsed(model: Path, examples: Sequence[Example]) -> tuple[Understood, ...]:
    from turnstream.cli.examining import examined

    async with examined(model, load_settings()) as subject:
        return await subject.understand(examples)


def _compare(job: Job) -> dict[str, Any]:
    """A recorded conversation answered by another bundle."""
    from turnstream.cli.comparison import compare_alone

    previewed = PreviewedEvents.FromString(job.body)
    events = [event_from_proto(event) for event in previewed.events]
    bundle = find_bundle(Path(job.options["bundle"]))
    turns = asyncio.run(compare_alone(bundle, load_settings(), job.options["conversation_id"], events))
    return {"turns": [comparison_as_json(turn) for turn in turns]}


def _model(job: Job) -> Path:
    """Raises BundleError."""
    return find_bundle(Path(job.options["model"]))


JOBS: Mapping[str, Callable[[Job], dict[str, Any]]] = {
    "train": _train,
    "stories": _test_stories,
    "intents": _test_intents,
    "compare": _compare,
}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
