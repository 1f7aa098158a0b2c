"""What every trained model is: options, a network, and the names of what it predicts.

It predicts in bulk, is saved and loaded, grows from an earlier one, and is exported to a SavedModel. Parts that differ
are composed: the network, and the `Inputs` that make arrays of examples.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from turnstream.assistant.components import ComponentOptions, options_from_json, options_to_json
from turnstream.models.export import Outputs, export_model
from turnstream.models.inference import predict_all
from turnstream.models.module import Module
from turnstream.models.types import Array, Variable
from turnstream.models.weights import (
    WeightsError,
    assign_weights,
    check_grown,
    grow_weights,
    load_model,
    save_model,
)

OptionsT = TypeVar("OptionsT", bound=ComponentOptions)
ItemT = TypeVar("ItemT")
ItemU = TypeVar("ItemU", contravariant=True)


class Inputs(Protocol[ItemU]):
    """The documented inputs of a model."""

    def length(self, item: ItemU) -> int:
        """By which items are sorted into batches."""
        ...

    def arrays(self, items: Sequence[ItemU]) -> Mapping[str, Array]:
        """Some items as padded arrays, by the names of the signature."""
        ...

    def function(self, infer: Callable[[Any], Outputs]) -> Any:
        """`infer` as a compiled function of the arrays."""
        ...


class TrainedModel(ABC, Generic[OptionsT, ItemT]):
    """A model of one kind; each inherits from this class alone."""

    kind: ClassVar[str]
    options_type: ClassVar[type[ComponentOptions]]
    network: Module

    def __init__(self, options: OptionsT, inputs: Inputs[ItemT], network: Module) -> None:
        self.options = options
        self.network = network
        self._inputs = inputs
        self._function: Any = None

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """As JSON all that, with the options, is enough to build the model again."""

    @classmethod
    @abstractmethod
    def rebuilt(cls, options: Any, settings: Mapping[str, Any]) -> Self:
        """The model of these `settings`, with weights of no meaning."""

    @staticmethod
    @abstractmethod
    def labels_in(settings: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        """The names of what is predicted, by kind: lists that a model which goes on from another may only extend."""

    @abstractmethod
    def inference(self) -> Callable[[Any], Outputs]:
        """From padded inputs to the exported outputs; what can be computed from the weights alone is."""

    @abstractmethod
    def served(self) -> Sequence[Module]:
        """The modules whose variables the inference reads."""

    @property
    def variables(self) -> Sequence[Variable]:
        """All that is saved."""
        return self.network.variables

    def predict(self, items: Sequence[ItemT], *, batch_size: int = 64, outputs: Sequence[str] = ()) -> dict[str, Array]:
        """Bulk inference: the outputs of the export, only those named if any are, in the order of the items.

        Outputs with a row for each token are padded to the longest text. Raises ValueError for a name that the model
        does not give, or without items.
        """
        lengths = [self._inputs.length(item) for item in items]
        return predict_all(self.serving_function(), items, self._inputs.arrays, lengths, batch_size, outputs)

    def serving_function(self) -> Any:
        """The function that `export` writes. Made anew after the weights changed."""
        if self._function is None:
            self._function = self._inputs.function(self.inference())
        return self._function

    def weights_changed(self) -> None:
        """Forget what was computed from the weights."""
        self._function = None

    def export(self, path: Path) -> None:
        """Write a SavedModel into the folder `path`, with the signature `serving_default` (see `models.export`)."""
        export_model(path, self.serving_function(), self.served())

    def save(self, folder: Path) -> None:
        """Write weights and settings, from which `load` builds the model again."""
        settings = {"options": options_to_json(self.options), **self.settings()}
        save_model(folder, self.kind, settings, self.variables)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises WeightsError when the files are damaged, of another kind, or do not fit each other."""
        settings, weights = load_model(folder, cls.kind)
        options = options_from_json(settings["options"])
        if not isinstance(options, cls.options_type):
            raise WeightsError(f"{folder} holds options of {options.component_name}")
        model = cls.rebuilt(options, settings)
        assign_weights(model.variables, weights, str(folder / "weights.npz"))
        return model

    def go_on_from(self, folder: Path) -> None:
        """Take the weights of an earlier, smaller model. Raises WeightsError where it does not fit into this one."""
        settings, weights = load_model(folder, self.kind)
        self.check_start(settings, str(folder))
        grow_weights(self.variables, weights, str(folder / "weights.npz"))
        self.weights_changed()

    def check_start(self, earlier: Mapping[str, Any], where: str) -> None:
        """Raises WeightsError, naming `where`, unless this model may go on from one of the settings `earlier`."""
        check_grown(self.labels_in(earlier), self.labels_in(self.settings()), where)
