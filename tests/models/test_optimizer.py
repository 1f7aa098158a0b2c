"""Adam on whole variables and on some rows of a matrix."""

import numpy as np
import tensorflow as tf
from turnstream.models.optimizer import Adam

GRADIENT = np.array([[0.5, -1.0, 2.0]], np.float32)


def _matrix() -> tf.Variable:
    return tf.Variable(np.ones((2, 3), np.float32))


def test_gradients_of_some_rows_move_a_matrix_as_a_gradient_of_all_with_zeros_elsewhere() -> None:
    whole, rows = _matrix(), _matrix()
    dense, sparse = (Adam([matrix], 0.01, {id(matrix): 0.1}) for matrix in (whole, rows))
    for step in range(30):
        used = [0, 1] if step % 5 == 0 else [0]
        full = np.zeros((2, 3), np.float32)
        full[used] = GRADIENT
        dense.begin_step()
        dense.apply([whole], [tf.constant(full)])
        sparse.begin_step()
        sparse.apply([rows], [tf.IndexedSlices(tf.constant(full[used]), tf.constant(used))])
    np.testing.assert_allclose(rows.numpy(), whole.numpy(), rtol=1e-6)


def test_the_penalty_takes_a_row_that_no_step_uses_to_zero_and_spares_one_in_use() -> None:
    matrix = _matrix()
    adam = Adam([matrix], 0.01, {id(matrix): 0.002})
    for _ in range(300):
        adam.begin_step()
        adam.apply([matrix], [tf.IndexedSlices(tf.constant(-np.abs(GRADIENT)), tf.constant([0]))])
    used, unused = matrix.numpy()
    assert (np.abs(unused) < 0.05).all()
    assert (used > 1.0).all()


def test_without_a_penalty_rows_out_of_use_stay() -> None:
    matrix = _matrix()
    adam = Adam([matrix], 0.01, {})
    for _ in range(5):
        adam.begin_step()
        adam.apply([matrix], [tf.IndexedSlices(tf.constant(GRADIENT), tf.constant([0]))])
    np.testing.assert_array_equal(matrix.numpy()[1], np.ones(3, np.float32))
