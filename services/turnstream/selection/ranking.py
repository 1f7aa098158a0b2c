"""From a model's scores to the response that is selected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import ResponseSelectorOptions
from turnstream.dialogue.events import ResponseScore, SelectedResponse
from turnstream.features.choice import FeatureChoice

UNTRAINED = SelectedResponse(intent_response_key="", confidence=0.0, utter_action="utter_None")
"""What a selector says that had too little to learn from; Rasa's JSON has null in place of the empty key."""


@dataclass(frozen=True, slots=True)
class Selector:
    """One ResponseSelector of the pipeline. `keys` are the intent response keys in the order of the model's scores.

    `name` is the retrieval intent, or `default` for a selector over all. `model` is None where it was not trained.
    `choice` is what it sees of a message's features, all where it is None.
    """

    name: str
    options: ResponseSelectorOptions
    keys: tuple[str, ...]
    model: BundledModel | None
    choice: FeatureChoice | None = None

    def select(self, scores: Sequence[float], responses: Mapping[str, Sequence[Mapping[str, Any]]]) -> SelectedResponse:
        """`scores` are confidences, one for each key; `responses` the domain's, by their full names."""
        ranking = self._ranking(scores)
        best = ranking[0]
        utter_action = f"utter_{best.intent_response_key}"
        return SelectedResponse(
            intent_response_key=best.intent_response_key,
            confidence=best.confidence,
            utter_action=utter_action,
            responses=tuple(responses.get(utter_action, ())),
            ranking=ranking,
        )

    def _ranking(self, scores: Sequence[float]) -> tuple[ResponseScore, ...]:
        order = sorted(range(len(self.keys)), key=lambda i: -scores[i])
        length = self.options.ranking_length
        kept = order[:length] if length > 0 else order
        total = sum(scores[i] for i in kept)
        renormalize = self.options.renormalize_confidences and len(kept) < len(order) and total > 0.0
        return tuple(ResponseScore(self.keys[i], scores[i] / total if renormalize else scores[i]) for i in kept)
