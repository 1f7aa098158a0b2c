"""UnexpecTEDIntentPolicy: is the user's intent likely at this point of the dialogue?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from turnstream.assistant.components import UnexpecTEDIntentPolicyOptions
from turnstream.models.dialogue_data import TedData
from turnstream.models.dialogue_model import (
    DialogueInputs,
    DialogueTrainee,
    EncodedDialogue,
    StateTask,
    balance_labels,
)
from turnstream.models.export import Outputs
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer
from turnstream.models.ted_network import DialogueNetwork, Known, PaddedDialogues
from turnstream.models.trained import TrainedModel
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import ProgressCallback, fit, seed_of
from turnstream.models.types import Array

LARGEST_TOLERANCE = 0.95


class TrainedUnexpectedIntent(TrainedModel[UnexpecTEDIntentPolicyOptions, EncodedDialogue]):
    """The trained policy. intents: names in the order of `similarities`; thresholds: for each intent that the stories
    have, the least similarity of a likely one.

    It predicts from the states before the user's message, (ids, weights) [turns, k].
    """

    kind = "unexpected_intent"
    options_type = UnexpecTEDIntentPolicyOptions
    network: DialogueNetwork

    def __init__(
        self,
        options: UnexpecTEDIntentPolicyOptions,
        size: int,
        intents: Sequence[str],
        thresholds: Mapping[str, float],
        seed: int,
    ) -> None:
        self.size = size
        self.intents = tuple(intents)
        self.thresholds = dict(thresholds)
        network = DialogueNetwork(options, size, len(self.intents), Initializer(seed), last_only=True)
        super().__init__(options, DialogueInputs(), network)

    def settings(self) -> dict[str, Any]:
        return {"size": self.size, "intents": self.intents, "thresholds": self.thresholds}

    @classmethod
    def rebuilt(cls, options: UnexpecTEDIntentPolicyOptions, settings: Mapping[str, Any]) -> Self:
        return cls(options, settings["size"], settings["intents"], settings["thresholds"], seed=0)

    @staticmethod
    def labels_in(settings: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        return {"intents": settings["intents"]}

    def inference(self) -> Callable[[PaddedDialogues], Outputs]:
        known = Known(self.network.labels(), self.network.bag.embeddings)
        return lambda batch: {"similarities": self.network.infer_similarities(batch, known)}

    def served(self) -> Sequence[Module]:
        return [self.network.bag, self.network.transformer, self.network.output]


def train_unexpected_intent(
    data: TedData,
    options: UnexpecTEDIntentPolicyOptions,
    *,
    progress: ProgressCallback | None = None,
    start: Path | None = None,
) -> TrainedUnexpectedIntent:
    """Train on `dialogue_data.intent_data`.

    start: the folder of an earlier model (`save`) to go on from, whose labels and features come first in the new ones.
    Raises ValueError when there is nothing to learn from, or `start` does not fit.
    """
    if not data.sequences:
        raise ValueError("UnexpecTEDIntentPolicy has no user messages with intents to learn from")
    seed = seed_of(options)
    model = TrainedUnexpectedIntent(options, data.size, data.names, {}, seed)
    if start is not None:
        model.go_on_from(start)
    trainer = Trainer(
        model.network,
        [model.network.bag],
        learning_rate=options.learning_rate,
        penalty=options.regularization_constant,
        seed=seed,
        penalizes_layers=True,
    )
    task = StateTask(model.network, data, model.network.intent_loss)
    trainee = DialogueTrainee(TrainedUnexpectedIntent.kind, model.network, task, trainer)
    fit(trainee, balance_labels(data), options, progress)
    dialogues = [data.table.padded(sequence) for sequence in data.sequences]
    found = thresholds_of(model.predict(dialogues)["similarities"], data.label_sets, options.tolerance)
    model.thresholds = {data.names[label]: value for label, value in found.items()}
    return model


def thresholds_of(similarities: Array, label_sets: Sequence[Sequence[int]], tolerance: float) -> dict[int, float]:
    """For each intent that fits somewhere, the similarity below which it is unlikely.

    similarities: [dialogues, intents] of the training data; label_sets: the intents that fit each. The threshold is the
    (1 - tolerance) quantile of the intent's similarities to dialogues that it does not fit, and never above its least
    similarity to one that it fits (`tolerance` of https://rasa.com/docs/rasa/policies#unexpected-intent-policy).
    """
    fits = np.zeros(similarities.shape, np.bool_)
    for row, labels in enumerate(label_sets):
        fits[row, list(labels)] = True
    level = 1.0 - min(tolerance, LARGEST_TOLERANCE)
    thresholds: dict[int, float] = {}
    for label in np.flatnonzero(fits.any(0)):
        positive, negative = similarities[fits[:, label], label], similarities[~fits[:, label], label]
        least = float(positive.min())
        if negative.size:
            least = min(least, float(np.quantile(negative, level, method="lower")))
        thresholds[int(label)] = least
    return thresholds
