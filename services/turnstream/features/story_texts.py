"""What users say in words of their own within a dialogue, as inputs of a model (end-to-end stories).

A dialogue's texts are `text_turns` int32 [batch, texts], the turn of each, counted from 1, and the features of
`features.arrays.FeatureBatch` for each text: `text_ids` and `text_weights` [batch, texts, tokens, k], `text_lengths`
[batch, texts], `text_sentence_ids` and `text_sentence_weights` [batch, texts, m], `text_dense` [batch, texts, tokens,
width] and `text_sentence_dense` [batch, texts, width]. Turn 0 is no text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from turnstream.dialogue.state import DialogueState
from turnstream.features.arrays import FeatureSpec, Ints, TextFeatures, model_inputs, no_text, pad
from turnstream.features.states import follows_message

PREFIX = "text_"
MAX_SAID_TOKENS = 256
"""Token rows of a text. A dialogue has many texts, and each is padded to the longest."""


@dataclass(frozen=True, slots=True, eq=False)
class SaidText:
    """The features of what the user said at a turn, which counts from 1."""

    turn: int
    features: TextFeatures


def text_of(state: DialogueState) -> str | None:
    """The user's text where it stands for the message; one that still counts by its intent too counts by that."""
    return state.user_text if follows_message(state) and state.intent is None else None


def shortened(features: TextFeatures) -> TextFeatures:
    """The rows of the first `MAX_SAID_TOKENS` tokens; what comes after counts in the sentence row alone."""
    most = MAX_SAID_TOKENS
    if len(features.ids) <= most:
        return features
    return replace(features, ids=features.ids[:most], weights=features.weights[:most], dense=features.dense[:most])


def said_texts(states: Sequence[DialogueState], featurize: Callable[[str], TextFeatures]) -> list[SaidText]:
    """The texts of a dialogue."""
    found = ((turn, text_of(state)) for turn, state in enumerate(states, start=1))
    return [SaidText(turn, shortened(featurize(text))) for turn, text in found if text]


def text_inputs(
    dialogues: Sequence[Sequence[SaidText]], spec: FeatureSpec
) -> Mapping[str, NDArray[np.int32 | np.float32]]:
    """The texts of several dialogues.

    The first text of each is none: where dialogues of different sizes share a batch, TF Serving pads with that.
    """
    width = max([1, *(len(said) for said in dialogues)]) + 1
    nothing = no_text(spec)
    turns: Ints = np.zeros((len(dialogues), width), np.int32)
    texts: list[TextFeatures] = []
    for row, said in enumerate(dialogues):
        turns[row, 1 : 1 + len(said)] = [text.turn for text in said]
        texts += [nothing, *(text.features for text in said), *[nothing] * (width - 1 - len(said))]
    flat = model_inputs(pad(texts), spec)
    shaped = {PREFIX + name: array.reshape(len(dialogues), width, *array.shape[1:]) for name, array in flat.items()}
    return {PREFIX + "turns": turns, **shaped}
