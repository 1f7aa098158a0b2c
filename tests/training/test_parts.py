"""Trained parts of a bundle: what has not changed is taken over, what is new is made side by side."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from turnstream.assistant.bundle import Bundle, BundleWriter, open_bundle
from turnstream.assistant.config import ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.problems import ProjectError
from turnstream.models.training_loop import ProgressCallback, TrainingProgress, split
from turnstream.testing.harness import SilentReporter
from turnstream.training.parts import Part, make

Build = Callable[[BundleWriter, ProgressCallback], None]


def part(name: str, fingerprint: str, build: Build | None = None) -> Part:
    """A part whose file has its fingerprint."""

    def write(writer: BundleWriter, progress: ProgressCallback) -> None:
        writer.write_json(f"{name}.json", fingerprint)

    return Part(name, fingerprint, None, build or write, (f"{name}.json",))


def bundle(
    folder: Path, *parts: Part, earlier: Bundle | None = None, further: bool = False
) -> tuple[Bundle, list[str]]:
    """The bundle, and the names of the parts that were taken over."""
    with BundleWriter(folder, domain=Domain(), config=ModelConfig()) as writer:
        outcomes = make(parts, writer, earlier, SilentReporter(), further=further)
        return open_bundle(writer.commit()), [outcome.name for outcome in outcomes if outcome.reused]


def test_a_part_from_the_same_input_is_taken_over(tmp_path: Path) -> None:
    first, _ = bundle(tmp_path / "1", part("a", "x"), part("b", "y"))
    second, reused = bundle(tmp_path / "2", part("a", "x"), part("b", "z"), part("c", "x"), earlier=first)
    assert reused == ["a"]
    assert [second.read_json(f"{name}.json") for name in "abc"] == ["x", "z", "x"]


def test_a_part_without_a_fingerprint_is_made_each_time(tmp_path: Path) -> None:
    first, _ = bundle(tmp_path / "1", part("a", ""))
    assert bundle(tmp_path / "2", part("a", ""), earlier=first)[1] == []


def test_what_was_trained_further_is_taken_over_by_training_further_alone(tmp_path: Path) -> None:
    first, _ = bundle(tmp_path / "1", part("a", "x"), part("b", "y"))
    second, reused = bundle(tmp_path / "2", part("a", "x"), part("b", "z"), earlier=first, further=True)
    assert reused == ["a"]
    assert bundle(tmp_path / "3", part("a", "x"), part("b", "z"), earlier=second, further=True)[1] == ["a", "b"]
    assert bundle(tmp_path / "4", part("a", "x"), part("b", "z"), earlier=second)[1] == ["a"]


def test_parts_are_made_side_by_side(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=60)

    def meet(writer: BundleWriter, progress: ProgressCallback) -> None:
        both.wait()

    with BundleWriter(tmp_path / "1", domain=Domain(), config=ModelConfig()) as writer:
        parts = [part("a", "x", meet), part("b", "y", meet)]
        outcomes = make(parts, writer, None, SilentReporter(), cores=2)
    assert [(outcome.name, outcome.reused) for outcome in outcomes] == [("a", False), ("b", False)]


def test_where_one_fails_the_others_end_after_their_epoch(tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def fail(writer: BundleWriter, progress: ProgressCallback) -> None:
        begun.wait(60)
        raise ValueError("no")

    def train_on(writer: BundleWriter, progress: ProgressCallback) -> None:
        begun.set()
        try:
            while True:
                progress(TrainingProgress("b", 1, 1, {}))
        finally:
            ended.set()

    with BundleWriter(tmp_path / "1", domain=Domain(), config=ModelConfig()) as writer:
        parts = [part("a", "x", fail), part("b", "y", train_on)]
        with pytest.raises(ValueError, match="no"):
            make(parts, writer, None, SilentReporter(), cores=2)
    assert ended.is_set()


def test_keys_that_do_not_fit_the_data_are_refused_with_the_part(tmp_path: Path) -> None:
    def train(writer: BundleWriter, progress: ProgressCallback) -> None:
        split(np.zeros(3, np.int32), 5, np.random.default_rng(1))

    with (
        BundleWriter(tmp_path / "1", domain=Domain(), config=ModelConfig()) as writer,
        pytest.raises(ProjectError, match="intents: evaluate_on_number_of_examples is 5, but"),
    ):
        make([part("intents", "x", train)], writer, None, SilentReporter())
