"""The response selector, with response keys and with response texts as labels."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.tiny_texts import EXAMPLES, features_of, selector_data, spec_of
from turnstream.assistant.components import (
    CountVectorsFeaturizerOptions,
    ResponseSelectorOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import Example, NluData
from turnstream.features.arrays import TextFeatures, model_inputs, pad
from turnstream.models.selector import TrainedSelector, train_selector
from turnstream.training.nlu_components import fit_nlu


def options(**changes: object) -> ResponseSelectorOptions:
    defaults: dict[str, object] = {
        "hidden_layers_sizes": {"text": (16, 8), "label": (16, 8)},
        "dense_dimension": {"text": 16, "label": 16},
        "epochs": 2,
        "batch_size": 4,
        "random_seed": 7,
        "learning_rate": 0.01,
    }
    return ResponseSelectorOptions(**{**defaults, **changes})  # type: ignore[arg-type]


TEXTS = [features_of(text) for text, _, _ in EXAMPLES]


@pytest.mark.parametrize("use_text_as_label", [False, True])
def test_learns_exports_and_comes_back(use_text_as_label: bool, tmp_path: Path) -> None:
    data = selector_data()
    model = train_selector(data, spec_of(), options(epochs=60, use_text_as_label=use_text_as_label))
    scores = model.predict(TEXTS)["scores"]
    assert scores.argmax(1).tolist() == data.labels.tolist()
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=1e-5)
    model.save(tmp_path / "saved")
    np.testing.assert_allclose(TrainedSelector.load(tmp_path / "saved").predict(TEXTS)["scores"], scores, atol=1e-6)
    model.export(tmp_path / "selector" / "1")
    check_exported(model, tmp_path / "selector" / "1")


def check_exported(model: TrainedSelector, path: Path) -> None:
    """The export answers as the model at batch 1 and 32."""
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    texts = [TEXTS[i % len(TEXTS)] for i in range(32)]
    expected = model.predict(texts, batch_size=5)["scores"]

    def ask(some: list[TextFeatures]) -> np.ndarray:
        inputs = {name: tf.constant(value) for name, value in model_inputs(pad(some), spec_of()).items()}
        scores: np.ndarray = signature(**inputs)["scores"].numpy()
        return scores

    np.testing.assert_allclose(ask(texts), expected, atol=1e-5)
    for row in range(len(TEXTS)):
        np.testing.assert_allclose(ask(texts[row : row + 1])[0], expected[row], atol=1e-5)


def test_with_a_transformer_the_tokens_count() -> None:
    model = train_selector(
        selector_data(),
        spec_of(),
        options(
            number_of_transformer_layers=1, transformer_size=8, number_of_attention_heads=2, use_text_as_label=True
        ),
    )
    inputs = dict(model_inputs(pad([features_of("fly to paris")]), spec_of()))
    before = model.serving_function()(**inputs)["scores"]
    inputs["ids"] = inputs["ids"][:, ::-1].copy()
    assert np.abs(model.serving_function()(**inputs)["scores"] - before).max() > 0


def test_shared_hidden_layers_are_one_set_of_weights_and_must_fit() -> None:
    apart = train_selector(selector_data(), spec_of(), options())
    shared = train_selector(selector_data(), spec_of(), options(share_hidden_layers=True))
    assert len(shared.network.variables) < len(apart.network.variables)
    with pytest.raises(ValueError, match="share_hidden_layers"):
        train_selector(
            selector_data(), spec_of(), options(share_hidden_layers=True, dense_dimension={"text": 16, "label": 8})
        )


def test_nothing_to_learn_is_refused() -> None:
    data = selector_data()
    with pytest.raises(ValueError, match="no examples of retrieval intents"):
        train_selector(type(data)((), data.labels[:0], data.keys, data.key_texts), spec_of(), options())


def test_a_selector_that_chose_a_featurizer_does_not_depend_on_another() -> None:
    words = CountVectorsFeaturizerOptions(alias="words")
    letters = CountVectorsFeaturizerOptions(analyzer="char_wb", max_ngram=3, alias="letters")
    said = [("open the door", "faq/door"), ("close it", "faq/close"), ("how old", "faq/age"), ("which age", "faq/age")]
    nlu = NluData(examples=tuple(Example(text, key) for text, key in said))

    def spread(featurizers: tuple[str, ...]) -> float:
        """How far apart the scores are of texts that have no known word, but known letters."""
        chosen = options(featurizers=featurizers)
        artifacts = fit_nlu([WhitespaceTokenizerOptions(), words, letters, chosen], nlu, Domain())
        (selector,) = artifacts.selectors
        assert selector.data is not None
        model = train_selector(selector.data, selector.spec, chosen)
        texts = [artifacts.pipeline.featurize(text).features for text in ("doors", "closed")]
        scores = model.predict([selector.choice.of(text) if selector.choice else text for text in texts])["scores"]
        return float(np.abs(scores[0] - scores[1]).max())

    assert spread(("words",)) == 0.0
    assert spread(("letters",)) > 0.0
    assert spread(()) > 0.0
