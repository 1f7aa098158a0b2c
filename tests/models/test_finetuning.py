"""Models that go on from an earlier, smaller one; early stopping; the files that TensorBoard shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.tiny_texts import diet_data, features_of, selector_data, spec_of
from turnstream.assistant.components import DIETClassifierOptions, ResponseSelectorOptions
from turnstream.features.arrays import FeatureSpec, TextFeatures
from turnstream.features.training_data import DietData, TaggerData
from turnstream.models.diet import TrainedDiet, train_diet
from turnstream.models.selector import train_selector
from turnstream.models.training_log import training_log
from turnstream.models.training_loop import Best, TrainingProgress, fit, score_of
from turnstream.models.weights import WeightsError, grow_weights

OPTIONS = DIETClassifierOptions(
    transformer_size=16,
    number_of_transformer_layers=1,
    number_of_attention_heads=2,
    dense_dimension={"text": 16, "label": 8},
    batch_size=4,
    random_seed=7,
    learning_rate=0.01,
    constrain_similarities=True,
)
SPEC = spec_of()
GROWN = FeatureSpec(SPEC.token_vocabulary + 2, SPEC.sentence_vocabulary + 2)


def new_text(word: int) -> TextFeatures:
    """A text of one word that the earlier vocabulary lacks."""
    known = features_of("bye")
    ids, sentence = np.array([[SPEC.token_vocabulary + word]], np.int32), SPEC.sentence_vocabulary + word
    one = np.ones((1, 1), np.float32)
    return replace(known, ids=ids, weights=one, sentence_ids=np.array([sentence], np.int32), sentence_weights=one[0])


def grown_data() -> DietData:
    """The tiny bot with a new intent and a new entity, in new words."""
    data = diet_data()
    (tagger,) = data.taggers
    tags = (*tagger.tags, "U-food")
    labels = (*tagger.labels, np.array([0], np.int32), np.array([tags.index("U-food")], np.int32))
    return DietData(
        texts=(*data.texts, new_text(1), new_text(2)),
        intents=np.append(data.intents, [3, 3]).astype(np.int32),
        intent_names=(*data.intent_names, "order"),
        taggers=(TaggerData("entity", tags, labels),),
    )


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    train_diet(diet_data(), SPEC, replace(OPTIONS, epochs=60)).save(folder)
    return folder


def test_a_grown_model_answers_old_messages_as_before_until_it_is_trained(earlier: Path) -> None:
    before, now = TrainedDiet.load(earlier), train_diet(grown_data(), GROWN, replace(OPTIONS, epochs=0), start=earlier)
    texts = diet_data().texts
    old, new = before.predict(texts), now.predict(texts)
    scores = new["intent_scores"][:, :3]
    np.testing.assert_allclose(scores / scores.sum(1, keepdims=True), old["intent_scores"], atol=1e-4)
    rows = before.network.encoder.token_bag.embeddings.numpy()
    np.testing.assert_array_equal(now.network.encoder.token_bag.embeddings.numpy()[: len(rows)], rows)


def test_few_more_epochs_learn_what_is_new_and_keep_what_was_known(earlier: Path) -> None:
    data = grown_data()
    model = train_diet(data, GROWN, replace(OPTIONS, epochs=20), start=earlier)
    outputs = model.predict(data.texts)
    assert outputs["intent_scores"].argmax(1).tolist() == data.intents.tolist()
    for row, labels in enumerate(data.taggers[0].labels):
        assert outputs["entity_tags"][row, : len(labels)].tolist() == labels.tolist()
    old = TrainedDiet.load(earlier).predict(diet_data().texts)["intent_scores"].max(1)
    np.testing.assert_allclose(outputs["intent_scores"][: len(old)].max(1), old, atol=0.1)


def test_what_would_shrink_is_refused_by_name(earlier: Path) -> None:
    with pytest.raises(WeightsError, match=r"text/tokens/embeddings is \(37, 16\) and may only grow"):
        train_diet(diet_data(), FeatureSpec(30 - 1, SPEC.sentence_vocabulary), OPTIONS, start=earlier)
    fewer = replace(diet_data(), intent_names=("greet", "travel", "zoo"))
    with pytest.raises(WeightsError, match=r"the labels 'intents' may only grow; lost or reordered: \['goodbye'\]"):
        train_diet(fewer, SPEC, OPTIONS, start=earlier)
    without = replace(OPTIONS, entity_recognition=False)
    with pytest.raises(WeightsError, match="the labels 'entity' may only grow"):
        train_diet(diet_data(), SPEC, without, start=earlier)


def test_a_selector_goes_on_with_another_response(tmp_path: Path) -> None:
    options = ResponseSelectorOptions(
        epochs=40,
        random_seed=3,
        learning_rate=0.01,
        constrain_similarities=True,
        hidden_layers_sizes={"text": (16,), "label": (16,)},
        dense_dimension={"text": 16, "label": 16},
    )
    data = selector_data()
    train_selector(data, SPEC, options).save(tmp_path)
    more = replace(
        data,
        texts=(*data.texts, new_text(1)),
        labels=np.append(data.labels, 3).astype(np.int32),
        keys=(*data.keys, "faq/food"),
        key_texts=(*data.key_texts, ()),
    )
    model = train_selector(more, GROWN, replace(options, epochs=30), start=tmp_path)
    assert model.predict(more.texts)["scores"].argmax(1).tolist() == more.labels.tolist()


def test_grown_weights_keep_the_old_ones_in_front() -> None:
    weight = tf.Variable(np.full((2, 3), 9.0, np.float32), name="kernel")
    grow_weights([weight], {"kernel": np.ones((1, 2), np.float32)}, "here")
    assert weight.numpy().tolist() == [[1.0, 1.0, 9.0], [9.0, 9.0, 9.0]]
    with pytest.raises(WeightsError, match=r"here has weights that the new model lacks: \['other'\]"):
        grow_weights([weight], {"other": np.ones(1, np.float32)}, "here")


class Counted:
    """A model that never gets better; its weights are the number of the evaluation."""

    name = "counted"

    def __init__(self) -> None:
        self.evaluations = 0

    def train_step(self, examples: np.ndarray, learning_rate: float) -> dict[str, float]:
        return {"loss": 1.0}

    def evaluate(self, examples: np.ndarray) -> dict[str, float]:
        self.evaluations += 1
        return {"accuracy": 0.5}

    def weights(self) -> dict[str, np.ndarray]:
        return {"w": np.array([self.evaluations])}

    def set_weights(self, weights: dict[str, np.ndarray]) -> None:
        self.kept = weights


@pytest.mark.parametrize(("patience", "epochs"), [(2, 3), (None, 9)])
def test_training_ends_when_held_out_examples_get_no_better(patience: int | None, epochs: int) -> None:
    seen: list[TrainingProgress] = []
    options = replace(
        OPTIONS,
        epochs=9,
        evaluate_on_number_of_examples=2,
        evaluate_every_number_of_epochs=1,
        early_stopping_patience=patience,
        checkpoint_model=True,
    )
    model = Counted()
    fit(model, np.zeros(8, np.int32), options, seen.append)  # type: ignore[arg-type]
    assert len(seen) == epochs
    assert model.kept == {"w": np.array([1])}


def test_the_best_evaluation_is_that_of_the_highest_mean_of_accuracy_and_f1() -> None:
    best, model = Best(patience=2), Counted()
    for accuracy, f1 in ((0.5, 0.5), (0.4, 0.9), (0.6, 0.6), (0.9, 0.3)):
        model.evaluations += 1
        assert not best.is_over
        best.see(model, {"loss": 9.0, "intent_accuracy": accuracy, "entity_f1": f1}, keep=True)  # type: ignore[arg-type]
    assert best.is_over
    assert best.weights == {"w": np.array([2])}
    assert score_of({"loss": 1.0}) == float("-inf")


@pytest.mark.parametrize(("level", "steps"), [("epoch", [1, 2]), ("batch", [1, 2, 3])])
def test_event_files_have_the_metrics_of_each_step(level: str, steps: list[int], tmp_path: Path) -> None:
    options = replace(OPTIONS, tensorboard_log_directory=str(tmp_path), tensorboard_log_level=level)
    with training_log(options, "diet") as log:
        for epoch, batches in ((1, 2), (2, 1)):
            for _ in range(batches):
                log.after_batch({"loss": 0.5})
            log.after_epoch(epoch, {"loss": 0.25}, {"intent_accuracy": 1.0} if epoch == 2 else {})
    assert written(tmp_path / "diet" / "train") == [("loss", step) for step in steps]
    assert written(tmp_path / "diet" / "test") == [("intent_accuracy", steps[-1])]


def test_without_a_folder_nothing_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with training_log(OPTIONS, "diet") as log:
        log.after_epoch(1, {"loss": 0.25}, {})
    assert not list(tmp_path.iterdir())


def written(folder: Path) -> list[tuple[str, int]]:
    (file,) = folder.iterdir()
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(file))]
    return [(value.tag, event.step) for event in events for value in event.summary.value]
