"""The training loop that all models share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from turnstream.assistant.components import NetworkOptions
from turnstream.models.batching import batch_size_of, epoch_batches
from turnstream.models.errors import UnsuitableOptions
from turnstream.models.training_log import TrainingLog, training_log
from turnstream.models.types import Array, Ints

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a training stands after an epoch. `epoch` counts from 1.

    metrics: means over the epoch's batches, `loss` among them; validation: the same on held-out examples, in the epochs
    that evaluate them, else empty.
    """

    model: str
    epoch: int
    epochs: int
    metrics: Metrics
    validation: Metrics = field(default_factory=dict)

    @property
    def loss(self) -> float:
        return self.metrics.get("loss", 0.0)


FINAL_RATE = 0.05
SHORT_STEPS = 1000

ProgressCallback = Callable[[TrainingProgress], None]


class Trainee(Protocol):
    """What the loop trains."""

    name: str

    def train_step(self, examples: Ints, learning_rate: float) -> Metrics:
        """Change the weights by one batch."""

    def evaluate(self, examples: Ints) -> Metrics:
        """Metrics of examples that are not trained on; those whose names end in `accuracy` or `f1` are to be high."""

    def weights(self) -> Mapping[str, Array]:
        """A copy of all weights."""

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Take weights given by `weights`."""


def fit(trainee: Trainee, labels: Ints, options: NetworkOptions, progress: ProgressCallback | None = None) -> None:
    """Train on all examples for `options.epochs`. labels: [examples], what a balanced batch balances.

    With `evaluate_on_number_of_examples` so many examples are held out; with `checkpoint_model` the weights of the best
    evaluated epoch are kept, and with `early_stopping_patience` training ends where they do not get better.
    """
    generator = np.random.default_rng(seed_of(options))
    training, held_out = split(labels, options.evaluate_on_number_of_examples, generator)
    steps = steps_of(len(training), options)
    best = Best(options.early_stopping_patience)
    with training_log(options, trainee.name) as log:
        for epoch in range(options.epochs if len(training) else 0):
            size = batch_size_of(options.batch_size, epoch, options.epochs)
            batches = epoch_batches(labels[training], size, options.batch_strategy, generator)
            rate = options.learning_rate * rate_of(epoch, options.epochs, steps)
            metrics = _mean([_train_batch(trainee, training[batch], rate, log) for batch in batches])
            validation: Metrics = {}
            if len(held_out) and _evaluates(epoch, options):
                validation = trainee.evaluate(held_out)
                best.see(trainee, validation, keep=options.checkpoint_model)
            log.after_epoch(epoch + 1, metrics, validation)
            if progress is not None:
                progress(TrainingProgress(trainee.name, epoch + 1, options.epochs, metrics, validation))
            if best.is_over:
                break
    if best.weights is not None:
        trainee.set_weights(best.weights)


def _train_batch(trainee: Trainee, batch: Ints, rate: float, log: TrainingLog) -> tuple[int, Metrics]:
    metrics = trainee.train_step(batch, rate)
    log.after_batch(metrics)
    return len(batch), metrics


class Best:
    """The best evaluation of a training. patience: how many worse ones in a row end it, None: none do."""

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._score = -math.inf
        self._worse = 0
        self.weights: Mapping[str, Array] | None = None

    def see(self, trainee: Trainee, validation: Metrics, *, keep: bool) -> None:
        """Compare the mean of the metrics that are the higher the better; keep: whether to keep the best weights."""
        score = score_of(validation)
        if score <= self._score:
            self._worse += 1
            return
        self._score, self._worse = score, 0
        if keep:
            self.weights = trainee.weights()

    @property
    def is_over(self) -> bool:
        return self._patience is not None and self._worse >= self._patience


def score_of(validation: Metrics) -> float:
    """The mean of what an evaluation says of accuracy and F1: intents and entities count alike."""
    scores = [value for name, value in validation.items() if name.endswith(("accuracy", "f1"))]
    return sum(scores) / len(scores) if scores else -math.inf


def rate_of(epoch: int, epochs: int, steps: int) -> float:
    """The share of `learning_rate` that an epoch uses: half a cosine down to `FINAL_RATE`, or all in a short training.

    steps: of the whole training. A falling rate needs fewer epochs for the same accuracy (Loshchilov and Hutter 2017);
    with less than `SHORT_STEPS` rare words would not be learnt by its end.
    """
    if steps < SHORT_STEPS:
        return 1.0
    done = epoch / max(epochs - 1, 1)
    return FINAL_RATE + (1.0 - FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * done))


def steps_of(examples: int, options: NetworkOptions) -> int:
    """How many batches a training takes."""
    sizes = (batch_size_of(options.batch_size, epoch, options.epochs) for epoch in range(options.epochs))
    return sum(math.ceil(examples / size) for size in sizes)


def seed_of(options: NetworkOptions) -> int:
    """`random_seed`, or a seed drawn for this training."""
    if options.random_seed is not None:
        return options.random_seed % 2**31
    return int(np.random.default_rng().integers(2**31))


def split(labels: Ints, held_out: int, generator: np.random.Generator) -> tuple[Ints, Ints]:
    """Indices to train on and indices held out, in which each label has its share; rare labels are trained on.

    Raises UnsuitableOptions when no example would be left to train on.
    """
    every = np.arange(len(labels), dtype=np.int32)
    if held_out <= 0:
        return every, every[:0]
    if held_out >= len(labels):
        raise UnsuitableOptions(f"evaluate_on_number_of_examples is {held_out}, but there are {len(labels)} examples")
    shuffled = generator.permutation(every)
    values, counts = np.unique(labels, return_counts=True)
    rare = np.isin(labels[shuffled], values[counts < 2])
    candidates = np.concatenate([shuffled[~rare], shuffled[rare]])
    grouped = candidates[: len(candidates) - int(rare.sum())]
    ranks = np.zeros(len(grouped))
    for value in values[counts >= 2]:
        members = labels[grouped] == value
        ranks[members] = (np.arange(int(members.sum())) + 0.5) / int(members.sum())
    ordered = np.concatenate([grouped[np.argsort(ranks, kind="stable")], candidates[len(grouped) :]])
    chosen = ordered[:held_out]
    return np.setdiff1d(every, chosen).astype(np.int32), np.sort(chosen).astype(np.int32)


def _evaluates(epoch: int, options: NetworkOptions) -> bool:
    every = options.evaluate_every_number_of_epochs
    return epoch + 1 == options.epochs or (every > 0 and (epoch + 1) % every == 0)


def _mean(results: list[tuple[int, Metrics]]) -> Metrics:
    total = sum(size for size, _ in results)
    names = results[0][1] if results else {}
    return {name: sum(size * metrics[name] for size, metrics in results) / total for name in names}
