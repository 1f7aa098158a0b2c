"""The network of TED: Transformer Embedding Dialogue policy (Vlasov et al. 2019, arXiv:1910.00486)."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from turnstream.assistant.components import NetworkPolicyOptions, TEDPolicyOptions, UnexpecTEDIntentPolicyOptions
from turnstream.models.confidence import confidences, ranked
from turnstream.models.labels import LabelEncoder
from turnstream.models.layers.dense import Dense
from turnstream.models.layers.dropout import dropout
from turnstream.models.layers.embedding_bag import EmbeddingBag, SparseRows, combined
from turnstream.models.layers.layout import Layout
from turnstream.models.layers.transformer import Transformer
from turnstream.models.losses.dot_product import multi_label_loss, similarities, single_label_loss
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.settings import similarity_loss, transformer_settings
from turnstream.models.story_texts import TextSizes
from turnstream.models.ted_texts import (
    SaidInDialogues,
    StoryTextEncoders,
    StoryTextTensors,
    decode_entities,
    infer_texts,
)
from turnstream.models.types import Floats, Tensor

STATE_PARTS = ("intent", "entities", "action_name", "slots", "active_loop")


class DialogueTensors(NamedTuple):
    """`dialogue_data.DialogueBatch` as tensors; label_sets: [batch, labels], for UnexpecTED, else [batch, 0]."""

    lengths: Tensor
    states: SparseRows
    index: Tensor
    labels: Tensor
    label_sets: Tensor


class EndToEndTensors(NamedTuple):
    """Dialogues with the texts of their states."""

    dialogues: DialogueTensors
    texts: StoryTextTensors


class PaddedDialogues(NamedTuple):
    """ids, weights: [batch, turns, k]; lengths: [batch]; said: what users said in their own words."""

    ids: Tensor
    weights: Tensor
    lengths: Tensor
    said: SaidInDialogues | None = None


class Known(NamedTuple):
    """What is the same for every prediction. labels: [labels, embedding], what `labels_of` gives; states: the table of
    state features, with the rows of `action_texts` at its end; slack: of the tagger.
    """

    labels: Tensor
    states: Tensor
    slack: Floats | None = None


class DialogueNetwork(Module):
    """State features, a unidirectional transformer over the turns, similarity to label embeddings.

    Every part of a state (intent, entities, previous action, slots, active loop) adds its `dense_dimension` to the
    width of a state's vector. last_only: whether only the last turn of an example is predicted from, in training.
    texts: sizes of the encoders of end-to-end stories, whose rows are added to those of states and labels.
    """

    def __init__(
        self,
        options: TEDPolicyOptions | UnexpecTEDIntentPolicyOptions,
        size: int,
        labels: int,
        initializer: Initializer,
        *,
        last_only: bool,
        texts: TextSizes | None = None,
    ) -> None:
        super().__init__()
        self._options = options
        self._loss = similarity_loss(options)
        self._last_only = last_only
        units = sum(options.dense_dimension[part] for part in STATE_PARTS)
        self.bag = EmbeddingBag(size, units, initializer, name="states")
        settings = transformer_settings(
            options,
            options.number_of_transformer_layers["dialogue"],
            options.transformer_size["dialogue"],
            options.drop_rate_dialogue,
            unidirectional=True,
        )
        self.transformer = Transformer(units, settings, initializer, name="dialogue")
        self.output = Dense(self.transformer.units, options.embedding_dimension, initializer, name="embedding")
        self.label_width = _label_width(options)
        self.labels = LabelEncoder(
            labels,
            initializer,
            width=self.label_width,
            hidden=(),
            embedding=options.embedding_dimension,
            drop_rate=options.drop_rate_label,
            density=options.connection_density,
            name="label",
        )
        self.texts: StoryTextEncoders | None = None
        if texts is not None:
            assert isinstance(options, TEDPolicyOptions)
            widths = units, self.label_width, self.transformer.units
            self.texts = StoryTextEncoders(options, texts, *widths, initializer)

    def _train_states(self, batch: DialogueTensors, used: Tensor, noise: Noise) -> Tensor:
        """[distinct states, units]."""
        rate = self._options.drop_rate if self._options.use_sparse_input_dropout else 0.0
        return self.bag.combine(used, batch.states, rate, noise)

    def _train_turns(self, batch: DialogueTensors, states: Tensor, noise: Noise) -> Tensor:
        """[turns of all dialogues, units], or with `last_only` [batch, units]: what the transformer says of them."""
        turns = tf.gather(states, batch.index)
        return self.transformer(turns, Layout(batch.lengths), noise, last_only=self._last_only)

    def action_loss(
        self, batch: DialogueTensors, used: Sequence[Tensor], noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss over all labelled turns, and the accuracy."""
        turns = self._train_turns(batch, self._train_states(batch, used[0], noise), noise)
        return self._action_loss(batch, self.output(turns), self._train_labels(noise), noise)

    def end_to_end_loss(
        self, batch: EndToEndTensors, used: Sequence[Tensor], noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same with texts in states and labels, and the loss of the entities in users' texts."""
        assert self.texts is not None
        dialogues = batch.dialogues
        added, label_rows, said = self.texts.train(batch.texts, used[1:], noise)
        turns = self._train_turns(dialogues, self._train_states(dialogues, used[0], noise) + added, noise)
        labels = self._train_labels(noise, label_rows)
        value, metrics = self._action_loss(dialogues, self.output(turns), labels, noise)
        if self.texts.tagger is None or said is None:
            return value, metrics
        entities = self.texts.entity_loss(said, batch.texts.tagged, batch.texts.users.texts.lengths, turns)
        return value + entities, {**metrics, "entity_loss": entities}

    def _action_loss(
        self, batch: DialogueTensors, rows: Tensor, labels: Tensor, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        turns = tf.gather(batch.labels, tf.cumsum(batch.lengths) - 1) if self._last_only else batch.labels
        known = turns >= 0
        inputs, target = tf.boolean_mask(rows, known), tf.boolean_mask(turns, known)
        value = single_label_loss(inputs, labels, target, self._loss, noise)
        chosen = tf.argmax(similarities(inputs, labels, self._loss.similarity), 1, output_type=tf.int32)
        return value, {"accuracy": tf.reduce_mean(tf.cast(tf.equal(chosen, target), tf.float32))}

    def intent_loss(
        self, batch: DialogueTensors, used: Sequence[Tensor], noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The multi-label loss at the last turns, and the share of dialogues whose most similar intent fits."""
        rows = self.output(self._train_turns(batch, self._train_states(batch, used[0], noise), noise))
        labels = self._train_labels(noise)
        value = multi_label_loss(rows, labels, batch.label_sets, self._loss)
        best = tf.argmax(similarities(rows, labels, self._loss.similarity), 1)
        return value, {"accuracy": tf.reduce_mean(tf.gather(batch.label_sets, best, batch_dims=1))}

    def _train_labels(self, noise: Noise, added: Tensor | None = None) -> Tensor:
        return dropout(self.labels(noise, added), self._options.drop_rate_label, noise)

    def infer_similarities(self, dialogues: PaddedDialogues, known: Known) -> Tensor:
        """[batch, labels]: similarities at the last turn. A dialogue of length 0 counts as one empty state."""
        return self._infer(dialogues, known)[0]

    def infer_scores(self, dialogues: PaddedDialogues, known: Known) -> dict[str, Tensor]:
        """`scores` [batch, labels]: confidences; beyond `ranking_length` 0.

        With what users said also `similarities` [batch, labels], and where entities are learnt `entity_tags` int32 and
        `entity_confidences` [batch, 1, tokens]: of the text of the last turn, if that has one.
        """
        options = self._options
        found, entities = self._infer(dialogues, known)
        scores = confidences(found, options.model_confidence)
        outputs = {"scores": ranked(scores, options.ranking_length, options.renormalize_confidences)}
        return outputs if dialogues.said is None else {**outputs, "similarities": found, **entities}

    def _infer(self, dialogues: PaddedDialogues, known: Known) -> tuple[Tensor, dict[str, Tensor]]:
        lengths = tf.maximum(dialogues.lengths, 1)
        mask = tf.sequence_mask(lengths, tf.shape(dialogues.ids)[1])
        rows = combined(known.states, tf.boolean_mask(dialogues.ids, mask), tf.boolean_mask(dialogues.weights, mask))
        entities: dict[str, Tensor] = {}
        texts = self.texts
        if dialogues.said is None or texts is None or texts.users is None:
            last = self.transformer(rows, Layout(lengths), last_only=True)
        else:
            said = infer_texts(texts.users, dialogues.said, lengths)
            rows = tf.tensor_scatter_nd_add(rows, said.rows[:, tf.newaxis], said.added)
            last = self.transformer(rows, Layout(lengths), last_only=True)
            if texts.tagger is not None and known.slack is not None:
                tokens = tf.shape(dialogues.said.texts.ids)[2]
                tags = decode_entities(texts.tagger, said, last, tokens, known.slack)
                entities = {f"entity_{name}": values[:, tf.newaxis] for name, values in tags._asdict().items()}
        return similarities(self.output(last), known.labels, self._loss.similarity), entities


def _label_width(options: NetworkPolicyOptions) -> int:
    dimensions: dict[str, int] = dict(options.dense_dimension)  # type: ignore[attr-defined]
    return dimensions.get("label_action_name", dimensions.get("label_intent", 20))
