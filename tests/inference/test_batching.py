import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.inference.bags import led_by_padding
from turnstream.inference.batches import Padding, join, rows_of, split
from turnstream.inference.batching import Batcher, BatchLimits
from turnstream.inference.signatures import TensorSpec
from turnstream.runtime.errors import TryLater

Arrays = dict[str, Any]
SPECS = {"tokens": TensorSpec(pb.DT_FLOAT, (None, None)), "sum": TensorSpec(pb.DT_FLOAT, (None,))}


def request(rows: int, tokens: int, k: int, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return {
        "ids": rng.integers(1, 9, (rows, tokens, k), np.int32),
        "weights": rng.random((rows, tokens, k), np.float32),
        "lengths": rng.integers(0, tokens + 1, rows, np.int32),
    }


def bag(inputs: Arrays) -> Arrays:
    """An embedding bag with a mask, as our models begin with: right for any padding by zeros."""
    mask = np.arange(inputs["ids"].shape[1]) < inputs["lengths"][:, None]
    tokens = (inputs["ids"] * inputs["weights"]).sum(axis=2) * mask
    return {"tokens": tokens, "sum": tokens.sum(axis=1)}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5))
def test_batching_changes_nothing(shapes: list[tuple[int, int, int]]) -> None:
    requests = [request(*shape, seed=n) for n, shape in enumerate(shapes)]
    joined = join(requests)
    for inputs, outputs in zip(requests, split(bag(joined), requests, joined, SPECS), strict=True):
        for name, expected in bag(inputs).items():
            assert outputs[name].shape == expected.shape
            np.testing.assert_allclose(outputs[name], expected, rtol=1e-6)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=4))
def test_bags_survive_padding_as_tensorflow_serving_does_it(shapes: list[tuple[int, int, int]]) -> None:
    requests = [request(*shape, seed=n) for n, shape in enumerate(shapes)]
    sent = [led_by_padding(r) for r in requests]
    joined = join(sent, Padding.FIRST_ELEMENT)
    for inputs, outputs in zip(requests, split(bag(joined), sent, joined, SPECS), strict=True):
        np.testing.assert_allclose(outputs["sum"], bag(inputs)["sum"], rtol=1e-6)


def test_only_bags_are_led_by_padding() -> None:
    inputs = {"sentence_ids": np.ones((1, 2)), "lengths": np.ones(1), "dense": np.ones((1, 2, 3)), "ids": np.ones(3)}
    shapes = {name: array.shape for name, array in led_by_padding(inputs).items()}
    assert shapes == {"sentence_ids": (1, 3), "lengths": (1,), "dense": (1, 2, 3), "ids": (3,)}


def test_axis_of_fixed_size_is_never_cut() -> None:
    requests = [{"x": np.ones((1, 2))}, {"x": np.ones((1, 5))}]
    joined = join(requests)
    specs = {"ranking": TensorSpec(pb.DT_DOUBLE, (None, 5))}
    parts = split({"ranking": np.ones((2, 5))}, requests, joined, specs)
    assert [p["ranking"].shape for p in parts] == [(1, 5), (1, 5)]


def test_padding_as_tensorflow_serving_does_it() -> None:
    requests = [{"x": np.array([[7, 8]])}, {"x": np.array([[1, 2, 3]])}]
    assert join(requests, Padding.FIRST_ELEMENT)["x"].tolist() == [[7, 8, 7], [1, 2, 3]]
    assert join(requests)["x"].tolist() == [[7, 8, 0], [1, 2, 3]]
    texts = [{"x": np.array([[b"a"]], object)}, {"x": np.array([[b"b", b"c"]], object)}]
    assert join(texts)["x"].tolist() == [[b"a", b""], [b"b", b"c"]]


def test_inputs_without_a_common_batch_axis_have_no_rows() -> None:
    assert rows_of({"a": np.zeros((2, 1)), "b": np.zeros(2)}) == 2
    assert rows_of({"a": np.zeros((2, 1)), "b": np.zeros(3)}) is None
    assert rows_of({"a": np.zeros(())}) is None


class Recorder:
    """Runs `bag` and keeps how many rows each call had."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, inputs: Arrays) -> Arrays:
        self.rows.append(inputs["ids"].shape[0])
        if (inputs["ids"] < 0).any():
            raise ValueError("a negative id")
        return bag(inputs)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def batcher(run: Any, executor: ThreadPoolExecutor, **limits: Any) -> Batcher:
    return Batcher(run, SPECS, executor, BatchLimits(**limits))


async def test_clients_that_ask_again_and_again_are_answered_by_halves(executor: ThreadPoolExecutor) -> None:
    run = Recorder()
    one = batcher(run, executor, max_rows=64)

    async def client(seed: int) -> None:
        for _ in range(4):
            await one.submit(request(1, 2, 2, seed))

    await asyncio.gather(*(client(seed) for seed in range(40)))
    assert sum(run.rows) == 160
    assert max(run.rows) == 20


async def test_requests_at_once_share_a_batch_up_to_its_limit(executor: ThreadPoolExecutor) -> None:
    run = Recorder()
    one = batcher(run, executor, max_rows=4)
    requests = [request(1, n % 3 + 1, 2, n) for n in range(10)]
    answers = await asyncio.gather(*(one.submit(r) for r in requests))
    for inputs, outputs in zip(requests, answers, strict=True):
        np.testing.assert_allclose(outputs["tokens"], bag(inputs)["tokens"], rtol=1e-6)
    assert sum(run.rows) == 10
    assert max(run.rows) == 4
    assert len(run.rows) < 10


async def test_larger_request_than_the_limit_runs_alone(executor: ThreadPoolExecutor) -> None:
    run = Recorder()
    answers = await asyncio.gather(*(batcher(run, executor, max_rows=2).submit(request(5, 2, 1, 0)) for _ in range(1)))
    assert answers[0]["sum"].shape == (5,)


async def test_bad_request_fails_alone(executor: ThreadPoolExecutor) -> None:
    one = batcher(Recorder(), executor)
    bad = request(1, 1, 1, 0)
    bad["ids"][:] = -1
    good = [request(1, 2, 1, n) for n in range(3)]
    answers = await asyncio.gather(*(one.submit(r) for r in (*good, bad)), return_exceptions=True)
    assert isinstance(answers[3], ValueError)
    for inputs, outputs in zip(good, answers[:3], strict=True):
        assert isinstance(outputs, dict)
        np.testing.assert_allclose(outputs["sum"], bag(inputs)["sum"], rtol=1e-6)


async def test_outputs_without_a_batch_axis_end_batching(executor: ThreadPoolExecutor) -> None:
    def total(inputs: Arrays) -> Arrays:
        return {"total": inputs["x"].sum()}

    one = Batcher(total, {}, executor, BatchLimits())
    for _ in range(2):
        answers = await asyncio.gather(*(one.submit({"x": np.full(2, n)}) for n in range(4)))
        assert [int(a["total"]) for a in answers] == [0, 2, 4, 6]


async def test_too_many_waiting_are_told_to_try_later(executor: ThreadPoolExecutor) -> None:
    one = batcher(Recorder(), executor, max_waiting=2)
    answers = await asyncio.gather(*(one.submit(request(1, 1, 1, n)) for n in range(3)), return_exceptions=True)
    assert [isinstance(a, TryLater) for a in answers] == [False, False, True]


async def test_request_given_up_does_not_hold_the_others(executor: ThreadPoolExecutor) -> None:
    run = Recorder()
    one = batcher(run, executor, max_rows=1)
    first, second, third = (asyncio.create_task(one.submit(request(1, 1, 1, n))) for n in range(3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, third)
    assert run.rows == [1, 1]


async def test_a_lone_request_to_a_fast_model_runs_in_the_thread_of_the_loop_and_a_batch_does_not() -> None:
    threads: list[int] = []

    def run(inputs: Arrays) -> Arrays:
        threads.append(threading.get_ident())
        return bag(inputs)

    with ThreadPoolExecutor(1) as executor:
        batcher = Batcher(run, SPECS, executor, BatchLimits(inline_s=60.0))
        for _ in range(3):
            await batcher.submit(request(1, 2, 3, seed=1))
        answers = await asyncio.gather(*(batcher.submit(request(1, 2, 3, seed=n)) for n in range(3)))
    assert [thread == threading.get_ident() for thread in threads] == [False, True, True, False]
    for n, answer in enumerate(answers):
        np.testing.assert_allclose(answer["sum"], bag(request(1, 2, 3, seed=n))["sum"], rtol=1e-6)
