"""The variations of responses as labels of a response selector."""

from dataclasses import replace

import numpy as np
import tensorflow as tf
from support.tiny_texts import features_of, selector_data, spec_of
from turnstream.assistant.components import ResponseSelectorOptions
from turnstream.features.arrays import model_inputs, pad
from turnstream.models.response_texts import ResponseTexts
from turnstream.models.selector import train_selector
from turnstream.models.text_encoder import PaddedTexts

VARIATIONS = ((features_of("hello"), features_of("hi bot"), features_of("good morning")), (), (features_of("bye"),))
TEXTS = ResponseTexts(VARIATIONS, spec_of())


def words(texts: PaddedTexts) -> tf.Tensor:
    """[n, 1]: the sum of the ids of a text's words."""
    return tf.cast(tf.reduce_sum(texts.sentence_ids, 1, keepdims=True), tf.float32)


def test_each_variation_of_a_response_is_drawn_for_it_and_for_no_other() -> None:
    generator = np.random.default_rng(1)
    drawn = [TEXTS.draw(np.array([0, 1, 2], np.int32), generator).tolist() for _ in range(60)]
    assert len(TEXTS) == 3
    assert {row[0] for row in drawn} == {0, 1, 2}
    assert {tuple(row[1:]) for row in drawn} == {(3, 4)}


def test_a_response_stands_where_its_variations_do_in_the_mean() -> None:
    sums = [float(text.sentence_ids.sum()) for some in VARIATIONS for text in some]
    expected = [[sum(sums[:3]) / 3], [0.0], [sums[3]]]
    np.testing.assert_allclose(TEXTS.embedded(words).numpy(), expected, atol=1e-4)


def test_messages_are_drawn_to_every_variation() -> None:
    """A response text taken as a message is answered by its own response, whichever variation it is."""
    data = selector_data()
    travel = (features_of("fly to rome"), features_of("go new york"))
    data = replace(data, key_texts=(VARIATIONS[0], travel, (features_of("bye"), features_of("see later"))))
    options = ResponseSelectorOptions(
        use_text_as_label=True,
        share_hidden_layers=True,
        hidden_layers_sizes={"text": (16,), "label": (16,)},
        dense_dimension={"text": 16, "label": 16},
        epochs=60,
        batch_size=4,
        random_seed=7,
        learning_rate=0.01,
    )
    model = train_selector(data, spec_of(), options)
    assert model.predict(list(data.texts))["scores"].argmax(1).tolist() == data.labels.tolist()
    rows = [
        model.network.infer_responses(PaddedTexts(**model_inputs(pad([text]), spec_of())))
        for some in data.key_texts
        for text in some
    ]
    near = tf.matmul(tf.concat(rows, 0), model.response_embeddings, transpose_b=True).numpy().argmax(1)
    assert near.tolist() == [0, 0, 0, 1, 1, 2, 2]
