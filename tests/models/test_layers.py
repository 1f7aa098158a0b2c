"""Every layer: shape, padding without effect, gradients for all weights, export."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from turnstream.models.layers.activations import gelu
from turnstream.models.layers.attention import MultiHeadAttention, RelativeAttention
from turnstream.models.layers.dense import Dense, groups_of
from turnstream.models.layers.dropout import dropout
from turnstream.models.layers.embedding_bag import EmbeddingBag, SparseRows
from turnstream.models.layers.feed_forward import FeedForward
from turnstream.models.layers.layout import Layout
from turnstream.models.layers.normalization import LayerNormalization
from turnstream.models.layers.transformer import Transformer, TransformerSettings
from turnstream.models.module import Module, compiled
from turnstream.models.randomness import Initializer, Noise

LENGTHS = [3, 1, 4]
UNITS = 8


def rows(seed: int = 0, units: int = UNITS, count: int = sum(LENGTHS)) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=(count, units)).astype(np.float32))


def transformer(**changes: object) -> Transformer:
    settings = {"layers": 2, "units": UNITS, "heads": 2, "density": 0.5, **changes}
    return Transformer(UNITS, TransformerSettings(**settings), Initializer(1), name="t")  # type: ignore[arg-type]


LAYERS = {
    "dense": Dense(UNITS, 6, Initializer(1), name="dense"),
    "grouped dense": Dense(UNITS, 12, Initializer(1), density=0.2, parts=3, name="grouped"),
    "feed forward": FeedForward(UNITS, (6, 4), Initializer(1), drop_rate=0.2, density=0.5, name="ff"),
    "normalization": LayerNormalization(UNITS, name="norm"),
}
SEQUENCE_LAYERS = {
    "attention": MultiHeadAttention(UNITS, 2, Initializer(1), name="a"),
    "relative attention": MultiHeadAttention(
        UNITS, 2, Initializer(1), relative=RelativeAttention(True, True, 2), name="r"
    ),
    "unidirectional attention": MultiHeadAttention(UNITS, 2, Initializer(1), unidirectional=True, name="u"),
    "transformer": transformer(),
    "unidirectional transformer": transformer(unidirectional=True, relative=RelativeAttention(True, True, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_has_a_gradient_for_each_weight_and_survives_export(name: str, tmp_path: Path) -> None:
    layer = LAYERS[name]
    with tf.GradientTape() as tape:
        result = layer(rows())
        value = tf.reduce_sum(result * result)
    assert result.shape[0] == sum(LENGTHS)
    assert all(gradient is not None for gradient in tape.gradient(value, layer.trainable_variables))
    check_export(layer, lambda values: layer(values), tmp_path)


@pytest.mark.parametrize("name", SEQUENCE_LAYERS)
def test_sequence_layer_keeps_shape_and_each_weight_learns(name: str, tmp_path: Path) -> None:
    layer = SEQUENCE_LAYERS[name]
    with tf.GradientTape() as tape:
        result = layer(rows(), Layout(tf.constant(LENGTHS)))
        value = tf.reduce_sum(result * rows(5))
    assert result.shape == (sum(LENGTHS), UNITS)
    assert all(gradient is not None for gradient in tape.gradient(value, layer.trainable_variables))
    check_export(layer, lambda values: layer(values, Layout(tf.constant(LENGTHS))), tmp_path)


@pytest.mark.parametrize("name", SEQUENCE_LAYERS)
def test_a_sequence_does_not_see_its_neighbours_or_their_length(name: str) -> None:
    layer = SEQUENCE_LAYERS[name]
    together = layer(rows(), Layout(tf.constant(LENGTHS)))
    alone = layer(rows()[:3], Layout(tf.constant([3])))
    np.testing.assert_allclose(together[:3], alone, atol=1e-5)


@pytest.mark.parametrize("name", SEQUENCE_LAYERS)
def test_asking_for_the_last_rows_gives_the_last_rows(name: str) -> None:
    layer, layout = SEQUENCE_LAYERS[name], Layout(tf.constant(LENGTHS))
    everything = layer(rows(), layout)
    np.testing.assert_allclose(layer(rows(), layout, last_only=True), layout.last(everything), atol=1e-5)


@pytest.mark.parametrize("name", ["unidirectional attention", "unidirectional transformer"])
def test_unidirectional_rows_do_not_see_what_follows(name: str) -> None:
    layer, layout = SEQUENCE_LAYERS[name], Layout(tf.constant([4]))
    changed = tf.concat([rows()[:3], 100.0 * rows()[3:4]], 0)
    np.testing.assert_allclose(layer(rows()[:4], layout)[:3], layer(changed, layout)[:3], atol=1e-5)


def test_bidirectional_rows_see_what_follows() -> None:
    layout = Layout(tf.constant([4]))
    changed = tf.concat([rows()[:3], 100.0 * rows()[3:4]], 0)
    layer = SEQUENCE_LAYERS["transformer"]
    assert np.abs(layer(rows()[:4], layout)[:3] - layer(changed, layout)[:3]).max() > 1e-3


def test_relative_attention_is_attention_with_position_vectors_written_out() -> None:
    layer = MultiHeadAttention(4, 1, Initializer(1), relative=RelativeAttention(True, True, 1), name="one")
    values = rows(units=4, count=3)
    query, key, value = np.split(layer._project(values).numpy(), 3, axis=1)
    keys, shifts = layer._key_positions.numpy(), layer._value_positions.numpy()
    expected = np.zeros((3, 4), np.float32)
    for i in range(3):
        offset = [int(np.clip(j - i, -1, 1)) + 1 for j in range(3)]
        scores = np.array([query[i] @ (key[j] + keys[offset[j]]) for j in range(3)]) / 2.0
        weights = np.exp(scores) / np.exp(scores).sum()
        expected[i] = sum(weights[j] * (value[j] + shifts[offset[j]]) for j in range(3))
    found = layer(values, Layout(tf.constant([3])))
    np.testing.assert_allclose(found, layer._output(tf.constant(expected)), atol=1e-5)


def test_layout_pads_and_packs_without_loss_also_empty_sequences() -> None:
    layout = Layout(tf.constant([2, 0, 3]))
    values = tf.Variable(rows(count=5))
    with tf.GradientTape() as tape:
        padded = layout.pad(values)
        packed = layout.pack(padded)
        value = tf.reduce_sum(packed * rows(7, count=5))
    assert padded.shape == (3, 3, UNITS)
    np.testing.assert_array_equal(packed, values)
    np.testing.assert_array_equal(tape.gradient(value, values), rows(7, count=5))
    assert layout.positions.numpy().tolist() == [0, 1, 0, 1, 2]


def test_embedding_bag_sums_weighted_rows_and_ignores_padding() -> None:
    bag = EmbeddingBag(5, 4, Initializer(1), name="bag")
    table = bag.embeddings.numpy()
    ids, weights = tf.constant([[1, 3, 0], [5, 0, 0]]), tf.constant([[2.0, 1.0, 0.0], [0.5, 0.0, 0.0]])
    expected = np.stack([2 * table[1] + table[3], 0.5 * table[5]])
    np.testing.assert_allclose(bag(ids, weights), expected, atol=1e-6)
    sparse = SparseRows(
        vocabulary=tf.constant([1, 3, 5]),
        row=tf.constant([0, 0, 1], tf.int64),
        column=tf.constant([0, 1, 2], tf.int64),
        weights=tf.constant([2.0, 1.0, 0.5]),
        count=tf.constant(2),
    )
    np.testing.assert_allclose(bag.combine(bag.used_rows(sparse), sparse, 0.0, None), expected, atol=1e-6)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    noise = Noise(1, tf.constant(5))
    dropped = dropout(tf.ones([100, 100]), 0.25, noise).numpy()
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert dropped.mean() == pytest.approx(1.0, abs=0.03)
    assert (dropout(tf.ones([100, 100]), 0.25, noise).numpy() != dropped).any()
    again = dropout(tf.ones([100, 100]), 0.25, Noise(1, tf.constant(5))).numpy()
    np.testing.assert_array_equal(again, dropped)
    np.testing.assert_array_equal(dropout(tf.ones([3, 3]), 0.25, None), np.ones((3, 3)))


def test_density_decides_how_many_groups() -> None:
    assert groups_of(256, 1024, 0.2) == 4
    assert groups_of(256, 1024, 1.0) == 1
    assert groups_of(7, 1024, 0.2) == 1
    with pytest.raises(ValueError, match="density"):
        Dense(4, 4, Initializer(1), density=0.0, name="none")


def test_grouped_dense_connects_every_nth_input_to_a_stretch_of_outputs() -> None:
    layer = Dense(4, 4, Initializer(1), density=0.5, name="two")
    base = layer(tf.zeros([1, 4])).numpy()
    for i in range(4):
        touched = np.flatnonzero(layer(tf.one_hot([i], 4)).numpy() - base)
        assert touched.tolist() == ([0, 1] if i % 2 == 0 else [2, 3])


def test_parts_lie_side_by_side_and_each_sees_all_blocks() -> None:
    """Queries and keys of a head must see the same inputs, or they could not tell how far rows are apart."""
    layer = Dense(4, 12, Initializer(1), density=0.5, parts=3, bias=False, name="qkv")
    for number, parts in enumerate(layer(tf.eye(4)).numpy().reshape(4, 3, 4) != 0):
        assert parts.tolist() == [[True, True, False, False] if number % 2 == 0 else [False, False, True, True]] * 3


@pytest.mark.parametrize("function", [gelu, LayerNormalization(5, name="n")])
def test_written_out_gradients_are_right(function: object) -> None:
    with tf.device("cpu"):
        theoretical, numerical = tf.test.compute_gradient(function, [rows(units=5, count=3)], delta=1e-2)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=5e-3)


def test_heads_must_divide_the_units() -> None:
    with pytest.raises(ValueError, match="8 units cannot be split into 3"):
        MultiHeadAttention(8, 3, Initializer(1), name="a")


def check_export(layer: Module, call: object, folder: Path) -> None:
    @compiled([tf.TensorSpec([None, UNITS], tf.float32, "values")])
    def serve(values: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"result": call(values)}  # type: ignore[operator]

    root = Module()
    root.layer = layer  # type: ignore[attr-defined]
    tf.saved_model.save(root, str(folder), signatures={"serving_default": serve.get_concrete_function()})
    loaded = tf.saved_model.load(str(folder)).signatures["serving_default"](values=rows())["result"]
    np.testing.assert_allclose(loaded, call(rows()), atol=1e-6)  # type: ignore[operator]
