"""Entity tags from token vectors."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from turnstream.models.layers.crf import ConditionalRandomField
from turnstream.models.layers.dense import Dense
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer
from turnstream.models.types import Floats, Tensor


class Tags(NamedTuple):
    """tags: [batch, tokens] int32; confidences: [batch, tokens], 0 beyond a length."""

    tags: Tensor
    confidences: Tensor


class Tagger(Module):
    """A dense layer and a CRF; roles and groups also see an embedding of the entity tags (DIET, Bunk et al. 2020).

    The entity tags are the true ones in training and the predicted ones afterwards.
    """

    def __init__(
        self,
        kind: str,
        tags: Sequence[str],
        units: int,
        initializer: Initializer,
        *,
        entity_tags: int = 0,
        embedding: int = 20,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.tags = tuple(tags)
        self._entity_embeddings = None
        if entity_tags:
            values = initializer.glorot_uniform(entity_tags, embedding)
            self._entity_embeddings = tf.Variable(values, name=f"{kind}/entity_tags/embeddings")
            units += embedding
        self._dense = Dense(units, len(self.tags), initializer, name=f"{kind}/logits")
        self._crf = ConditionalRandomField(len(self.tags), initializer, name=f"{kind}/crf")

    def _logits(self, vectors: Tensor, entity_tags: Tensor | None) -> Tensor:
        """vectors: [batch, tokens, units]; entity_tags: [batch, tokens] -> [batch, tokens, tags]."""
        if self._entity_embeddings is not None:
            vectors = tf.concat([vectors, tf.gather(self._entity_embeddings, entity_tags)], -1)
        shape = tf.shape(vectors)
        flat = self._dense(tf.reshape(vectors, [-1, vectors.shape[-1]]))
        return tf.reshape(flat, [shape[0], shape[1], len(self.tags)])

    def losses(self, vectors: Tensor, target: Tensor, lengths: Tensor, entity_tags: Tensor | None) -> Tensor:
        """[batch]: negative log likelihoods of target [batch, tokens]."""
        return self._crf.negative_log_likelihood(self._logits(vectors, entity_tags), target, lengths)

    def slack(self) -> Floats:
        """See `ConditionalRandomField.slack`; to be computed once for all predictions."""
        return self._crf.slack()

    def decode(self, vectors: Tensor, lengths: Tensor, entity_tags: Tensor | None, slack: Floats) -> Tags:
        """The most probable sequence; a confidence is the softmax of the token's logits at the chosen tag."""
        logits = self._logits(vectors, entity_tags)
        tags = self._crf.decode(logits, lengths, slack)
        mask = tf.cast(tf.sequence_mask(lengths, tf.shape(logits)[1]), tf.float32)
        return Tags(tags, tf.gather(tf.nn.softmax(logits), tags, batch_dims=2) * mask)
