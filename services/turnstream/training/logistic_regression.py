"""Training of a LogisticRegressionClassifier on the sentence features of the examples, by scikit-learn."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from turnstream.assistant.components import LogisticRegressionClassifierOptions
from turnstream.features.arrays import FeatureSpec, TextFeatures
from turnstream.features.linear import LinearModel
from turnstream.features.training_data import IntentData


def train_logistic_regression(
    data: IntentData, spec: FeatureSpec, options: LogisticRegressionClassifierOptions
) -> LinearModel:
    """Multinomial logistic regression with an L2 penalty."""
    weight: Any = dict(options.class_weight) if isinstance(options.class_weight, dict) else options.class_weight
    if isinstance(weight, dict):
        weight = {data.names.index(name): float(value) for name, value in weight.items() if name in data.names}
    classifier = LogisticRegression(
        class_weight=weight,
        max_iter=options.max_iter,
        solver=options.solver,
        tol=options.tol,
        random_state=options.random_state,
    )
    with warnings.catch_warnings():
        # `max_iter` is the author's choice; the weights found by then are used.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(_matrix(data.texts, spec), data.intents)
    weights, bias = classifier.coef_, classifier.intercept_
    if len(weights) == 1:
        # Two intents share one row, that of the second against the first.
        weights, bias = np.concatenate([np.zeros_like(weights), weights]), np.append(0.0, bias)
    return LinearModel(weights.astype(np.float32), bias.astype(np.float32))


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
