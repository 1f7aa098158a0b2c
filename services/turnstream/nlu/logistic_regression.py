"""Intents by the trained weights of a LogisticRegressionClassifier.

Behaviour: https://rasa.com/docs/rasa/components#logisticregressionclassifier.
"""

from dataclasses import replace

from turnstream.assistant.components import LogisticRegressionClassifierOptions
from turnstream.dialogue.events import IntentScore
from turnstream.features.linear import LinearModel
from turnstream.nlu.diet_classifier import ranked
from turnstream.nlu.understanding import Outside, Understanding


class LogisticRegressionClassifier:
    """`model` is None where there was nothing to learn: then no intent is found, nor is one in an empty text."""

    def __init__(
        self, options: LogisticRegressionClassifierOptions, model: LinearModel | None, intents: tuple[str, ...]
    ) -> None:
        self._options = options
        self._model = model
        self._intents = intents

    async def process(self, message: Understanding, outside: Outside) -> Understanding:
        if self._model is None or not message.text:
            return replace(message, intent=IntentScore(None, 0.0), ranking=())
        scores = self._model.probabilities(message.features)
        ranking = ranked(self._intents, scores, self._options.ranking_length, renormalize=False)
        return replace(message, intent=ranking[0], ranking=ranking)
