"""SavedModels with documented signatures.

A text model takes `ids` int32 and `weights` float32 [batch, tokens, k], `lengths` int32 [batch], `sentence_ids`
int32 and `sentence_weights` float32 [batch, m], and with dense features `dense` float32 [batch, tokens, width] and
`sentence_dense` float32 [batch, width]: `features.arrays.FeatureBatch`. All sizes but `width` are open.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from turnstream.features.arrays import FeatureSpec, TextFeatures, model_inputs, pad
from turnstream.models.module import Module, compiled
from turnstream.models.text_encoder import PaddedTexts
from turnstream.models.types import Array, Tensor

Outputs = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class TextInputs:
    """Texts as a text model takes them."""

    spec: FeatureSpec

    def length(self, item: TextFeatures) -> int:
        """In tokens."""
        return int(item.ids.shape[0])

    def arrays(self, items: Sequence[TextFeatures]) -> Mapping[str, Array]:
        """Padded to the longest."""
        return model_inputs(pad(items), self.spec)

    def function(self, infer: Callable[[PaddedTexts], Outputs]) -> Any:
        """A compiled function of the documented inputs, by name."""
        return text_inputs(self.spec, infer)


def text_inputs(spec: FeatureSpec, infer: Callable[[PaddedTexts], Outputs]) -> Any:
    """A compiled function of a text model's documented inputs, by name."""
    signature = [
        tf.TensorSpec([None, None, None], tf.int32, "ids"),
        tf.TensorSpec([None, None, None], tf.float32, "weights"),
        tf.TensorSpec([None], tf.int32, "lengths"),
        tf.TensorSpec([None, None], tf.int32, "sentence_ids"),
        tf.TensorSpec([None, None], tf.float32, "sentence_weights"),
    ]
    if not spec.dense_width:

        @compiled(signature)
        def sparse(
            ids: Tensor, weights: Tensor, lengths: Tensor, sentence_ids: Tensor, sentence_weights: Tensor
        ) -> Outputs:
            return infer(PaddedTexts(ids, weights, lengths, sentence_ids, sentence_weights))

        return sparse.get_concrete_function()
    signature += [
        tf.TensorSpec([None, None, spec.dense_width], tf.float32, "dense"),
        tf.TensorSpec([None, spec.dense_width], tf.float32, "sentence_dense"),
    ]

    @compiled(signature)
    def full(
        ids: Tensor,
        weights: Tensor,
        lengths: Tensor,
        sentence_ids: Tensor,
        sentence_weights: Tensor,
        dense: Tensor,
        sentence_dense: Tensor,
    ) -> Outputs:
        return infer(PaddedTexts(ids, weights, lengths, sentence_ids, sentence_weights, dense, sentence_dense))

    return full.get_concrete_function()


def export_model(path: Path, function: Any, modules: Sequence[Module]) -> None:
    """Write `function` as the signature `serving_default` with the variables of `modules`.

    The SavedModel holds standard operations only: a server without Python loads it.
    """
    root: Any = Module()
    root.modules = list(modules)
    save_options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(root, str(path), signatures={"serving_default": function}, options=save_options)
