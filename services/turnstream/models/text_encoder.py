"""From featurized texts to vectors: what DIET and the response selector share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from turnstream.features.arrays import FeatureSpec
from turnstream.models.errors import UnsuitableOptions
from turnstream.models.layers.dropout import dropout
from turnstream.models.layers.embedding_bag import EmbeddingBag, SparseRows
from turnstream.models.layers.feed_forward import FeedForward
from turnstream.models.layers.layout import Layout
from turnstream.models.layers.transformer import Transformer, TransformerSettings
from turnstream.models.masked_language_model import MaskedLanguageModel
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.text_data import TextBatch
from turnstream.models.types import Tensor


@dataclass(frozen=True, slots=True)
class TextEncoderSettings:
    """units: of the first layer; hidden: sizes of the layers between it and the transformer; sentences_only: whether
    the token rows are not needed after the transformer.
    """

    spec: FeatureSpec
    units: int
    hidden: Sequence[int]
    transformer: TransformerSettings
    drop_rate: float
    density: float
    sparse_dropout: bool
    dense_dropout: bool
    sentences_only: bool = False

    @property
    def reads_tokens(self) -> bool:
        """Without a transformer the sentence row sees no token."""
        return self.transformer.layers > 0 or not self.sentences_only


class TextTensors(NamedTuple):
    """`text_data.TextBatch` as tensors."""

    lengths: Tensor
    tokens: SparseRows
    token_index: Tensor
    sentences: SparseRows
    dense: Tensor
    sentence_dense: Tensor


class PaddedTexts(NamedTuple):
    """`features.arrays.FeatureBatch` as tensors; the dense ones are None where the spec has no dense features."""

    ids: Tensor
    weights: Tensor
    lengths: Tensor
    sentence_ids: Tensor
    sentence_weights: Tensor
    dense: Tensor | None = None
    sentence_dense: Tensor | None = None


class UsedEmbeddings(NamedTuple):
    """Embedding rows that a batch uses, what a training step differentiates by."""

    tokens: Tensor
    sentences: Tensor


class EncodedTexts(NamedTuple):
    """rows: [rows, units] packed as `layout` says, each text's tokens and then its sentence row, None where only
    sentences were asked for;
    sentences: [batch, units], the sentence rows; inputs: [rows, units] before the transformer, unmasked;
    chosen: [rows] bool, which rows a masked language model must predict, None without one.
    """

    rows: Tensor | None
    layout: Layout
    sentences: Tensor
    inputs: Tensor
    chosen: Tensor | None = None


def text_signature(spec: FeatureSpec) -> TextTensors:
    """What a compiled training step takes, all sizes open, so that one trace serves every batch."""

    def rows() -> SparseRows:
        return SparseRows(_ints(), _longs(), _longs(), tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32))

    dense = tf.TensorSpec([None, spec.dense_width], tf.float32)
    return TextTensors(_ints(), rows(), _ints(), rows(), dense, dense)


def _ints() -> tf.TensorSpec:
    return tf.TensorSpec([None], tf.int32)


def _longs() -> tf.TensorSpec:
    return tf.TensorSpec([None], tf.int64)


def text_tensors(batch: TextBatch) -> TextTensors:
    """Numpy arrays in the structure of `text_signature`."""
    tokens, sentences = batch.tokens, batch.sentences
    return TextTensors(
        batch.lengths,
        SparseRows(tokens.vocabulary, tokens.row, tokens.column, tokens.weights, tokens.count),
        batch.token_index,
        SparseRows(sentences.vocabulary, sentences.row, sentences.column, sentences.weights, sentences.count),
        batch.dense,
        batch.sentence_dense,
    )


class TextEncoder(Module):
    """Embedding bags for tokens and for the sentence row, hidden layers, transformer (DIET, Bunk et al. 2020).

    The sentence row is appended to its text's token rows, as DIET's CLS token. shared: the hidden layers of another
    encoder, with `share_hidden_layers`. Raises UnsuitableOptions where their inputs differ in width.
    """

    def __init__(
        self,
        settings: TextEncoderSettings,
        initializer: Initializer,
        *,
        name: str,
        shared: FeedForward | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.masking: MaskedLanguageModel | None = None
        spec, units = settings.spec, settings.units
        token_vocabulary = spec.token_vocabulary if settings.reads_tokens else 0
        self.token_bag = EmbeddingBag(token_vocabulary, units, initializer, name=f"{name}/tokens")
        self.sentence_bag = EmbeddingBag(spec.sentence_vocabulary, units, initializer, name=f"{name}/sentence")
        if shared is not None and shared.inputs != units + spec.dense_width:
            raise UnsuitableOptions(
                f"share_hidden_layers: inputs are {units + spec.dense_width} wide, not {shared.inputs}"
            )
        self.hidden = shared or FeedForward(
            units + spec.dense_width,
            settings.hidden,
            initializer,
            drop_rate=settings.drop_rate,
            density=settings.density,
            name=f"{name}/hidden",
        )
        self._transformer = Transformer(
            self.hidden.units, settings.transformer, initializer, name=f"{name}/transformer"
        )
        self.units = self._transformer.units
        self.input_units = self.hidden.units

    def used(self, texts: TextTensors) -> UsedEmbeddings:
        """The embedding rows of a batch."""
        return UsedEmbeddings(self.token_bag.used_rows(texts.tokens), self.sentence_bag.used_rows(texts.sentences))

    def train(self, texts: TextTensors, used: UsedEmbeddings, noise: Noise) -> EncodedTexts:
        """Encode a batch with dropout. The distinct token rows of the batch are embedded once each."""
        rate = self.settings.drop_rate if self.settings.sparse_dropout else 0.0
        distinct = self.token_bag.combine(used.tokens, texts.tokens, rate, noise)
        tokens = tf.gather(distinct, texts.token_index)
        sentences = self.sentence_bag.combine(used.sentences, texts.sentences, rate, noise)
        if self.settings.spec.dense_width:
            dense_rate = self.settings.drop_rate if self.settings.dense_dropout else 0.0
            tokens = tf.concat([tokens, dropout(texts.dense, dense_rate, noise)], 1)
            sentences = tf.concat([sentences, dropout(texts.sentence_dense, dense_rate, noise)], 1)
        return self._encode(tokens, sentences, texts.lengths, noise)

    def infer(self, texts: PaddedTexts) -> EncodedTexts:
        """Encode a padded batch; what lies beyond a length is never read."""
        lengths = texts.lengths if self.settings.reads_tokens else tf.zeros_like(texts.lengths)
        mask = tf.sequence_mask(lengths, tf.shape(texts.ids)[1])
        tokens = self.token_bag(tf.boolean_mask(texts.ids, mask), tf.boolean_mask(texts.weights, mask))
        sentences = self.sentence_bag(texts.sentence_ids, texts.sentence_weights)
        if texts.dense is not None:
            tokens = tf.concat([tokens, tf.boolean_mask(texts.dense, mask)], 1)
            sentences = tf.concat([sentences, texts.sentence_dense], 1)
        return self._encode(tokens, sentences, lengths, None)

    def _encode(self, tokens: Tensor, sentences: Tensor, lengths: Tensor, noise: Noise | None) -> EncodedTexts:
        if not self.settings.reads_tokens:
            layout = Layout(tf.ones_like(lengths))
            inputs = self.hidden(sentences, noise)
            return EncodedTexts(inputs, layout, inputs, inputs)
        layout = Layout(lengths + 1)
        order = tf.range(tf.shape(layout.sequences)[0]) - layout.sequences
        last = tf.equal(layout.positions, tf.gather(lengths, layout.sequences))
        source = tf.where(last, tf.shape(tokens)[0] + layout.sequences, order)
        inputs = self.hidden(tf.gather(tf.concat([tokens, sentences], 0), source), noise)
        seen, chosen = inputs, None
        if self.masking is not None and noise is not None:
            seen, chosen = self.masking.mask(inputs, layout, noise)
        if self.settings.sentences_only:
            sentences = self._transformer(seen, layout, noise, last_only=True)
            return EncodedTexts(None, layout, sentences, inputs, chosen)
        rows = self._transformer(seen, layout, noise)
        return EncodedTexts(rows, layout, layout.last(rows), inputs, chosen)
