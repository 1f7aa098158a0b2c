"""The signature of a TED that reads what users say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from turnstream.features.arrays import FeatureSpec
from turnstream.features.story_texts import PREFIX, SaidText, text_inputs
from turnstream.models.dialogue_data import padded_dialogues
from turnstream.models.dialogue_model import DIALOGUE_INPUTS
from turnstream.models.export import Outputs
from turnstream.models.module import compiled
from turnstream.models.ted_network import PaddedDialogues
from turnstream.models.ted_texts import SaidInDialogues
from turnstream.models.text_encoder import PaddedTexts
from turnstream.models.types import Array, Floats, Ints, Tensor

SaidDialogue = tuple[Ints, Floats, Sequence[SaidText]]


def end_to_end_inputs(spec: FeatureSpec, infer: Callable[[PaddedDialogues], Outputs]) -> Any:
    """A compiled function of the inputs of a dialogue model and those of `features.story_texts`, by name."""
    signature = [
        *DIALOGUE_INPUTS,
        tf.TensorSpec([None, None], tf.int32, f"{PREFIX}turns"),
        tf.TensorSpec([None, None, None, None], tf.int32, f"{PREFIX}ids"),
        tf.TensorSpec([None, None, None, None], tf.float32, f"{PREFIX}weights"),
        tf.TensorSpec([None, None], tf.int32, f"{PREFIX}lengths"),
        tf.TensorSpec([None, None, None], tf.int32, f"{PREFIX}sentence_ids"),
        tf.TensorSpec([None, None, None], tf.float32, f"{PREFIX}sentence_weights"),
    ]
    if not spec.dense_width:

        @compiled(signature)
        def sparse(
            ids: Tensor,
            weights: Tensor,
            lengths: Tensor,
            text_turns: Tensor,
            text_ids: Tensor,
            text_weights: Tensor,
            text_lengths: Tensor,
            text_sentence_ids: Tensor,
            text_sentence_weights: Tensor,
        ) -> Outputs:
            texts = PaddedTexts(text_ids, text_weights, text_lengths, text_sentence_ids, text_sentence_weights)
            return infer(PaddedDialogues(ids, weights, lengths, SaidInDialogues(text_turns, texts)))

        return sparse.get_concrete_function()
    signature += [
        tf.TensorSpec([None, None, None, spec.dense_width], tf.float32, f"{PREFIX}dense"),
        tf.TensorSpec([None, None, spec.dense_width], tf.float32, f"{PREFIX}sentence_dense"),
    ]

    @compiled(signature)
    def full(
        ids: Tensor,
        weights: Tensor,
        lengths: Tensor,
        text_turns: Tensor,
        text_ids: Tensor,
        text_weights: Tensor,
        text_lengths: Tensor,
        text_sentence_ids: Tensor,
        text_sentence_weights: Tensor,
        text_dense: Tensor,
        text_sentence_dense: Tensor,
    ) -> Outputs:
        sparse_parts = text_ids, text_weights, text_lengths, text_sentence_ids, text_sentence_weights
        texts = PaddedTexts(*sparse_parts, text_dense, text_sentence_dense)
        return infer(PaddedDialogues(ids, weights, lengths, SaidInDialogues(text_turns, texts)))

    return full.get_concrete_function()


@dataclass(frozen=True, slots=True)
class EndToEndInputs:
    """Dialogues with what users said in them, as an end-to-end model takes them."""

    spec: FeatureSpec

    def length(self, item: SaidDialogue) -> int:
        """In turns."""
        return int(item[0].shape[0])

    def arrays(self, items: Sequence[SaidDialogue]) -> Mapping[str, Array]:
        """Padded to the longest."""
        states = padded_dialogues([(ids, weights) for ids, weights, _ in items])
        return {**states, **text_inputs([said for _, _, said in items], self.spec)}

    def function(self, infer: Callable[[PaddedDialogues], Outputs]) -> Any:
        """A compiled function of the documented inputs, by name."""
        return end_to_end_inputs(self.spec, infer)
