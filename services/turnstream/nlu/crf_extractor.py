"""Entities by the trained CRFs of a CRFEntityExtractor.

Behaviour: https://rasa.com/docs/rasa/components#crfentityextractor.
"""

from collections.abc import Mapping
from dataclasses import replace

from turnstream.assistant.components import CRFEntityExtractorOptions
from turnstream.features.bilou import TagSequence, decode
from turnstream.features.crf_features import crf_features
from turnstream.features.linear_chain import LinearChain
from turnstream.features.pipeline import FeaturePipeline
from turnstream.nlu.understanding import Outside, Understanding


class CrfEntityExtractor:
    """taggers: "entity" first, and "role" and "group" where the training data has any; empty: nothing was learnt."""

    def __init__(
        self, options: CRFEntityExtractorOptions, taggers: Mapping[str, LinearChain], pipeline: FeaturePipeline
    ) -> None:
        self._options = options
        self._taggers = dict(taggers)
        self._pipeline = pipeline
        self._choice = pipeline.choice(options.featurizers)

    async def process(self, message: Understanding, outside: Outside) -> Understanding:
        if not self._taggers or not message.text:
            return message
        predicted: dict[str, TagSequence] = {}
        patterns = self._pipeline.patterns_of(message.text, message.tokens)
        seen = self._choice.of(message.features) if self._choice else message.features
        tokens = message.tokens[: len(seen.ids)]
        for name, chain in self._taggers.items():
            entity_tags = predicted["entity"].tags if predicted else None
            features = crf_features(
                tokens,
                self._options.features,
                patterns=patterns,
                dense=seen.dense,
                entity_tags=entity_tags,
            )
            predicted[name] = TagSequence(*chain.tag(features))
        found = decode(
            message.text,
            tokens,
            predicted,
            bilou=self._options.BILOU_flag,
            split_by_comma=self._options.split_entities_by_comma,
        )
        return message.with_entities([replace(e, extractor=self._options.component_name) for e in found])
