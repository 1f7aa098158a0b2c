"""What `nlu` holds of a bundle, and how it understands a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from turnstream.assistant.bundle import Bundle, BundledModel, BundleError
from turnstream.assistant.components import (
    CRFEntityExtractorOptions,
    CustomComponentOptions,
    DIETClassifierOptions,
    DucklingEntityExtractorOptions,
    EntitySynonymMapperOptions,
    FallbackClassifierOptions,
    KeywordIntentClassifierOptions,
    LogisticRegressionClassifierOptions,
    RegexEntityExtractorOptions,
    SpacyEntityExtractorOptions,
    options_from_json,
)
from turnstream.assistant.domain import DEFAULT_INTENTS
from turnstream.dialogue.events import EMPTY, IntentScore, ParseData
from turnstream.features.arrays import TextFeatures
from turnstream.features.linear import LinearModel
from turnstream.features.linear_chain import LinearChain
from turnstream.features.patterns import Pattern
from turnstream.features.pipeline import FeaturePipeline, FeaturizedText
from turnstream.nlu.crf_extractor import CrfEntityExtractor
from turnstream.nlu.custom import CustomStep
from turnstream.nlu.diet_classifier import DietClassifier, DietLabels
from turnstream.nlu.duckling import DucklingEntityExtractor
from turnstream.nlu.fallback_classifier import FallbackClassifier
from turnstream.nlu.keyword_classifier import KeywordIntentClassifier
from turnstream.nlu.logistic_regression import LogisticRegressionClassifier
from turnstream.nlu.payload import read_payload
from turnstream.nlu.regex_extractor import RegexEntityExtractor
from turnstream.nlu.spacy_extractor import SpacyEntityExtractor
from turnstream.nlu.synonym_mapper import EntitySynonymMapper
from turnstream.nlu.understanding import NluComponent, Outside, Understanding

PIPELINE_FILE = "nlu/pipeline.json"
COMPONENTS_FILE = "nlu/components.json"


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """`features` is None for a payload message, and where the pipeline has no featurizer."""

    parse: ParseData
    features: TextFeatures | None


class LoadedNlu:
    """The tokenizer, the featurizers and the components of one bundle. Keeps no state between messages."""

    def __init__(
        self,
        pipeline: FeaturePipeline,
        components: Sequence[NluComponent],
        intents: frozenset[str],
        entities: frozenset[str],
    ) -> None:
        self.pipeline = pipeline
        self._components = tuple(components)
        self._intents = intents | frozenset(DEFAULT_INTENTS)
        self._entities = entities

    @staticmethod
    def load(bundle: Bundle) -> "LoadedNlu":
        """Raises BundleError where the bundle's NLU files are damaged."""
        try:
            pipeline = FeaturePipeline.from_json(bundle.read_json(PIPELINE_FILE))
            entries = bundle.read_json(COMPONENTS_FILE)["components"]
            models = {model.name: model for model in bundle.models}
            components = [_component(entry, pipeline, models, bundle) for entry in entries]
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{bundle.root}: its NLU files are damaged ({error}). Train the assistant again."
            ) from error
        return LoadedNlu(pipeline, components, frozenset(bundle.domain.intents), frozenset(bundle.domain.entities))

    async def parse(
        self,
        text: str,
        outside: Outside,
        *,
        message_id: str | None = None,
        metadata: Mapping[str, Any] = EMPTY,
    ) -> ParsedMessage:
        """Understand a message. The text is stripped first; offsets count in the stripped text.

        Raises ModelServerUnavailable, UnknownModel, DeadlinePassed, TryLater.
        """
        text = text.strip()
        payload = read_payload(text, self._intents, self._entities)
        if payload is not None:
            parse = ParseData(
                text=text,
                intent=payload.intent,
                intent_ranking=(payload.intent,),
                entities=payload.entities,
                message_id=message_id,
                metadata=metadata,
            )
            return ParsedMessage(parse, None)
        featurized = self.featurize(text)
        message = Understanding(text, featurized.tokens, featurized.features)
        for component in self._components:
            message = await component.process(message, outside)
        parse = ParseData(
            text=text,
            intent=message.intent or IntentScore(None, 0.0),
            intent_ranking=message.ranking,
            entities=message.entities,
            text_tokens=tuple((token.start, token.end) for token in message.tokens),
            message_id=message_id,
            metadata=metadata,
        )
        return ParsedMessage(parse, message.features if self.pipeline.has_featurizers else None)

    def featurize(self, text: str) -> FeaturizedText:
        """Tokens and features of a text, which is stripped first."""
        return self.pipeline.featurize(text.strip())


def _component(
    entry: Mapping[str, Any], pipeline: FeaturePipeline, models: Mapping[str, BundledModel], bundle: Bundle
) -> NluComponent:
    options = options_from_json(entry["options"])
    match options:
        case LogisticRegressionClassifierOptions():
            file, intents = entry["file"], tuple(entry.get("intents", ()))
            weights = LinearModel.load(bundle.path(file)) if file else None
            return LogisticRegressionClassifier(options, weights, intents)
        case CRFEntityExtractorOptions():
            stored = bundle.read_json(entry["file"]) if entry["file"] else {}
            chains = {name: LinearChain.from_json(chain) for name, chain in stored.items()}
            return CrfEntityExtractor(options, chains, pipeline)
        case KeywordIntentClassifierOptions():
            return KeywordIntentClassifier(options, dict(entry["keywords"]))
        case RegexEntityExtractorOptions():
            return RegexEntityExtractor(options, [Pattern.from_json(pattern) for pattern in entry["patterns"]])
        case EntitySynonymMapperOptions():
            return EntitySynonymMapper(options, entry["synonyms"])
        case DIETClassifierOptions():
            taggers = {name: tuple(tags) for name, tags in entry["taggers"].items()}
            model = models[entry["model"]] if entry["model"] else None
            return DietClassifier(options, model, DietLabels(tuple(entry["intents"]), taggers), pipeline)
        case FallbackClassifierOptions():
            return FallbackClassifier(options)
        case CustomComponentOptions():
            return CustomStep(options, bundle.root / entry["folder"])
        case SpacyEntityExtractorOptions():
            return SpacyEntityExtractor(options, pipeline.models.documents)
        case DucklingEntityExtractorOptions():
            return DucklingEntityExtractor(options, bundle.config.language)
        case _:
            raise ValueError(f"{options.component_name} is no component of a message's pipeline")
