"""The texts of responses, in all their variations, as a response selector learns them."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from turnstream.features.arrays import FeatureSpec, TextFeatures, model_inputs, no_text, pad
from turnstream.models.text_data import TextData
from turnstream.models.text_encoder import PaddedTexts
from turnstream.models.types import Ints, Tensor


class ResponseTexts:
    """The variations of each response, end to end; a response without a text has the empty one.

    A training step sees one variation of each response, drawn anew each time, so that all of them come to lie near the
    messages that they answer. Afterwards a response stands where its variations do in the mean.
    """

    def __init__(self, variations: Sequence[Sequence[TextFeatures]], spec: FeatureSpec) -> None:
        given = [list(some) or [no_text(spec)] for some in variations]
        self._texts = [text for some in given for text in some]
        self._spec = spec
        self._counts = np.array([len(some) for some in given], np.int32)
        self._starts = (np.cumsum(self._counts) - self._counts).astype(np.int32)
        self.data = TextData(self._texts, spec)

    def __len__(self) -> int:
        """How many responses there are."""
        return len(self._counts)

    def draw(self, responses: Ints, generator: np.random.Generator) -> Ints:
        """For each of the responses [n] the number of one of its texts in `data`."""
        drawn: Ints = (self._starts[responses] + generator.integers(0, self._counts[responses])).astype(np.int32)
        return drawn

    def embedded(self, infer: Callable[[PaddedTexts], Tensor]) -> Tensor:
        """[responses, embedding]; infer: from texts [n] to [n, embedding]."""
        rows = [infer(self._padded(text)) for text in self._texts]
        numbers = np.repeat(np.arange(len(self._counts), dtype=np.int32), self._counts)
        return tf.math.segment_mean(tf.concat(rows, 0), numbers)

    def _padded(self, text: TextFeatures) -> PaddedTexts:
        inputs = model_inputs(pad([text]), self._spec)
        return PaddedTexts(**{name: tf.constant(value) for name, value in inputs.items()})
