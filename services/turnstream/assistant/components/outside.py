"""Whether the models that some components need from outside are here."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from turnstream.assistant.components.base import ComponentOptions
from turnstream.assistant.components.classifiers import SpacyEntityExtractorOptions
from turnstream.assistant.components.featurizers import (
    LanguageModelFeaturizerOptions,
    SpacyFeaturizerOptions,
    SpacyNLPOptions,
)
from turnstream.assistant.components.tokenizers import SpacyTokenizerOptions

SPACY_OPTIONS = (SpacyNLPOptions, SpacyTokenizerOptions, SpacyFeaturizerOptions, SpacyEntityExtractorOptions)


def training_refusal(options: ComponentOptions, pipeline: Sequence[ComponentOptions] = ()) -> str:
    """Why a component that was read cannot be trained here and what to do; empty where it can.

    pipeline: the other components, one of which may name the model that this one needs.
    """
    if isinstance(options, SPACY_OPTIONS):
        named = [each.model for each in (*pipeline, options) if isinstance(each, SpacyNLPOptions)]
        return "" if any(is_here(model) for model in named) else options.refusal
    if isinstance(options, LanguageModelFeaturizerOptions) and is_here(options.model_weights):
        return ""
    return options.refusal


def is_here(model: str | None) -> bool:
    """Whether a model is a folder, or an installed package."""
    if not model:
        return False
    name = model.replace("-", "_")
    return Path(model).is_dir() or (name.isidentifier() and importlib.util.find_spec(name) is not None)
