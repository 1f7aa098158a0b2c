"""Entities that a spaCy model finds.

Behaviour: https://rasa.com/docs/rasa/components#spacyentityextractor.
"""

from turnstream.assistant.components import SpacyEntityExtractorOptions
from turnstream.dialogue.events import ExtractedEntity
from turnstream.features.spacy_components import SpacyDocuments
from turnstream.features.understanding import Understanding
from turnstream.nlu.understanding import Outside


class SpacyEntityExtractor:
    """Those of the types `dimensions`, all without them."""

    def __init__(self, options: SpacyEntityExtractorOptions, documents: SpacyDocuments) -> None:
        self._options = options
        self._documents = documents

    async def process(self, message: Understanding, outside: Outside) -> Understanding:
        wanted = self._options.dimensions
        return message.with_entities(
            [
                ExtractedEntity(
                    entity=found.label_,
                    value=found.text,
                    start=found.start_char,
                    end=found.end_char,
                    extractor=self._options.component_name,
                )
                for found in self._documents.as_written(message.text).ents
                if wanted is None or found.label_ in wanted
            ]
        )
