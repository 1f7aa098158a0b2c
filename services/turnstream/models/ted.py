"""Training, storing, running and exporting TED."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from turnstream.assistant.components import TEDPolicyOptions
from turnstream.features.arrays import FeatureSpec, model_inputs, pad
from turnstream.models.dialogue_data import TedData
from turnstream.models.dialogue_model import (
    DialogueInputs,
    DialogueTask,
    DialogueTrainee,
    StateTask,
    balance_labels,
)
from turnstream.models.export import Outputs
from turnstream.models.module import Module
from turnstream.models.randomness import Initializer
from turnstream.models.story_texts import StateTexts, TextSizes
from turnstream.models.ted_export import EndToEndInputs
from turnstream.models.ted_network import DialogueNetwork, Known, PaddedDialogues
from turnstream.models.ted_task import EndToEndTask
from turnstream.models.ted_texts import TextColumn
from turnstream.models.text_encoder import PaddedTexts
from turnstream.models.trained import Inputs, TrainedModel
from turnstream.models.trainer import Trainer
from turnstream.models.training_loop import ProgressCallback, fit, seed_of
from turnstream.models.types import Array, Floats, Tensor, Variable


class TrainedTed(TrainedModel[TEDPolicyOptions, Any]):
    """A trained TED. actions: names in the order of `scores`; size: of the state features; texts: of its stories.

    It predicts from (ids, weights) [turns, k] of a dialogue, and where it reads users' texts from (ids, weights, the
    dialogue's `features.story_texts.SaidText`). Beside `scores` it then gives what `DialogueNetwork.infer_scores` says.
    """

    kind = "ted"
    options_type = TEDPolicyOptions
    network: DialogueNetwork

    def __init__(
        self,
        options: TEDPolicyOptions,
        size: int,
        actions: Sequence[str],
        seed: int,
        texts: TextSizes | None = None,
    ) -> None:
        self.size = size
        self.actions = tuple(actions)
        self.texts = texts
        last_only = options.history_window is not None
        network = DialogueNetwork(options, size, len(self.actions), Initializer(seed), last_only=last_only, texts=texts)
        said = texts.users if texts is not None else None
        inputs: Inputs[Any] = EndToEndInputs(said) if said is not None else DialogueInputs()
        super().__init__(options, inputs, network)
        self._spoken: list[tf.Variable] = []
        if texts is not None and texts.bots is not None:
            self._spoken = [
                _rows(len(texts.action_texts), network.bag.units, "action_texts"),
                _rows(len(self.actions), network.label_width, "label_action_texts"),
            ]

    @property
    def variables(self) -> Sequence[Variable]:
        return [*self.network.variables, *self._spoken]

    def settings(self) -> dict[str, Any]:
        texts = asdict(self.texts) if self.texts is not None else None
        return {"size": self.size, "actions": self.actions, "texts": texts}

    @classmethod
    def rebuilt(cls, options: TEDPolicyOptions, settings: Mapping[str, Any]) -> Self:
        return cls(options, settings["size"], settings["actions"], seed=0, texts=_sizes_of(settings))

    @staticmethod
    def labels_in(settings: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        texts = settings.get("texts") or {}
        labels = {"actions": settings["actions"]}
        return labels | {kind: texts[kind] for kind in ("action_texts", "tags") if texts.get(kind)}

    def inference(self) -> Callable[[PaddedDialogues], Outputs]:
        known = self._known()
        return lambda batch: self.network.infer_scores(batch, known)

    def served(self) -> Sequence[Module]:
        network, encoders = self.network, self.network.texts
        modules: list[Module] = [network.bag, network.transformer, network.output]
        if encoders is not None:
            modules += [part for part in (encoders.users, encoders.tagger) if part is not None]
        return modules

    def _known(self) -> Known:
        table: Tensor = self.network.bag.embeddings
        labels = self.network.labels()
        if self._spoken:
            rows, label_rows = self._spoken
            table = tf.constant(np.concatenate([table.numpy(), rows.numpy()]))
            labels = self.network.labels(None, label_rows)
        encoders = self.network.texts
        tagger = encoders.tagger if encoders is not None else None
        return Known(labels, table, tagger.slack() if tagger is not None else None)

    def embed_action_texts(self, spoken: StateTexts) -> None:
        """Compute what the assistant's texts add to states and labels, once for all predictions."""
        self.weights_changed()
        encoders = self.network.texts
        if not self._spoken or encoders is None or encoders.bots is None or encoders.labels is None:
            return
        texts = spoken.texts.bot_features
        rows, label_rows = (_encoded(column, texts) for column in (encoders.bots, encoders.labels))
        self._spoken[0].assign(rows)
        nothing = np.zeros((1, label_rows.shape[1]), np.float32)
        self._spoken[1].assign(np.concatenate([nothing, label_rows])[spoken.labels])


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
    sizes = data.texts.texts.sizes if data.texts is not None else None
    model = TrainedTed(options, data.size, data.names, seed, sizes)
    if start is not None:
        model.go_on_from(start)
    network = model.network
    task: DialogueTask = StateTask(network, data, network.action_loss)
    if data.texts is not None:
        task = EndToEndTask(network, data, last_only=options.history_window is not None)
    trainer = Trainer(
        network,
        task.bags,
        learning_rate=options.learning_rate,
        penalty=options.regularization_constant,
        seed=seed,
        penalizes_layers=True,
    )
    trainee = DialogueTrainee(TrainedTed.kind, network, task, trainer)
    fit(trainee, balance_labels(data), options, progress)
    if data.texts is not None:
        model.embed_action_texts(data.texts)
    return model


def _rows(count: int, width: int, name: str) -> tf.Variable:
    return tf.Variable(np.zeros((count, width), np.float32), trainable=False, name=name)


def _encoded(column: TextColumn, texts: Sequence[Any]) -> Floats:
    """[texts, width]."""
    spec = column.encoder.settings.spec
    rows = [
        column.rows(column.encoder.infer(PaddedTexts(**_tensors(model_inputs(pad([text]), spec)))).sentences)
        for text in texts
    ]
    result: Floats = np.concatenate(rows)
    return result


def _tensors(inputs: Mapping[str, Array]) -> dict[str, Tensor]:
    return {name: tf.constant(value) for name, value in inputs.items()}


def _sizes_of(settings: Mapping[str, Any]) -> TextSizes | None:
    """Models that were stored before there were texts name none."""
    found = settings.get("texts")
    if found is None:
        return None
    users, bots = (FeatureSpec(**found[key]) if found[key] else None for key in ("users", "bots"))
    return TextSizes(users, bots, tuple(found["action_texts"]), tuple(found["tags"]))
