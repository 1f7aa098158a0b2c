"""The CRF against sums and maxima over every sequence of tags."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from turnstream.models.layers import crf as crf_module
from turnstream.models.layers.crf import ConditionalRandomField
from turnstream.models.randomness import Initializer

TAGS = 3
LENGTHS = (4, 1, 3, 0)


def crf_and_logits() -> tuple[ConditionalRandomField, np.ndarray]:
    crf = ConditionalRandomField(TAGS, Initializer(1), name="crf")
    crf.transitions.assign(np.random.default_rng(2).normal(size=(TAGS, TAGS)).astype(np.float32) * 2)
    logits = np.random.default_rng(3).normal(size=(len(LENGTHS), 4, TAGS)).astype(np.float32) * 3
    return crf, logits


def every_score(logits: np.ndarray, transitions: np.ndarray) -> dict[tuple[int, ...], float]:
    scores = {}
    for path in np.ndindex(*[TAGS] * len(logits)):
        moves = sum(transitions[a, b] for a, b in itertools.pairwise(path))
        scores[path] = float(sum(logits[t, tag] for t, tag in enumerate(path)) + moves)
    return scores


def test_likelihood_is_that_of_summing_over_all_sequences() -> None:
    crf, logits = crf_and_logits()
    tags = np.random.default_rng(4).integers(0, TAGS, logits.shape[:2]).astype(np.int32)
    found = crf.negative_log_likelihood(tf.constant(logits), tf.constant(tags), tf.constant(LENGTHS)).numpy()
    for row, length in enumerate(LENGTHS[:3]):
        scores = every_score(logits[row, :length], crf.transitions.numpy())
        expected = np.logaddexp.reduce(list(scores.values())) - scores[tuple(int(t) for t in tags[row, :length])]
        assert found[row] == pytest.approx(expected, abs=1e-4)
    assert found[3] == 0.0


def test_gradients_are_those_of_the_summed_likelihood() -> None:
    crf, logits = crf_and_logits()
    tags = np.random.default_rng(4).integers(0, TAGS, logits.shape[:2]).astype(np.int32)
    weights = tf.constant([1.0, 2.0, 0.5, 3.0])

    def by_summing(variable_logits: tf.Tensor) -> tf.Tensor:
        total = tf.constant(0.0)
        for row, length in enumerate(LENGTHS[:3]):
            scores = []
            for path in np.ndindex(*[TAGS] * length):
                score = tf.add_n([variable_logits[row, t, tag] for t, tag in enumerate(path)])
                score += sum((crf.transitions[a, b] for a, b in itertools.pairwise(path)), tf.constant(0.0))
                scores.append(score)
            true = np.ravel_multi_index(tags[row, :length], [TAGS] * length)
            total += weights[row] * (tf.reduce_logsumexp(tf.stack(scores)) - scores[int(true)])
        return total

    gradients = []
    for loss in (
        lambda x: tf.reduce_sum(weights * crf.negative_log_likelihood(x, tf.constant(tags), tf.constant(LENGTHS))),
        by_summing,
    ):
        variable = tf.Variable(logits)
        with tf.GradientTape() as tape:
            value = loss(variable)
        gradients.append(tape.gradient(value, [variable, crf.transitions]))
    for ours, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, tf.convert_to_tensor(expected), atol=1e-4)


def test_decoding_finds_the_best_of_all_sequences() -> None:
    crf, logits = crf_and_logits()
    found = crf.decode(tf.constant(logits), tf.constant(LENGTHS)).numpy()
    for row, length in enumerate(LENGTHS[:3]):
        scores = every_score(logits[row, :length], crf.transitions.numpy())
        assert tuple(found[row, :length]) == max(scores, key=lambda path: scores[path])
        assert not found[row, length:].any()


@pytest.mark.parametrize("scale", [0.3, 3.0, 12.0, 100.0])
def test_decoding_with_slack_finds_the_same(scale: float) -> None:
    """From all open, over some, to none."""
    crf, logits = crf_and_logits()
    logits = logits / 3 * scale
    plain = crf.decode(tf.constant(logits), tf.constant(LENGTHS))
    np.testing.assert_array_equal(crf.decode(tf.constant(logits), tf.constant(LENGTHS), crf.slack()), plain)


def test_the_search_leaves_out_tags_that_are_on_no_best_path() -> None:
    """As with many tags, of which a message has few: the others are not searched, in no row of a batch."""
    count, rows = 40, 5
    generator = np.random.default_rng(5)
    crf = ConditionalRandomField(count, Initializer(1), name="crf")
    crf.transitions.assign(generator.normal(size=(count, count)).astype(np.float32) * 0.3)
    logits = generator.normal(size=(rows, 6, count)).astype(np.float32) - 8.0
    for row, token in np.ndindex(rows, 6):
        logits[row, token, generator.choice(count, 2, replace=False)] += 10.0
    lengths = tf.constant([6, 3, 0, 5, 1])
    searched: list[int] = []
    viterbi = crf_module.viterbi
    try:
        crf_module.viterbi = lambda some, *rest: searched.append(some.shape[2]) or viterbi(some, *rest)
        found = crf.decode(tf.constant(logits), lengths, crf.slack())
    finally:
        crf_module.viterbi = viterbi
    np.testing.assert_array_equal(found, crf.decode(tf.constant(logits), lengths))
    assert 2 <= searched[0] < count


def test_slack_is_what_neighbours_can_add_at_most() -> None:
    crf, _ = crf_and_logits()
    transitions, slack = crf.transitions.numpy(), crf.slack()
    for tag, other in np.ndindex(TAGS, TAGS):
        before = max(0.0, *(transitions[p, other] - transitions[p, tag] for p in range(TAGS)))
        after = max(0.0, *(transitions[other, n] - transitions[tag, n] for n in range(TAGS)))
        assert slack[tag, other] == pytest.approx(before + after, abs=1e-6)


def test_extreme_logits_give_finite_losses_and_gradients() -> None:
    crf, logits = crf_and_logits()
    variable = tf.Variable(logits * 200)
    tags = tf.zeros(logits.shape[:2], tf.int32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(crf.negative_log_likelihood(variable, tags, tf.constant(LENGTHS)))
    assert np.isfinite(loss.numpy())
    assert np.isfinite(tape.gradient(loss, variable).numpy()).all()
