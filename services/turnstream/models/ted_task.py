"""What TED learns from end-to-end stories: batches of dialogues with the texts of their states."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from turnstream.models.dialogue_data import DialogueBatch, TedData, take
from turnstream.models.dialogue_model import dialogue_signature, dialogue_tensors
from turnstream.models.layers.embedding_bag import SparseRows
from turnstream.models.randomness import Noise
from turnstream.models.story_texts import NO_TEXT, StateTexts, TextPicks, pick
from turnstream.models.ted_network import DialogueNetwork, EndToEndTensors
from turnstream.models.ted_texts import PickedTexts, StoryTextTensors, TaggedTexts, TextColumn
from turnstream.models.text_data import TextData
from turnstream.models.text_encoder import text_signature, text_tensors
from turnstream.models.types import Ints, Tensor


class EndToEndTask:
    """last_only: whether entities are learnt in the text of the last turn of an example alone, as actions are."""

    def __init__(self, network: DialogueNetwork, data: TedData, *, last_only: bool) -> None:
        assert network.texts is not None
        assert data.texts is not None
        self._encoders = network.texts
        self._network = network
        self._data = data
        self._spoken: StateTexts = data.texts
        self._last_only = last_only
        self.bags = [network.bag, *(bag for column in self._encoders.columns for bag in column.bags)]
        texts = self._spoken.texts
        users, bots = (PickedTexts(text_signature(some.spec), _ints()) for some in (texts.users, texts.bots))
        tagged = TaggedTexts(_ints(), _ints(), tf.TensorSpec([None, None], tf.int32))
        self.signature = EndToEndTensors(dialogue_signature(), StoryTextTensors(users, bots, bots, tagged))
        # All actions are compared in each step, so that their texts are the same each time.
        self._labels = _tensors(_pick(texts.bots, self._spoken.labels, self._encoders.labels))

    def batch(self, examples: Ints) -> EndToEndTensors:
        found = take(self._data, examples)
        texts, encoders = self._spoken.texts, self._encoders
        users = _pick(texts.users, self._spoken.users[found.used], encoders.users)
        bots = _pick(texts.bots, self._spoken.bots[found.used], encoders.bots)
        tagged = self._tagged(found, users)
        story_texts = StoryTextTensors(_tensors(users), _tensors(bots), self._labels, tagged)
        return EndToEndTensors(dialogue_tensors(found, np.zeros((len(examples), 0), np.float32)), story_texts)

    def rows(self, batch: EndToEndTensors) -> list[SparseRows]:
        return [batch.dialogues.states, *self._encoders.sparse_rows(batch.texts)]

    def loss(self, batch: EndToEndTensors, used: Sequence[Tensor], noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        return self._network.end_to_end_loss(batch, used, noise)

    def _tagged(self, batch: DialogueBatch, users: TextPicks) -> TaggedTexts:
        states = batch.index[np.cumsum(batch.lengths) - 1] if self._last_only else batch.index
        texts = users.index[states]
        rows = np.flatnonzero(texts != NO_TEXT).astype(np.int32)
        first = np.zeros(1, np.int32)
        tags = self._spoken.texts.padded_tags(users.numbers)
        return TaggedTexts(np.concatenate([first, rows]), np.concatenate([first, texts[rows]]), tags)


def _pick(texts: TextData, numbers: Ints, column: TextColumn | None) -> TextPicks:
    with_tokens = column is not None and column.encoder.settings.reads_tokens
    return pick(texts, numbers, with_tokens=with_tokens)


def _tensors(picks: TextPicks) -> PickedTexts:
    return PickedTexts(text_tensors(picks.texts), picks.index)


def _ints() -> tf.TensorSpec:
    return tf.TensorSpec([None], tf.int32)
