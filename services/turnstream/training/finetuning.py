"""Incremental training: what an earlier bundle knows, and whether a project can go on from it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from turnstream.assistant.bundle import Bundle
from turnstream.assistant.components import (
    ComponentOptions,
    NetworkOptions,
    SpacyNLPOptions,
    TokenizerOptions,
    read_component,
)
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.assistant.suggested import with_suggestions
from turnstream.features.outside_models import DENSE_OPTIONS
from turnstream.features.pipeline import FEATURIZER_OPTIONS, FeaturePipeline
from turnstream.features.states import StateEncoder

WEIGHTS_DIR = "training"
"""Folder of a bundle with the weights that a training can go on from, by model."""

SCHEDULE_KEYS = (
    "epochs",
    "batch_size",
    "batch_strategy",
    "learning_rate",
    "random_seed",
    "evaluate_every_number_of_epochs",
    "evaluate_on_number_of_examples",
    "checkpoint_model",
    "early_stopping_patience",
    "tensorboard_log_directory",
    "tensorboard_log_level",
)
"""Keys of a network that say how it is trained and not what it is: they may change between trainings."""

OptionsT = TypeVar("OptionsT", bound=NetworkOptions)


@dataclass(frozen=True, slots=True)
class ModelStart:
    """Where the training of one model goes on: the folder of its weights, and the share of its epochs to train."""

    weights: Path
    epoch_fraction: float

    def shortened(self, options: OptionsT) -> OptionsT:
        """The options with that share of the epochs, at least one."""
        return replace(options, epochs=max(1, math.ceil(options.epochs * self.epoch_fraction)))


@dataclass(frozen=True, slots=True)
class Start:
    """An earlier bundle to go on from."""

    bundle: Bundle
    epoch_fraction: float

    def model(self, name: str) -> ModelStart | None:
        """None where the earlier training had nothing to learn for this model."""
        folder = f"{WEIGHTS_DIR}/{name}"
        if not self.bundle.has(f"{folder}/weights.npz"):
            return None
        return ModelStart(self.bundle.path(folder), self.epoch_fraction)

    def pipeline(self) -> FeaturePipeline:
        """The fitted featurizers."""
        return FeaturePipeline.from_json(self.bundle.read_json("nlu/pipeline.json"))

    def nlu_entry(self, model: str) -> Mapping[str, Any]:
        """What the earlier bundle says about a model of NLU: its labels. Empty where it has none of that name."""
        entries = self.bundle.read_json("nlu/components.json")["components"]
        entries += self.bundle.read_json("selection/selectors.json")["selectors"]
        return next((entry for entry in entries if entry.get("model") == model), {})

    def policy_entry(self, part: str) -> Mapping[str, Any]:
        """The file of a policy with a network; empty where there is none."""
        found: Mapping[str, Any] = self.bundle.read_json(part) if self.bundle.has(part) else {}
        return found

    def encoder(self, part: str) -> StateEncoder | None:
        """The features of dialogue states that a policy was trained with."""
        entry = self.policy_entry(part)
        return StateEncoder.from_json(entry["encoder"]) if entry else None

    def grown(self, kind: str, before: Iterable[str], found: Sequence[str], problems: Problems) -> tuple[str, ...]:
        """The labels `before` and then the new ones; an error for each that would be lost."""
        before = tuple(before)
        for name in before:
            if name not in found:
                what = f"the {kind} '{name}' is learnt there, but is not in the training data any more."
                problems.error(Location(str(self.bundle.root)), what, "Train without --finetune to leave it out.")
        return (*before, *(name for name in found if name not in before))

    def check_domain(self, parts: Iterable[str], domain: Domain, problems: Problems) -> None:
        """Errors for intents and actions of policies with networks (`parts`: their files) that the domain has lost."""
        for part in parts:
            entry = self.policy_entry(part)
            self.grown("action", entry.get("actions", ()), domain.action_names, problems)
            self.grown("intent", entry.get("intents", ()), tuple(domain.intents), problems)


def check_same_networks(
    start: Start, config: Sequence[ComponentConfig], options: Sequence[ComponentOptions], problems: Problems
) -> None:
    """Errors where tokenizers, featurizers and networks are not those of the earlier bundle.

    config, options: pipeline and policies as written, and as read.
    """
    earlier_config = with_suggestions(start.bundle.config)
    written = (*(earlier_config.pipeline or ()), *(earlier_config.policies or ()))
    read = [read_component(component, Problems()) for component in written]
    before = [_shape(each) for each in read if each is not None and _matters(each)]
    now = [(component, each) for component, each in zip(config, options, strict=True) if _matters(each)]
    for place, (component, each) in enumerate(now):
        if place >= len(before) or before[place] != _shape(each):
            what = f"'{component.name}' is not as in {start.bundle.root}, which is to be trained further."
            problems.error(component.location, what, "Write it as it was, or train without --finetune.")
            return
    if len(before) > len(now):
        location = config[-1].location if config else Location("config.yml")
        what = f"'{before[len(now)][0]}' of {start.bundle.root}, which is to be trained further, is missing."
        problems.error(location, what, "Write it as it was, or train without --finetune.")


def _matters(options: ComponentOptions) -> bool:
    return isinstance(options, (TokenizerOptions, NetworkOptions, SpacyNLPOptions, *FEATURIZER_OPTIONS, *DENSE_OPTIONS))


def _shape(options: ComponentOptions) -> tuple[str, dict[str, Any]]:
    schedule = SCHEDULE_KEYS if isinstance(options, NetworkOptions) else ()
    return options.component_name, {key: value for key, value in asdict(options).items() if key not in schedule}
