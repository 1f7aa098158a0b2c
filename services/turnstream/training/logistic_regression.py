"""Training of a LogisticRegressionClassifier on the sentence features of the examples, by scikit-learn."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from turnstream.assistant.components import LogisticRegressionClassifierOptions
from turnstream.features.arrays import FeatureSpec, Floats, TextFeatures
from turnstream.features.linear import LinearModel
from turnstream.features.training_data import IntentData

ONE_VS_REST_SOLVER = "liblinear"


def train_logistic_regression(
    data: IntentData, spec: FeatureSpec, options: LogisticRegressionClassifierOptions
) -> LinearModel:
    """Multinomial logistic regression with an L2 penalty; liblinear tells each intent from all others."""
    matrix, intents = _matrix(data.texts, spec), data.intents
    class_weights = _class_weights(data, options)
    if options.solver == ONE_VS_REST_SOLVER and len(data.names) > 2:
        # As liblinear does it by itself: an intent's own weight against 1 for the rest.
        fitted = [
            _fit(options, matrix, intents == intent, {True: class_weights[intent], False: 1.0})
            for intent in range(len(data.names))
        ]
        weights, bias = (np.concatenate(rows) for rows in zip(*fitted, strict=True))
        return LinearModel(weights, bias, is_one_vs_rest=True)
    weights, bias = _fit(options, matrix, intents, class_weights)
    if len(weights) == 1:
        # Two intents share one row, that of the second against the first.
        weights, bias = np.concatenate([np.zeros_like(weights), weights]), np.append(np.float32(0.0), bias)
    return LinearModel(weights, bias)


def _class_weights(data: IntentData, options: LogisticRegressionClassifierOptions) -> dict[int, float]:
    """By the number of the intent; those that the author's mapping leaves out weigh 1."""
    count = len(data.names)
    if options.class_weight == "balanced":
        found = np.bincount(data.intents, minlength=count)
        return {intent: len(data.intents) / (count * int(found[intent])) for intent in range(count)}
    given = options.class_weight or {}
    return {intent: float(given.get(name, 1.0)) for intent, name in enumerate(data.names)}


def _fit(
    options: LogisticRegressionClassifierOptions, matrix: Any, labels: NDArray[Any], class_weights: Mapping[Any, float]
) -> tuple[Floats, Floats]:
    """[rows, features] and [rows]."""
    classifier = LogisticRegression(
        class_weight=dict(class_weights),
        max_iter=options.max_iter,
        solver=options.solver,
        tol=options.tol,
        random_state=options.random_state,
    )
    with warnings.catch_warnings():
        # `max_iter` is the author's choice; the weights found by then are used.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(matrix, labels)
    return classifier.coef_.astype(np.float32), classifier.intercept_.astype(np.float32)


def _matrix(texts: Sequence[TextFeatures], spec: FeatureSpec) -> Any:
    """[texts, sentence vocabulary + dense width]."""
    counts = [len(text.sentence_ids) for text in texts]
    columns = np.concatenate([text.sentence_ids for text in texts]) - 1
    values = np.concatenate([text.sentence_weights for text in texts])
    starts = np.concatenate([[0], np.cumsum(counts)])
    sparse = csr_matrix((values, columns, starts), shape=(len(texts), spec.sentence_vocabulary))
    if not spec.dense_width:
        return sparse
    return hstack([sparse, csr_matrix(np.stack([text.sentence_dense for text in texts]))]).tocsr()
