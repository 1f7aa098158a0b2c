"""Training, storing, running and exporting TED."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from turnstream.assistant.components import TEDPolicyOptions, options_from_json, options_to_json
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

KIND = "ted"


class TrainedTed:
    """A trained TED. actions: names in the order of `scores`; size: of the state features."""

    def __init__(self, options: TEDPolicyOptions, size: int, actions: Sequence[str], seed: int) -> None:
        self.options = options
        self.size = size
        self.actions = tuple(actions)
        window = options.history_window
        self.network = DialogueNetwork(
            options, size, len(self.actions), Initializer(seed), last_only=window is not None
        )
        self._function: Any = None

    def predict(
        self, dialogues: Sequence[tuple[Ints, Floats]], *, batch_size: int = 64, outputs: Sequence[str] = ()
    ) -> dict[str, Array]:
        """`scores` [dialogues, actions] for encoded dialogues, (ids, weights) [turns, k] each."""
        return predict_dialogues(self.serving_function(), dialogues, batch_size, outputs)

    def serving_function(self) -> Any:
        """The function that `export` writes."""
        if self._function is None:
            labels = self.network.labels()
            self._function = dialogue_inputs(lambda batch: {"scores": self.network.infer_scores(batch, labels)})
        return self._function

    def export(self, path: Path) -> None:
        """Write a SavedModel into `path`: `ids`, `weights` [batch, turns, k], `lengths` [batch] -> `scores`."""
        network = self.network
        export_model(path, self.serving_function(), [network.bag, network.transformer, network.output])

    def save(self, folder: Path) -> None:
        """Write weights and settings, from which `load` builds the model again."""
        settings = {"options": options_to_json(self.options), "size": self.size, "actions": self.actions}
        save_model(folder, KIND, settings, self.network.variables)

    def go_on_from(self, folder: Path) -> None:
        """Take the weights of an earlier, smaller model. Raises WeightsError where it does not fit into this one."""
        settings, weights = load_model(folder, KIND)
        check_grown({"actions": settings["actions"]}, {"actions": self.actions}, str(folder))
        grow_weights(self.network.variables, weights, str(folder / "weights.npz"))

    @classmethod
    def load(cls, folder: Path) -> "TrainedTed":
        """Raises WeightsError when the files are damaged, of another kind, or do not fit each other."""
        settings, weights = load_model(folder, KIND)
        options = options_from_json(settings["options"])
        if not isinstance(options, TEDPolicyOptions):
            raise WeightsError(f"{folder} holds options of {options.component_name}")
        model = cls(options, settings["size"], settings["actions"], seed=0)
        assign_weights(model.network.variables, weights, str(folder / "weights.npz"))
        return model


def train_ted(
    data: TedData,
    options: TEDPolicyOptions,
    *,
    progress: ProgressCallback | None = None,
    start: Path | None = None,
) -> TrainedTed:
    """Train TED on `dialogue_data.dialogue_data`.

    start: the folder of an earlier model (`save`) to go on from, whose labels and features come first in the new ones.
    Raises ValueError when there is nothing to learn from, or `start` does not fit.
    """
    if not data.sequences:
        raise ValueError("TEDPolicy has no dialogues to learn from")
    seed = seed_of(options)
    model = TrainedTed(options, data.size, data.names, seed)
    if start is not None:
        model.go_on_from(start)
    trainer = Trainer(
        model.network,
        [model.network.bag],
        learning_rate=options.learning_rate,
        penalty=options.regularization_constant,
        seed=seed,
    )
    trainee = DialogueTrainee(KIND, model.network, data, model.network.action_loss, trainer)
    fit(trainee, balance_labels(data), options, progress)
    return model
