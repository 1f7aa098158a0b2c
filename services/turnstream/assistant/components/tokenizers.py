"""Options of the tokenizers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from turnstream.assistant.components.base import ComponentOptions, register


@dataclass(frozen=True)
class TokenizerOptions(ComponentOptions):
    """What all tokenizers share; `token_pattern` finds the parts of each token where given.

    What comes before the last `prefix_separator_symbol` of an intent's name is one part of it, which is not split.
    """

    ignored_keys: ClassVar[Mapping[str, str]] = {
        "case_sensitive": "Featurizers decide about case: see CountVectorsFeaturizer's 'lowercase'.",
        "use_cls_token": "The whole message always has features of its own.",
    }

    intent_tokenization_flag: bool = False
    intent_split_symbol: str = "_"
    token_pattern: str | None = None
    prefix_separator_symbol: str | None = None

    def words_of_intent(self, intent: str) -> tuple[str, ...]:
        """The parts that an intent's name is featurized by: itself, or split for several intents in one."""
        if not self.intent_tokenization_flag:
            return (intent,)
        prefix, separator, rest = "", "", intent
        if self.prefix_separator_symbol:
            prefix, separator, rest = intent.rpartition(self.prefix_separator_symbol)
        return (*([prefix] if separator else ()), *rest.split(self.intent_split_symbol))

    def find_faults(self) -> Iterator[tuple[str, str]]:
        try:
            re.compile(self.token_pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            yield "token_pattern", f"'token_pattern' is no regular expression: {error}."
        if not self.intent_split_symbol:
            yield "intent_split_symbol", "'intent_split_symbol' must not be empty."


@register
@dataclass(frozen=True)
class WhitespaceTokenizerOptions(TokenizerOptions):
    component_name = "WhitespaceTokenizer"


@register
@dataclass(frozen=True)
class SpacyTokenizerOptions(TokenizerOptions):
    component_name = "SpacyTokenizer"
    refusal = "SpacyTokenizer needs a downloaded spaCy model: use WhitespaceTokenizer."


@register
@dataclass(frozen=True)
class MitieTokenizerOptions(TokenizerOptions):
    component_name = "MitieTokenizer"
    refusal = "MitieTokenizer needs a downloaded MITIE model: use WhitespaceTokenizer."


@register
@dataclass(frozen=True)
class JiebaTokenizerOptions(TokenizerOptions):
    component_name = "JiebaTokenizer"
    refusal = "JiebaTokenizer needs the jieba dictionary, which is not included: use WhitespaceTokenizer."

    dictionary_path: str | None = None


@register
@dataclass(frozen=True)
class ConveRTTokenizerOptions(TokenizerOptions):
    component_name = "ConveRTTokenizer"
    refusal = "ConveRTTokenizer was removed in Rasa 3 and needs a downloaded model: use WhitespaceTokenizer."

    model_url: str | None = None


@register
@dataclass(frozen=True)
class LanguageModelTokenizerOptions(TokenizerOptions):
    component_name = "LanguageModelTokenizer"
    refusal = "LanguageModelTokenizer was removed in Rasa 3 and needs a downloaded model: use WhitespaceTokenizer."
