"""What `selection` holds of a bundle, and how it selects responses."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from turnstream.assistant.bundle import Bundle, BundledModel, BundleError
from turnstream.assistant.codec import domain_as_rasa
from turnstream.assistant.components import ResponseSelectorOptions, options_from_json
from turnstream.dialogue.events import SelectedResponse
from turnstream.features.arrays import FeatureSpec, TextFeatures, model_inputs, pad
from turnstream.features.choice import FeatureChoice
from turnstream.inference.asker import ModelAsker
from turnstream.runtime.errors import InternalError
from turnstream.selection.ranking import UNTRAINED, Selector

SELECTORS_FILE = "selection/selectors.json"


class LoadedSelection:
    """The response selectors of one bundle. `responses` are the domain's, by name, as Rasa's JSON has them."""

    def __init__(
        self,
        selectors: Sequence[Selector],
        responses: Mapping[str, Sequence[Mapping[str, Any]]],
        retrieval_intents: Sequence[str],
        spec: FeatureSpec,
    ) -> None:
        self._selectors = tuple(selectors)
        self._responses = responses
        self.retrieval_intents = tuple(retrieval_intents)
        self.spec = spec

    @staticmethod
    def load(bundle: Bundle) -> "LoadedSelection":
        """Raises BundleError where the bundle's file of selectors is damaged."""
        try:
            data = bundle.read_json(SELECTORS_FILE)
            models = {model.name: model for model in bundle.models}
            spec = FeatureSpec(*data["spec"])
            selectors = [_selector(entry, models, spec) for entry in data["selectors"]]
            intents = tuple(data["retrieval_intents"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BundleError(
                f"{bundle.root / SELECTORS_FILE}: damaged ({error!r}). Train the assistant again."
            ) from error
        return LoadedSelection(selectors, domain_as_rasa(bundle.domain).get("responses") or {}, intents, spec)

    @property
    def has_selectors(self) -> bool:
        return bool(self._selectors)

    async def select(
        self, features: TextFeatures | None, models: ModelAsker, timeout_s: float
    ) -> dict[str, SelectedResponse]:
        """What each selector chooses, by its name; nothing for a message without features (a payload).

        Raises ModelServerUnavailable, UnknownModel, DeadlinePassed, TryLater.
        """
        if features is None:
            return {}
        chosen = await asyncio.gather(*(self._select(s, features, models, timeout_s) for s in self._selectors))
        return {selector.name: selected for selector, selected in zip(self._selectors, chosen, strict=True)}

    async def _select(
        self, selector: Selector, features: TextFeatures, models: ModelAsker, timeout_s: float
    ) -> SelectedResponse:
        model, choice = selector.model, selector.choice
        if model is None:
            return UNTRAINED
        inputs = model_inputs(pad([choice.of(features) if choice else features]), self.spec)
        outputs = await models.predict(
            model.name, inputs, version=model.version, timeout_s=timeout_s, outputs=("scores",)
        )
        scores = outputs.get("scores")
        if scores is None or scores.shape != (1, len(selector.keys)):
            found = "nothing" if scores is None else f"shape {list(scores.shape)}"
            raise InternalError(f"model '{model.name}': 'scores' should be [1, {len(selector.keys)}], got {found}")
        return selector.select([float(score) for score in scores[0]], self._responses)


def _selector(entry: Mapping[str, Any], models: Mapping[str, BundledModel], spec: FeatureSpec) -> Selector:
    options = options_from_json(entry["options"])
    if not isinstance(options, ResponseSelectorOptions):
        raise ValueError(f"{options.component_name} is no response selector")
    model = models[entry["model"]] if entry["model"] else None
    chosen = entry.get("features")
    choice = FeatureChoice.from_json(chosen, spec) if chosen else None
    return Selector(entry["name"], options, tuple(entry["intent_response_keys"]), model, choice)
