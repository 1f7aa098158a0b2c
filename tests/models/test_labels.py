"""Embeddings of labels: rows of their own, or shared by the words of their names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from support.tiny_texts import diet_data, spec_of
from turnstream.assistant.components import DIETClassifierOptions
from turnstream.models.diet import TrainedDiet, train_diet
from turnstream.models.labels import LabelEncoder
from turnstream.models.randomness import Initializer


def encoder(words: list[list[str]]) -> LabelEncoder:
    return LabelEncoder(
        len(words), Initializer(1), width=4, hidden=(), embedding=4, drop_rate=0.0, density=1.0, name="l", words=words
    )


def test_a_label_of_several_words_is_the_sum_of_them() -> None:
    embeddings = encoder([["ask"], ["greet"], ["greet", "ask"], ["greet", "greet"]])().numpy()
    np.testing.assert_allclose(embeddings[2], embeddings[0] + embeddings[1], atol=1e-6)
    np.testing.assert_allclose(embeddings[3], 2 * embeddings[1], atol=1e-6)


def test_labels_without_words_have_rows_of_their_own() -> None:
    labels = LabelEncoder(3, Initializer(1), width=4, hidden=(), embedding=4, drop_rate=0.0, density=1.0, name="labels")
    assert np.linalg.matrix_rank(labels().numpy()) == 3


def test_a_model_of_several_intents_in_one_message_is_stored_with_their_words(tmp_path: Path) -> None:
    data = replace(diet_data(), intent_words=(("greet",), ("travel",), ("travel", "greet")))
    options = DIETClassifierOptions(
        transformer_size=8, number_of_attention_heads=2, epochs=1, random_seed=1, entity_recognition=False
    )
    model = train_diet(data, spec_of(), options)
    model.save(tmp_path / "model")
    again = TrainedDiet.load(tmp_path / "model")
    assert again.intent_words == data.intent_words
    np.testing.assert_allclose(again.predict(data.texts)["intent_scores"], model.predict(data.texts)["intent_scores"])
