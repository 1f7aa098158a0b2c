"""The network of DIET: Dual Intent and Entity Transformer (Bunk et al. 2020, arXiv:2004.09936)."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from turnstream.assistant.components import DIETClassifierOptions
from turnstream.features.arrays import FeatureSpec
from turnstream.models.confidence import confidences
from turnstream.models.labels import LabelEncoder
from turnstream.models.layers.dense import Dense
from turnstream.models.losses.dot_product import scale_of, similarities, single_label_loss
from turnstream.models.masked_language_model import MaskedLanguageModel
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer, Noise
from turnstream.models.settings import encoder_settings, similarity_loss
from turnstream.models.tagger import Tagger, Tags
from turnstream.models.text_encoder import (
    EncodedTexts,
    PaddedTexts,
    TextEncoder,
    TextTensors,
    UsedEmbeddings,
)
from turnstream.models.types import Floats, Tensor


class DietNetwork(Module):
    """Intents by similarity of the sentence row to intent embeddings, entities by a CRF for each tagger.

    intents: how many there are, 0 for entities only; intent_words: see `labels.LabelEncoder`;
    taggers: the tags of each by name, "entity" first, empty for intents only.
    """

    def __init__(
        self,
        options: DIETClassifierOptions,
        spec: FeatureSpec,
        intents: int,
        taggers: Mapping[str, Sequence[str]],
        initializer: Initializer,
        intent_words: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__()
        self._options = options
        self._loss = similarity_loss(options)
        sentences_only = not taggers and not options.use_masked_language_model
        self.encoder = TextEncoder(
            encoder_settings(options, spec, sentences_only=sentences_only), initializer, name="text"
        )
        units, embedding = self.encoder.units, options.embedding_dimension
        self.labels: LabelEncoder | None = None
        if intents:
            self.intent_output = Dense(units, embedding, initializer, name="intent")
            self.labels = LabelEncoder(
                intents,
                initializer,
                width=options.dense_dimension["label"],
                hidden=options.hidden_layers_sizes["label"],
                embedding=embedding,
                drop_rate=options.drop_rate,
                density=options.connection_density,
                name="label",
                shared=self.encoder.hidden if options.share_hidden_layers else None,
                words=intent_words,
            )
        seen = len(taggers.get("entity", ()))
        self.taggers = [
            Tagger(kind, tags, units, initializer, entity_tags=0 if kind == "entity" else seen, embedding=embedding)
            for kind, tags in taggers.items()
        ]
        self.masking: MaskedLanguageModel | None = None
        if options.use_masked_language_model and self.encoder.settings.reads_tokens:
            self.masking = MaskedLanguageModel(self.encoder.input_units, units, embedding, initializer)
            self.encoder.masking = self.masking

    def loss(
        self,
        texts: TextTensors,
        used: UsedEmbeddings,
        intents: Tensor,
        tags: Sequence[Tensor],
        noise: Noise,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """intents: [batch], -1 without; tags: for each tagger [batch, tokens] -> loss [] and metrics by name."""
        encoded = self.encoder.train(texts, used, noise)
        total = tf.constant(0.0)
        metrics: dict[str, Tensor] = {}
        if self.labels is not None:
            value, accuracy = self._intent_loss(encoded, intents, noise)
            metrics |= {"intent_loss": value, "intent_accuracy": accuracy}
            total += value
        if self.taggers:
            vectors = token_vectors(encoded)
            for tagger, target in zip(self.taggers, tags, strict=True):
                entity_tags = None if tagger.kind == "entity" else tags[0]
                losses = tagger.losses(vectors, target, texts.lengths, entity_tags)
                if self._options.scale_loss:
                    losses *= scale_of(losses)
                metrics[f"{tagger.kind}_loss"] = tf.reduce_mean(losses)
                total += metrics[f"{tagger.kind}_loss"]
        if self.masking is not None:
            metrics["mask_loss"] = self.masking.loss(encoded, texts, self._loss, noise)
            total += metrics["mask_loss"]
        return total, metrics

    def _intent_loss(self, encoded: EncodedTexts, intents: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        assert self.labels is not None
        known = intents >= 0
        target = tf.boolean_mask(intents, known)
        inputs = tf.boolean_mask(self.intent_output(encoded.sentences), known)
        labels = self.labels(noise)
        value = single_label_loss(inputs, labels, target, self._loss, noise)
        chosen = tf.argmax(similarities(inputs, labels, self._loss.similarity), 1, output_type=tf.int32)
        right = tf.reduce_sum(tf.cast(tf.equal(chosen, target), tf.float32))
        return value, tf.math.divide_no_nan(right, tf.cast(tf.size(target), tf.float32))

    def infer(self, texts: PaddedTexts, labels: Tensor | None, slacks: Sequence[Floats]) -> dict[str, Tensor]:
        """labels: [intents, units], what `self.labels()` gives, and slacks: what each tagger's `slack()` gives, are the
        same for every call.

        Returns `intent_scores` [batch, intents] and for each tagger `<name>_tags` [batch, tokens] int32 and
        `<name>_confidences` [batch, tokens].
        """
        encoded = self.encoder.infer(texts)
        outputs: dict[str, Tensor] = {}
        if labels is not None:
            scores = similarities(self.intent_output(encoded.sentences), labels, self._loss.similarity)
            outputs["intent_scores"] = confidences(scores, self._options.model_confidence)
        if not self.taggers:
            return outputs
        vectors = token_vectors(encoded)
        entity_tags = None
        for tagger, slack in zip(self.taggers, slacks, strict=True):
            decoded = tagger.decode(vectors, texts.lengths, entity_tags, slack)
            if tagger.kind == "entity":
                entity_tags = decoded.tags
            decoded = widen(decoded, tf.shape(texts.ids)[1])
            outputs[f"{tagger.kind}_tags"] = decoded.tags
            outputs[f"{tagger.kind}_confidences"] = decoded.confidences
        return outputs


def token_vectors(encoded: EncodedTexts) -> Tensor:
    """[batch, tokens, units] without the sentence rows that end the longest texts; at least one token wide."""
    padded = encoded.layout.pad(encoded.rows)
    return padded[:, : tf.maximum(encoded.layout.longest - 1, 1)]


def widen(tags: Tags, tokens: Tensor) -> Tags:
    """Pad the tags of the longest text's width to [batch, tokens]."""
    missing = [[0, 0], [0, tokens - tf.shape(tags.tags)[1]]]
    return Tags(tf.pad(tags.tags, missing), tf.pad(tags.confidences, missing))
