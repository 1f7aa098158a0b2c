"""The trained parts of a bundle: each made anew, or taken from an earlier bundle that was made from the same input."""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from turnstream.assistant.bundle import Bundle, BundleWriter
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problem, ProjectError
from turnstream.models.errors import UnsuitableOptions
from turnstream.models.training_loop import TrainingProgress
from turnstream.training.finetuning import WEIGHTS_DIR
from turnstream.training.workers import Build, TrainingEnded, Workers, prepare, timed

FINGERPRINTS = "fingerprints"
FURTHER = "further "
"""Stands before the fingerprint of what was trained further from an earlier bundle: training from the beginning gives
another model from the same input.
"""


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """`metrics` are those of the last epoch by name, `seconds` the training time; both empty for a reused part."""

    name: str
    reused: bool
    seconds: float
    metrics: Mapping[str, float]


class Reporter(Protocol):
    """Who is told how training goes. Parts that are trained side by side tell it from threads of their own."""

    def begin(self, part: str) -> None: ...

    def progress(self, part: str, progress: TrainingProgress) -> None: ...

    def end(self, outcome: PartOutcome) -> None: ...


@dataclass(frozen=True, slots=True)
class Part:
    """What is trained: `build` trains it and writes the SavedModel `model`, where it is a network, and its `files`.

    A network is trained in a process of its own, so its `build` must be picklable. An empty `fingerprint` is that of
    nothing: the part is made each time.
    """

    name: str
    fingerprint: str
    model: str | None
    build: Build
    files: tuple[str, ...] = ()


def make(
    parts: Iterable[Part],
    writer: BundleWriter,
    earlier: Bundle | None,
    reporter: Reporter,
    *,
    further: bool = False,
    cores: int | None = None,
) -> tuple[PartOutcome, ...]:
    """Make every part, or copy it from `earlier` where that has it from the same input.

    Raises ProjectError for keys of a component that do not fit its data, TrainingEnded where the process of a network
    is gone.

    further: whether parts go on from those of `earlier`. What is to be trained runs side by side, on `cores` threads at
    most (None: the machine's).
    """
    parts = tuple(parts)
    known: Mapping[str, str] = earlier.manifest.facts.get(FINGERPRINTS, {}) if earlier else {}
    taken = {part.name: found for part in parts if (found := _same(part, known, further)) and earlier is not None}
    outcomes: dict[str, PartOutcome] = {}
    for part in parts:
        if part.name in taken and earlier is not None:
            reporter.begin(part.name)
            _copy(part, earlier, writer)
            outcomes[part.name] = PartOutcome(part.name, True, 0.0, {})
            reporter.end(outcomes[part.name])
    remaining = [part for part in parts if part.name not in taken]
    outcomes |= {outcome.name: outcome for outcome in _build_all(remaining, writer, reporter, cores)}
    prefix = FURTHER if further else ""
    fingerprints = {part.name: taken.get(part.name, prefix + part.fingerprint) for part in parts}
    writer.facts.setdefault(FINGERPRINTS, {}).update(fingerprints)
    return tuple(outcomes[part.name] for part in parts)


def _same(part: Part, known: Mapping[str, str], further: bool) -> str | None:
    """The fingerprint of the earlier part where it came from the same input."""
    if not part.fingerprint:
        return None
    accepted = (part.fingerprint, FURTHER + part.fingerprint) if further else (part.fingerprint,)
    found = known.get(part.name)
    return found if found in accepted else None


def _build_all(parts: Sequence[Part], writer: BundleWriter, reporter: Reporter, cores: int | None) -> list[PartOutcome]:
    if not parts:
        return []
    if any(part.model for part in parts):
        prepare()
    workers = Workers()
    with ThreadPoolExecutor(min(len(parts), cores or os.cpu_count() or 1)) as threads:
        # Ctrl-C may come while a thread is being started: then the pool does not know of it, and nobody else ends it.
        try:
            running = [threads.submit(_build, part, writer, reporter, workers) for part in parts]
            return [future.result() for future in running]
        except BaseException:
            workers.stop()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _build(part: Part, writer: BundleWriter, reporter: Reporter, workers: Workers) -> PartOutcome:
    metrics: dict[str, float] = {}

    def progress(state: TrainingProgress) -> None:
        workers.raise_if_stopped()
        metrics.update(state.metrics)
        metrics.update({f"validation {name}": value for name, value in state.validation.items()})
        reporter.progress(part.name, state)

    reporter.begin(part.name)
    try:
        if part.model is None:
            seconds = timed(part.build, writer, progress)
        else:
            seconds = workers.run(part.build, writer, progress)
            # The process had a copy of the writer.
            writer.add_model(part.model)
    except UnsuitableOptions as error:
        raise ProjectError([Problem(Location("config.yml"), f"{part.name}: {error}.")]) from error
    except TrainingEnded as error:
        raise TrainingEnded(f"{part.name}: {error}.") from error
    outcome = PartOutcome(part.name, False, seconds, metrics)
    reporter.end(outcome)
    return outcome


def _copy(part: Part, earlier: Bundle, writer: BundleWriter) -> None:
    for name in part.files:
        shutil.copyfile(earlier.path(name), writer.path(name))
    if part.model is None:
        return
    trained = next(model for model in earlier.models if model.name == part.model)
    source = earlier.models_dir / trained.name / str(trained.version)
    shutil.copytree(source, writer.add_model(trained.name, trained.version))
    weights = f"{WEIGHTS_DIR}/{trained.name}"
    if earlier.has(f"{weights}/weights.npz"):
        shutil.copytree(earlier.path(weights), writer.path(weights))
