"""The sequence encoders of TED: end-to-end stories have texts of the user and of the assistant in their turns.

An encoder's sentence row (as in DIET, Bunk et al. 2020) becomes a part of the turn's state, and for an action that is
a text a part of the action's label. Entities are tagged from the token rows and what the dialogue says.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from turnstream.assistant.components import TEDPolicyOptions
from turnstream.features.arrays import FeatureSpec
from turnstream.models.diet_network import token_vectors, widen
from turnstream.models.layers.dense import Dense
from turnstream.models.layers.embedding_bag import EmbeddingBag, SparseRows
from turnstream.models.layers.feed_forward import FeedForward
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.settings import story_encoder_settings
from turnstream.models.story_texts import TextSizes
from turnstream.models.tagger import Tagger, Tags
from turnstream.models.text_encoder import EncodedTexts, PaddedTexts, TextEncoder, TextTensors, UsedEmbeddings
from turnstream.models.types import Floats, Tensor


class PickedTexts(NamedTuple):
    """`story_texts.TextPicks` as tensors: distinct texts, the empty one first, and [places] indices into them."""

    texts: TextTensors
    index: Tensor


class TaggedTexts(NamedTuple):
    """Texts whose entities are learnt. rows: [tagged], the dialogue's turn; texts: [tagged], the user's text;
    tags: [texts, tokens]. The first of them is the empty text, so that there always is one.
    """

    rows: Tensor
    texts: Tensor
    tags: Tensor


class StoryTextTensors(NamedTuple):
    """users, bots: of the distinct states of a batch; labels: of the actions."""

    users: PickedTexts
    bots: PickedTexts
    labels: PickedTexts
    tagged: TaggedTexts


class TextColumn(Module):
    """Texts as rows of a given width: sequence encoder, hidden layer of `encoding_dimension`, dense layer."""

    def __init__(
        self,
        options: TEDPolicyOptions,
        spec: FeatureSpec,
        attribute: str,
        width: int,
        initializer: Initializer,
        *,
        sentences_only: bool = True,
    ) -> None:
        super().__init__()
        settings = story_encoder_settings(options, spec, attribute, sentences_only=sentences_only)
        self.encoder = TextEncoder(settings, initializer, name=attribute)
        self._hidden = FeedForward(
            self.encoder.units,
            (options.encoding_dimension,),
            initializer,
            drop_rate=options.drop_rate_dialogue,
            density=options.connection_density,
            name=f"{attribute}/encoding",
        )
        self._output = Dense(options.encoding_dimension, width, initializer, name=f"{attribute}/row")

    @property
    def bags(self) -> list[EmbeddingBag]:
        return [self.encoder.token_bag, self.encoder.sentence_bag]

    def rows(self, sentences: Tensor, noise: Noise | None = None) -> Tensor:
        """[texts, units] -> [texts, width]."""
        return self._output(self._hidden(sentences, noise))

    def train(self, picked: PickedTexts, used: UsedEmbeddings, noise: Noise) -> tuple[Tensor, EncodedTexts]:
        """[places, width], 0 at places without a text, and the encoded texts."""
        encoded = self.encoder.train(picked.texts, used, noise)
        return _at_places(self.rows(encoded.sentences, noise), picked.index), encoded


class StoryTextEncoders(Module):
    """An encoder for each kind of text that stories have, and a tagger for entities where texts are annotated.

    state_width, label_width: of the rows that texts are added to; dialogue_units: of a turn after the transformer.
    """

    def __init__(
        self,
        options: TEDPolicyOptions,
        sizes: TextSizes,
        state_width: int,
        label_width: int,
        dialogue_units: int,
        initializer: Initializer,
    ) -> None:
        super().__init__()
        self.users: TextColumn | None = None
        self.bots: TextColumn | None = None
        self.labels: TextColumn | None = None
        self.tagger: Tagger | None = None
        if sizes.users is not None:
            only = not sizes.tags
            self.users = TextColumn(options, sizes.users, "text", state_width, initializer, sentences_only=only)
        if sizes.bots is not None:
            self.bots = TextColumn(options, sizes.bots, "action_text", state_width, initializer)
            self.labels = TextColumn(options, sizes.bots, "label_action_text", label_width, initializer)
        if self.users is not None and sizes.tags:
            units = self.users.encoder.units + dialogue_units
            self.tagger = Tagger("entity", sizes.tags, units, initializer)

    @property
    def columns(self) -> list[TextColumn]:
        return [column for column in (self.users, self.bots, self.labels) if column is not None]

    def picked(self, texts: StoryTextTensors) -> list[PickedTexts]:
        """What each of `columns` reads."""
        pairs = ((self.users, texts.users), (self.bots, texts.bots), (self.labels, texts.labels))
        return [picked for column, picked in pairs if column is not None]

    def sparse_rows(self, texts: StoryTextTensors) -> list[SparseRows]:
        """What each bag of `columns` reads."""
        return [rows for picked in self.picked(texts) for rows in (picked.texts.tokens, picked.texts.sentences)]

    def train(
        self, texts: StoryTextTensors, used: Sequence[Tensor], noise: Noise
    ) -> tuple[Tensor, Tensor | None, EncodedTexts | None]:
        """What is added to the states and to the labels (None: nothing), and the encoded texts of users."""
        states, labels, said = tf.constant(0.0), None, None
        pairs = [UsedEmbeddings(*used[i : i + 2]) for i in range(0, len(used), 2)]
        for column, picked, embeddings in zip(self.columns, self.picked(texts), pairs, strict=True):
            rows, encoded = column.train(picked, embeddings, noise)
            if column is self.labels:
                labels = rows
                continue
            states += rows
            said = encoded if column is self.users else said
        return states, labels, said

    def entity_loss(self, said: EncodedTexts, tagged: TaggedTexts, lengths: Tensor, turns: Tensor) -> Tensor:
        """[]: the mean negative log likelihood over the tagged texts.

        lengths: [texts], of users' texts; turns: [rows, units], what the transformer says of the dialogue's turns.
        """
        assert self.tagger is not None
        vectors = _with_context(tf.gather(token_vectors(said), tagged.texts), tf.gather(turns, tagged.rows))
        tags, sizes = tf.gather(tagged.tags, tagged.texts), tf.gather(lengths, tagged.texts)
        losses = self.tagger.losses(vectors, tags, sizes, None)
        real = tf.cast(tf.size(losses) - 1, tf.float32)
        return tf.reduce_sum(losses) / tf.maximum(real, 1.0)


class SaidInDialogues(NamedTuple):
    """`features.story_texts` as tensors: turns [batch, texts]; texts: features [batch, texts, ...]."""

    turns: Tensor
    texts: PaddedTexts


class InferredTexts(NamedTuple):
    """rows: [kept], packed rows of the dialogues that the texts belong to; added: [kept, width] to these; encoded: the
    texts; latest: [batch], the place among them of the text of each dialogue's last turn, 0 where it has none;
    lengths: [batch], of that text in tokens, 0 where there is none.
    """

    rows: Tensor
    added: Tensor
    encoded: EncodedTexts
    latest: Tensor
    lengths: Tensor


def infer_texts(column: TextColumn, said: SaidInDialogues, lengths: Tensor) -> InferredTexts:
    """Encode the texts of dialogues of `lengths` [batch]; padding is left out, but for one text that adds nothing."""
    shape = tf.shape(said.turns)
    flat = tf.reshape(said.turns, [-1])
    # The first place is kept whatever is there: no layer must see an empty batch.
    is_kept = tf.concat([[True], flat[1:] > 0], 0)
    kept = tf.cast(tf.where(is_kept)[:, 0], tf.int32)
    turns = tf.gather(flat, kept)
    texts = _flattened(said.texts, kept)
    encoded = column.encoder.infer(texts)
    is_text = tf.cast(turns > 0, tf.float32)[:, tf.newaxis]
    starts = tf.cumsum(lengths, exclusive=True)
    rows = tf.gather(starts, kept // shape[1]) + tf.maximum(turns - 1, 0)
    places = tf.reshape(tf.cumsum(tf.cast(is_kept, tf.int32)) - 1, shape)
    is_latest = tf.equal(said.turns, lengths[:, tf.newaxis])
    latest = tf.reduce_max(tf.where(is_latest, places, 0), 1)
    sizes = tf.where(latest > 0, tf.gather(texts.lengths, latest), 0)
    return InferredTexts(rows, column.rows(encoded.sentences) * is_text, encoded, latest, sizes)


def decode_entities(tagger: Tagger, said: InferredTexts, turns: Tensor, tokens: Tensor, slack: Floats) -> Tags:
    """The tags of the latest text of each dialogue, [batch, tokens]; turns: [batch, units], of the last turns."""
    vectors = _with_context(tf.gather(token_vectors(said.encoded), said.latest), turns)
    return widen(tagger.decode(vectors, said.lengths, None, slack), tokens)


def _at_places(rows: Tensor, index: Tensor) -> Tensor:
    return tf.gather(rows, index) * tf.cast(index > 0, tf.float32)[:, tf.newaxis]


def _with_context(vectors: Tensor, context: Tensor) -> Tensor:
    """[texts, tokens, units] and [texts, more] -> [texts, tokens, units + more]."""
    shape = tf.shape(vectors)
    wide = tf.broadcast_to(context[:, tf.newaxis], [shape[0], shape[1], context.shape[-1]])
    return tf.concat([vectors, wide], 2)


def _flattened(texts: PaddedTexts, kept: Tensor) -> PaddedTexts:
    """[batch, texts, ...] -> [kept, ...]."""

    def some(values: Tensor) -> Tensor:
        flat = tf.reshape(values, tf.concat([[-1], tf.shape(values)[2:]], 0))
        return tf.gather(tf.ensure_shape(flat, [None, *values.shape[2:]]), kept)

    return PaddedTexts(*(None if values is None else some(values) for values in texts))
