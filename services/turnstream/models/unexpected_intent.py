"""UnexpecTEDIntentPolicy: is the user's intent likely at this point of the dialogue?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from turnstream.assistant.components import UnexpecTEDIntentPolicyOptions, options_from_json, options_to_json
from turnstream.models.dialogue_data import TedData
from turnstream.models.dialogue_model import DialogueTrainee, balance_labels, dialogue_inputs, predict_dialogues
from turnstream.models.export import export_model
from turnstream.models.randomness import Initializer
from turnstream.models.ted_network import DialogueNetwork
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import ProgressCallback, fit, seed_of
from turnstream.models.types import Array, Floats, Ints
from turnstream.models.weights import (
    WeightsError,
    assign_weights,
    check_grown,
    grow_weights,
    load_model,
    save_model,
)

KIND = "unexpected_intent"
LARGEST_TOLERANCE = 0.95


class TrainedUnexpectedIntent:
    """The trained policy. intents: names in the order of `similarities`; thresholds: for each intent that the stories
    have, the least similarity of a likely one.
    """

    def __init__(
        self,
        options: UnexpecTEDIntentPolicyOptions,
        size: int,
        intents: Sequence[str],
        thresholds: Mapping[str, float],
        seed: int,
    ) -> None:
        self.options = options
        self.size = size
        self.intents = tuple(intents)
        self.thresholds = dict(thresholds)
        self.network = DialogueNetwork(options, size, len(self.intents), Initializer(seed), last_only=True)
        self._function: Any = None

    def predict(
        self, dialogues: Sequence[tuple[Ints, Floats]], *, batch_size: int = 64, outputs: Sequence[str] = ()
    ) -> dict[str, Array]:
        """`similarities` [dialogues, intents] for encoded dialogues, the states before the user's message."""
        return predict_dialogues(self.serving_function(), dialogues, batch_size, outputs)

    def serving_function(self) -> Any:
        """The function that `export` writes."""
        if self._function is None:
            labels, infer = self.network.labels(), self.network.infer_similarities
            self._function = dialogue_inputs(lambda batch: {"similarities": infer(batch, labels)})
        return self._function

    def export(self, path: Path) -> None:
        """Write a SavedModel into `path`: `ids`, `weights` [batch, turns, k], `lengths` [batch] -> `similarities`."""
        network = self.network
        export_model(path, self.serving_function(), [network.bag, network.transformer, network.output])

    def save(self, folder: Path) -> None:
        """Write weights and settings, from which `load` builds the model again."""
        settings = {
            "options": options_to_json(self.options),
            "size": self.size,
            "intents": self.intents,
            "thresholds": self.thresholds,
        }
        save_model(folder, KIND, settings, self.network.variables)

    def go_on_from(self, folder: Path) -> None:
        """Take the weights of an earlier, smaller model. Raises WeightsError where it does not fit into this one."""
        settings, weights = load_model(folder, KIND)
        check_grown({"intents": settings["intents"]}, {"intents": self.intents}, str(folder))
        grow_weights(self.network.variables, weights, str(folder / "weights.npz"))

    @classmethod
    def load(cls, folder: Path) -> "TrainedUnexpectedIntent":
        """Raises WeightsError when the files are damaged, of another kind, or do not fit each other."""
        settings, weights = load_model(folder, KIND)
        options = options_from_json(settings["options"])
        if not isinstance(options, UnexpecTEDIntentPolicyOptions):
            raise WeightsError(f"{folder} holds options of {options.component_name}")
        model = cls(options, settings["size"], settings["intents"], settings["thresholds"], seed=0)
        assign_weights(model.network.variables, weights, str(folder / "weights.npz"))
        return model


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
    )
    trainee = DialogueTrainee(KIND, model.network, data, model.network.intent_loss, trainer)
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
