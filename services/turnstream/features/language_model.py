"""Vectors of a language model in a local folder or an installed package.

Behaviour: https://rasa.com/docs/rasa/components#languagemodelfeaturizer, without any download.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from turnstream.assistant.components import LanguageModelFeaturizerOptions
from turnstream.features.arrays import Floats
from turnstream.features.bert import Bert, LanguageModelError
from turnstream.features.tokens import Token


class LanguageModelFeaturizer:
    """A token's vector is the mean of its subwords'. Raises LanguageModelError where there is no such model."""

    def __init__(self, options: LanguageModelFeaturizerOptions) -> None:
        self._options = options
        self._model = _load(str(folder_of(options.model_weights or "")))
        self.width = self._model.width

    @property
    def name(self) -> str:
        return self._options.alias or self._options.component_name

    def vectors(self, text: str, tokens: Sequence[Token]) -> tuple[Floats, Floats]:
        subwords, vectors, sentence = self._model.encode(text)
        found = np.zeros((len(tokens), self.width), np.float32)
        for place, token in enumerate(tokens):
            own = [i for i, part in enumerate(subwords) if part.start < token.end and token.start < part.end]
            if own:
                found[place] = vectors[own].mean(0)
        return found, sentence


@cache
def _load(folder: str) -> Bert:
    return Bert(Path(folder))


def folder_of(model: str) -> Path:
    """The folder that `model_weights` names: a path, or an installed package with a model in it.

    Raises LanguageModelError where there is neither.
    """
    if not model:
        raise LanguageModelError("'model_weights' must name a folder or an installed package: no model is downloaded")
    if (Path(model) / "config.json").is_file():
        return Path(model).resolve()
    module = model.replace("-", "_")
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        found = sorted(Path(place).rglob("model.safetensors"))
        if found:
            return found[0].parent
    raise LanguageModelError(f"'{model}' is neither a folder with a model nor an installed package with one")
