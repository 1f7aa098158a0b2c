"""Linear-chain conditional random field (Lafferty et al. 2001; tagging as in Lample et al. 2016).

score(y | x) = sum_t logits[t, y_t] + sum_t transitions[y_t, y_{t+1}];  p(y | x) = exp(score) / Z(x).
"""

from typing import Any

import numpy as np
import tensorflow as tf

from turnstream.models.module import Module, custom_gradient
from turnstream.models.randomness import Initializer
from turnstream.models.types import Floats, Tensor

TINY = 1e-30


class ConditionalRandomField(Module):
    """Transition scores between `tags` tags, with exact likelihood and exact decoding."""

    def __init__(self, tags: int, initializer: Initializer, *, name: str) -> None:
        super().__init__()
        self.transitions = tf.Variable(initializer.glorot_uniform(tags, tags), name=f"{name}/transitions")

    def negative_log_likelihood(self, logits: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """logits: [batch, tokens, tags]; tags: [batch, tokens]; lengths: [batch] -> -log p(tags | logits): [batch].

        Sequences of length 0 count 0. What lies beyond a length is ignored.
        """
        transitions = tf.convert_to_tensor(self.transitions)
        loss: Tensor = _negative_log_likelihood(tf.cast(tags, tf.int32), tf.cast(lengths, tf.int32))(
            logits, transitions
        )
        return loss

    def decode(self, logits: Tensor, lengths: Tensor, slack: Floats | None = None) -> Tensor:
        """logits: [batch, tokens, tags] -> the most probable tags [batch, tokens] int32, 0 beyond a length.

        The Viterbi algorithm (Viterbi 1967). With `slack` it is spared where the best tag of each token is not beaten,
        whatever its neighbours are, as in most messages; elsewhere it looks at the few tags that may be on a best path.
        """
        mask = tf.sequence_mask(lengths, tf.shape(logits)[1])
        transitions = tf.convert_to_tensor(self.transitions)
        if slack is None:
            return viterbi(logits, transitions, mask)
        best = tf.argmax(logits, 2, output_type=tf.int32)
        peaks = tf.reduce_max(logits, 2, keepdims=True)
        possible = tf.logical_and(logits + tf.gather(tf.constant(slack), best) >= peaks, mask[:, :, tf.newaxis])
        is_open = tf.reduce_any(tf.math.count_nonzero(possible, 2, dtype=tf.int32) > 1, 1)
        best = tf.where(mask, best, 0)

        def search() -> Tensor:
            rows = tf.where(is_open)
            tags = tf.cast(tf.where(tf.reduce_any(tf.gather_nd(possible, rows), [0, 1]))[:, 0], tf.int32)
            found = viterbi(
                tf.gather(tf.gather_nd(logits, rows), tags, axis=2),
                tf.gather(tf.gather(transitions, tags), tags, axis=1),
                tf.gather_nd(mask, rows),
            )
            found = tf.where(tf.gather_nd(mask, rows), tf.gather(tags, found), 0)
            return tf.tensor_scatter_nd_update(best, rows, found)

        return tf.cond(tf.reduce_any(is_open), search, lambda: best)

    def slack(self) -> Floats:
        """[tags, tags]: by how much the neighbours of a token can favour the second tag over the first at most.

        A tag whose logit is lower by more than that is on no best path: with the first in its place it would be better.
        Neighbours may be missing, which favours none.
        """
        transitions = self.transitions.numpy()
        rows = []
        for tag in range(len(transitions)):
            before = (transitions - transitions[:, tag : tag + 1]).max(0)
            after = (transitions - transitions[tag]).max(1)
            rows.append(np.maximum(before, 0.0) + np.maximum(after, 0.0))
        return np.stack(rows).astype(np.float32)


def _negative_log_likelihood(tags: Tensor, lengths: Tensor) -> Any:
    """The loss as a function of logits and transitions.

    Its gradient is written out, since it is what the forward-backward algorithm gives (Rabiner 1989): the marginal
    probabilities less the true tags. The messages are normalized at each step and stay probabilities, so that one step
    is a matrix product instead of a log-sum-exp over [batch, tags, tags].
    """

    @custom_gradient
    def loss(logits: Tensor, transitions: Tensor) -> tuple[Tensor, Any]:
        size = tf.shape(logits)[2]
        mask = tf.cast(tf.sequence_mask(lengths, tf.shape(logits)[1]), tf.float32)
        both = mask[:, 1:] * mask[:, :-1]
        emission, peaks = _emissions(logits)
        shift = tf.reduce_max(transitions)
        moves = tf.exp(transitions - shift)
        time_mask = tf.transpose(mask)[:, :, tf.newaxis]
        messages, norms = _forward(emission, moves, time_mask)
        log_partition = tf.reduce_sum((tf.math.log(tf.transpose(norms)) + peaks) * mask, 1)
        log_partition += shift * tf.reduce_sum(both, 1)
        pairs = tags[:, :-1] * size + tags[:, 1:]
        score = tf.reduce_sum(tf.gather(logits, tags, batch_dims=2) * mask, 1)
        score += tf.reduce_sum(tf.gather(tf.reshape(transitions, [-1]), pairs) * both, 1)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            backward, coming = _backward(emission, moves, time_mask, norms)
            marginals = tf.transpose(messages * backward, [1, 0, 2])
            truth = tf.one_hot(tags, size)
            d_logits = (marginals - truth) * (mask * upstream[:, tf.newaxis])[:, :, tf.newaxis]
            weights = tf.transpose(both * upstream[:, tf.newaxis])[:, :, tf.newaxis]
            left = tf.reshape(messages[:-1] * weights, [-1, size])
            expected = tf.matmul(left, tf.reshape(coming[1:], [-1, size]), transpose_a=True) * moves
            flat = tf.reshape(both * upstream[:, tf.newaxis], [-1])
            counts = tf.math.unsorted_segment_sum(flat, tf.reshape(pairs, [-1]), size * size)
            return d_logits, expected - tf.reshape(counts, [size, size])

        return log_partition - score, gradient

    return loss


def _emissions(logits: Tensor) -> tuple[Tensor, Tensor]:
    """exp(logits - peak) [tokens, batch, tags] and the peaks [batch, tokens]."""
    peaks = tf.reduce_max(logits, -1)
    return tf.exp(tf.transpose(logits - peaks[:, :, tf.newaxis], [1, 0, 2])), peaks


def _forward(emission: Tensor, moves: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Normalized forward messages [tokens, batch, tags] and their norms [tokens, batch]; padding keeps the last."""
    count = tf.shape(emission)[0]
    first_norm = tf.maximum(tf.reduce_sum(emission[0], -1, keepdims=True), TINY)
    first = emission[0] / first_norm
    messages = tf.TensorArray(tf.float32, count).write(0, first)
    norms = tf.TensorArray(tf.float32, count).write(0, first_norm)

    def step(t: Tensor, before: Tensor, messages: Any, norms: Any) -> tuple[Any, ...]:
        joint = emission[t] * tf.matmul(before, moves)
        norm = tf.maximum(tf.reduce_sum(joint, -1, keepdims=True), TINY)
        message = tf.where(mask[t] > 0, joint / norm, before)
        return t + 1, message, messages.write(t, message), norms.write(t, tf.where(mask[t] > 0, norm, 1.0))

    loop = tf.while_loop(lambda t, *_: t < count, step, [tf.constant(1), first, messages, norms])
    return loop[2].stack(), tf.squeeze(loop[3].stack(), -1)


def _backward(emission: Tensor, moves: Tensor, mask: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
    """Normalized backward messages, and what comes from step t to t - 1 (emission * message / norm at t).

    Both [tokens, batch, tags].
    """
    count = tf.shape(emission)[0]
    last = tf.ones_like(emission[0])
    messages = tf.TensorArray(tf.float32, count)
    coming = tf.TensorArray(tf.float32, count)

    def step(t: Tensor, message: Tensor, messages: Any, coming: Any) -> tuple[Any, ...]:
        arriving = emission[t] * message / norms[t][:, tf.newaxis]
        before = tf.where(mask[t] > 0, tf.matmul(arriving, moves, transpose_b=True), message)
        return t - 1, before, messages.write(t, message), coming.write(t, arriving)

    loop = tf.while_loop(lambda t, *_: t >= 0, step, [count - 1, last, messages, coming])
    return loop[2].stack(), loop[3].stack()


def viterbi(logits: Tensor, transitions: Tensor, mask: Tensor) -> Tensor:
    """logits: [batch, tokens, tags]; mask: [batch, tokens] -> [batch, tokens] int32.

    Only the best scores are kept on the way forward; which tag they came from is found on the way back, for the one
    tag that is on the path.
    """
    emission = tf.transpose(logits, [1, 0, 2])
    steps = tf.transpose(mask)
    arriving_at = tf.transpose(transitions)
    count = tf.shape(emission)[0]
    scores = tf.TensorArray(tf.float32, count, clear_after_read=False).write(0, emission[0])

    def forward(t: Tensor, best: Tensor, scores: Any) -> tuple[Any, ...]:
        value = tf.reduce_max(best[:, tf.newaxis, :] + arriving_at, 2) + emission[t]
        best = tf.where(steps[t][:, tf.newaxis], value, best)
        return t + 1, best, scores.write(t, best)

    loop = tf.while_loop(lambda t, *_: t < count, forward, [tf.constant(1), emission[0], scores])
    last = tf.argmax(loop[1], 1, output_type=tf.int32)
    path = tf.TensorArray(tf.int32, count).write(count - 1, last)

    def backward(t: Tensor, tag: Tensor, path: Any) -> tuple[Any, ...]:
        leaving = loop[2].read(t - 1) + tf.gather(arriving_at, tag)
        tag = tf.where(steps[t], tf.argmax(leaving, 1, output_type=tf.int32), tag)
        return t - 1, tag, path.write(t - 1, tag)

    tags = tf.while_loop(lambda t, *_: t > 0, backward, [count - 1, last, path])[2].stack()
    return tf.where(mask, tf.transpose(tags), 0)
