"""Networks are trained in processes of their own, which end with the training."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType

import pytest
from support.trainings import Endless, Export, Fail, Meet
from turnstream.assistant.bundle import BundleWriter, open_bundle
from turnstream.assistant.config import ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.problems import ProjectError
from turnstream.models.training_loop import TrainingProgress
from turnstream.testing.harness import SilentReporter
from turnstream.training.parts import Part, PartOutcome, make
from turnstream.training.workers import Build, TrainingEnded

PATIENCE_S = 60.0


def network(name: str, build: Build) -> Part:
    return Part(name, "", name, build)


def make_all(writer: BundleWriter, *parts: Part) -> tuple[PartOutcome, ...]:
    return make(parts, writer, None, SilentReporter(), cores=2)


@pytest.fixture
def writer(tmp_path: Path) -> BundleWriter:
    return BundleWriter(tmp_path / "bundle", domain=Domain(), config=ModelConfig())


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class Heard(SilentReporter):
    def __init__(self) -> None:
        self.epochs: list[tuple[str, float]] = []

    def progress(self, part: str, progress: TrainingProgress) -> None:
        self.epochs.append((part, progress.loss))


def test_another_process_writes_the_model_and_tells_how_it_goes(writer: BundleWriter) -> None:
    heard = Heard()
    with writer:
        outcomes = make([network("a", Export("a"))], writer, None, heard)
        bundle = open_bundle(writer.commit())
    assert heard.epochs == [("a", 0.5)]
    assert outcomes[0].metrics == {"loss": 0.5}
    [model] = bundle.models
    written = bundle.models_dir / "a" / str(model.version) / "process"
    assert int(written.read_text(encoding="utf-8")) != os.getpid()


def test_two_are_trained_side_by_side(writer: BundleWriter, pipe: Path) -> None:
    with writer:
        made = make_all(writer, network("a", Meet(pipe, "r", "a")), network("b", Meet(pipe, "w", "b")))
        assert [model.name for model in open_bundle(writer.commit()).models] == ["a", "b"]
    assert [outcome.name for outcome in made] == ["a", "b"]


def test_where_one_fails_the_other_is_ended_and_gone(writer: BundleWriter, pipe: Path, tmp_path: Path) -> None:
    endless = network("b", Endless(pipe, tmp_path / "id"))
    with writer, pytest.raises(ValueError, match="no such thing") as raised:
        make_all(writer, network("a", Fail("no such thing", pipe)), endless)
    assert "trainings.py" in "".join(raised.value.__notes__)
    assert not is_there(int((tmp_path / "id").read_text(encoding="utf-8")))


class Interruption(BaseException):
    pass


@pytest.mark.parametrize("attempt", range(5))
def test_an_interruption_at_the_start_ends_what_has_begun(
    writer: BundleWriter, pipe: Path, tmp_path: Path, attempt: int
) -> None:
    """Where it comes differs from attempt to attempt: as threads are started, or after."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interruption

    class Interrupting(SilentReporter):
        def begin(self, part: str) -> None:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    others = set(threading.enumerate())
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with writer, pytest.raises(Interruption):
            make([network("a", Endless(pipe, tmp_path / "id"))], writer, None, Interrupting())
    finally:
        signal.signal(signal.SIGUSR1, before)
    # A thread that the pool did not know of is not waited for, but comes to its end.
    for thread in set(threading.enumerate()) - others:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    id = tmp_path / "id"
    assert not id.exists() or not is_there(int(id.read_text(encoding="utf-8")))


def test_one_that_is_killed_is_named_with_the_likely_reason(writer: BundleWriter) -> None:
    with writer, pytest.raises(TrainingEnded, match=r"diet: its process was killed, .* memory runs out"):
        make_all(writer, network("diet", Fail("killed")))


def test_an_error_that_cannot_be_sent_arrives_as_text(writer: BundleWriter) -> None:
    with writer, pytest.raises(RuntimeError, match="Torn: a thread in a seam"):
        make_all(writer, network("a", Fail("torn")))


def test_keys_that_do_not_fit_the_data_are_refused_with_the_network(writer: BundleWriter) -> None:
    with writer, pytest.raises(ProjectError, match="intents: evaluate_on_number_of_examples is 5, but"):
        make_all(writer, network("intents", Fail("unsuitable")))
