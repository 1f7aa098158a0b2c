"""Featurized examples with their labels: the training data of DIET and of the response selectors."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten

import numpy as np

from turnstream.assistant.components import (
    ComponentOptions,
    CRFEntityExtractorOptions,
    DIETClassifierOptions,
    LogisticRegressionClassifierOptions,
    ResponseSelectorOptions,
)
from turnstream.assistant.domain import RESPONSE_PREFIX, Domain
from turnstream.assistant.location import Location
from turnstream.assistant.nlu_data import EntityAnnotation, Example, NluData
from turnstream.assistant.problems import Problems
from turnstream.features.arrays import MAX_TOKENS, Ints, TextFeatures
from turnstream.features.bilou import TAGGERS, LabelledSpan, encode, is_aligned, tag_names
from turnstream.features.choice import FeatureChoice
from turnstream.features.crf_features import TokenFeatures, crf_features
from turnstream.features.pipeline import FeaturePipeline, FeaturizedText
from turnstream.features.tokens import Token
from turnstream.features.training_data import NO_LABEL, CrfData, DietData, IntentData, SelectorData, TaggerData
from turnstream.training.finetuning import Start

MIN_LABELS = 2
"""With fewer there is nothing to tell apart."""
SHOWN_CHARS = 200
"""Of an example's text in a warning."""


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """Labels that `model` learnt in an earlier training, which stay and come first; none without a `start`."""

    model: str
    start: Start | None = None

    def grown(self, kind: str, key: str, found: Sequence[str], problems: Problems) -> tuple[str, ...]:
        """`found`, after those that the earlier model has under `key`."""
        if self.start is None:
            return tuple(found)
        return self.start.grown(kind, self.start.nlu_entry(self.model).get(key, ()), found, problems)

    def grown_tags(self, tagger: str, found: Sequence[str], problems: Problems) -> tuple[str, ...]:
        """`found`, after the tags that the earlier model's tagger has."""
        if self.start is None:
            return tuple(found)
        before = self.start.nlu_entry(self.model).get("taggers", {}).get(tagger, ())
        return self.start.grown(f"{tagger} tag", before, found, problems)


def diet_data(
    options: DIETClassifierOptions,
    nlu: NluData,
    pipeline: FeaturePipeline,
    problems: Problems,
    known: KnownLabels,
) -> DietData | None:
    """None where the examples have neither two intents nor an entity that the options let it learn, or no features.

    Annotations that do not end where tokens do become warnings.
    """
    intents = _intent_names(nlu, problems) if options.intent_classification else ()
    intents = known.grown("intent", "intents", intents, problems)
    texts = [pipeline.featurize(example.text) for example in nlu.examples]
    tokens = [text.tokens[:MAX_TOKENS] for text in texts]
    taggers: tuple[TaggerData, ...] = ()
    if options.entity_recognition:
        found = (_tagger(name, nlu, tokens, options.BILOU_flag, known, problems) for name in TAGGERS)
        taggers = tuple(tagger for tagger in found if tagger is not None)
    if taggers:
        _warn_of_misaligned(nlu, texts, problems)
    if not intents and not taggers:
        return None
    seen = _seen(texts, pipeline.choice(options.featurizers))
    if _lack_features(options, seen, problems):
        return None
    number = {name: i for i, name in enumerate(intents)}
    return DietData(
        texts=seen,
        intents=np.array([number.get(e.base_intent or "", NO_LABEL) for e in nlu.examples], np.int32),
        intent_names=intents,
        taggers=taggers,
        intent_words=_words_of(intents, pipeline),
    )


def intent_data(
    options: LogisticRegressionClassifierOptions, nlu: NluData, pipeline: FeaturePipeline, problems: Problems
) -> IntentData | None:
    """None where the examples have fewer than two intents, or no features."""
    names = _intent_names(nlu, problems)
    if not names:
        return None
    number = {name: i for i, name in enumerate(names)}
    examples = [example for example in nlu.examples if example.base_intent]
    texts = _seen((pipeline.featurize(example.text) for example in examples), None)
    if _lack_features(options, texts, problems, of_tokens=False):
        return None
    return IntentData(
        texts=texts,
        intents=np.array([number[example.base_intent or ""] for example in examples], np.int32),
        names=names,
    )


def crf_data(
    options: CRFEntityExtractorOptions, nlu: NluData, pipeline: FeaturePipeline, problems: Problems
) -> CrfData | None:
    """None where no entity is annotated. Annotations that do not end where tokens do become warnings."""
    if not any(example.entities for example in nlu.examples):
        return None
    texts = [pipeline.featurize(example.text) for example in nlu.examples]
    tokens = [text.tokens[:MAX_TOKENS] for text in texts]
    _warn_of_misaligned(nlu, texts, problems)
    patterns = [pipeline.patterns_of(e.text, some)[:MAX_TOKENS] for e, some in zip(nlu.examples, tokens, strict=True)]
    features = _seen(texts, pipeline.choice(options.featurizers))
    sequences: dict[str, list[list[TokenFeatures]]] = {}
    tags: dict[str, list[tuple[str, ...]]] = {}
    for name in TAGGERS:
        found = [list(_spans(name, example)) for example in nlu.examples]
        if not any(found):
            continue
        entity_tags = tags.get("entity", [None] * len(texts))
        sequences[name] = [
            crf_features(
                tokens[i],
                options.features,
                patterns=patterns[i],
                dense=seen.dense,
                entity_tags=entity_tags[i],
            )
            for i, seen in enumerate(features)
        ]
        tags[name] = [encode(some, spans, bilou=options.BILOU_flag) for some, spans in zip(tokens, found, strict=True)]
    return CrfData(sequences, tags)


def selector_data(
    options: ResponseSelectorOptions,
    nlu: NluData,
    domain: Domain,
    pipeline: FeaturePipeline,
    problems: Problems,
    known: KnownLabels,
) -> SelectorData | None:
    """The examples of one retrieval intent, or of all where it is None.

    None where they have fewer than two keys, or no features.
    """
    examples = [e for e in nlu.examples if e.is_retrieval and options.retrieval_intent in (None, e.base_intent)]
    keys = tuple(sorted({example.intent or "" for example in examples}))
    if len(keys) < MIN_LABELS:
        for example in examples[:1]:
            what = f"a response selector needs the examples of two responses at least; there is '{keys[0]}' alone"
            problems.warning(example.location, f"{what}, so none is selected.")
        return None
    keys = known.grown("response", "intent_response_keys", keys, problems)
    number = {key: i for i, key in enumerate(keys)}
    choice = pipeline.choice(options.featurizers)
    texts = _seen((pipeline.featurize(example.text) for example in examples), choice)
    if _lack_features(options, texts, problems, of_tokens=options.number_of_transformer_layers > 0):
        return None
    if options.use_text_as_label:
        _warn_of_textless(keys, domain, problems)
    return SelectorData(
        texts=texts,
        labels=np.array([number[example.intent or ""] for example in examples], np.int32),
        keys=keys,
        key_texts=tuple(_seen(_responses(key, domain, pipeline), choice) for key in keys),
    )


def _warn_of_textless(keys: Sequence[str], domain: Domain, problems: Problems) -> None:
    for name in (RESPONSE_PREFIX + key for key in keys):
        variations = domain.responses.get(name, ())
        if variations and not any(variation.text for variation in variations):
            what = f"'{name}' has no text, by which a selector with 'use_text_as_label' could find it."
            problems.warning(variations[0].location, what)


def _seen(texts: Iterable[FeaturizedText], choice: FeatureChoice | None) -> tuple[TextFeatures, ...]:
    """The features of texts that a component sees: those of the featurizers that it chooses."""
    return tuple(choice.of(text.features) if choice else text.features for text in texts)


def _lack_features(
    options: ComponentOptions, texts: Sequence[TextFeatures], problems: Problems, *, of_tokens: bool = True
) -> bool:
    """Whether there is nothing to tell texts apart by, which is a warning. of_tokens: whether those of tokens count."""
    for text in texts:
        if text.sentence_ids.size or text.sentence_dense.any() or (of_tokens and text.ids.any()):
            return False
    what = f"{options.component_name} learns nothing: the featurizers before it found no features in the examples."
    problems.warning(Location("config.yml"), what)
    return True


def _words_of(intents: Sequence[str], pipeline: FeaturePipeline) -> tuple[tuple[str, ...], ...]:
    words = tuple(pipeline.intent_words(intent) for intent in intents)
    return words if any(len(some) > 1 for some in words) else ()


def _intent_names(nlu: NluData, problems: Problems) -> tuple[str, ...]:
    names = tuple(sorted({e.base_intent for e in nlu.examples if e.base_intent}))
    if len(names) >= MIN_LABELS:
        return names
    for example in nlu.examples[:1]:
        what = f"intents are not learnt: the examples have {len(names)} of the {MIN_LABELS} that it takes."
        problems.warning(example.location, what)
    return ()


def _tagger(
    name: str, nlu: NluData, tokens: list[tuple[Token, ...]], bilou: bool, known: KnownLabels, problems: Problems
) -> TaggerData | None:
    spans = [tuple(_spans(name, example)) for example in nlu.examples]
    labels = {span.label for example_spans in spans for span in example_spans}
    if not labels:
        return None
    tags = known.grown_tags(name, tag_names(labels, bilou=bilou), problems)
    number = {tag: i for i, tag in enumerate(tags)}

    def numbers(place: int) -> Ints:
        return np.array([number[tag] for tag in encode(tokens[place], spans[place], bilou=bilou)], np.int32)

    return TaggerData(name, tags, tuple(numbers(place) for place in range(len(tokens))))


def _spans(tagger: str, example: Example) -> Iterator[LabelledSpan]:
    for entity in example.entities:
        label: str | None = getattr(entity, tagger)
        if label:
            yield LabelledSpan(entity.start, entity.end, label)


def _warn_of_misaligned(nlu: NluData, texts: Sequence[FeaturizedText], problems: Problems) -> None:
    for example, text in zip(nlu.examples, texts, strict=True):
        for entity in example.entities:
            if not is_aligned(text.tokens, LabelledSpan(entity.start, entity.end, entity.entity)):
                problems.warning(example.location, _misaligned(example, entity))


def _misaligned(example: Example, entity: EntityAnnotation) -> str:
    marked, text = example.text[entity.start : entity.end], shorten(example.text, SHOWN_CHARS, placeholder=" ...")
    return (
        f"'{marked}' is marked as '{entity.entity}' in '{text}', but does not begin and end where words do: "
        "whole words are learnt. Leave blanks and punctuation out of the brackets."
    )


def _responses(key: str, domain: Domain, pipeline: FeaturePipeline) -> list[FeaturizedText]:
    variations = domain.responses.get(RESPONSE_PREFIX + key, ())
    texts = dict.fromkeys(variation.text for variation in variations if variation.text)
    return [pipeline.featurize_response(text) for text in texts]
