"""An assistant under examination: asked by a test, without conversations."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from turnstream.assistant.bundle import Bundle
from turnstream.assistant.nlu_data import Example
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.assistant.stories import Story, TestStory
from turnstream.cli.asked import CALLED, AskedAssistant, asked_of
from turnstream.cli.assembly import Assembly, assemble
from turnstream.cli.placement import Assistant
from turnstream.cli.serving import answering_services, load_assistant
from turnstream.dialogue.events import ParseData
from turnstream.dialogue.fold import Dialogue
from turnstream.evaluation.dialogues import DialogueResult, Prediction, replay
from turnstream.evaluation.nlu import Understood, understand
from turnstream.runtime.settings import AddressSettings, BundlesSettings, Settings
from turnstream.training.story_paths import story_paths

LEARNING_EXTRACTORS = ("DIETClassifier", "CRFEntityExtractor")


class Subject:
    """What the assistant makes of a message, and of a dialogue."""

    def __init__(self, asked: AskedAssistant) -> None:
        self.extractors = extractors_of(asked.bundle)
        self._domain = asked.bundle.domain
        self._parser = asked.parser
        self._handler = asked.handler

    async def understand(
        self, examples: Sequence[Example], told: Callable[[int], None] = lambda done: None
    ) -> tuple[Understood, ...]:
        """`told` hears how many are done."""
        return await understand(examples, self._parse, told)

    async def play(self, test: TestStory, *, end_to_end: bool) -> list[DialogueResult]:
        """Several where an `or` leaves a choice. Raises ProjectError for a story that cannot be written out."""
        problems = Problems()
        paths = story_paths([Story(test.name, test.steps, test.location)], self._domain, problems)
        if problems.errors:
            raise ProjectError(problems.errors)
        parse = self._parse if end_to_end else None
        return [
            await replay(replace(test, steps=path.steps), path.dialogue.events, self._domain, self._predict, parse)
            for path in paths
        ]

    async def _parse(self, text: str) -> ParseData:
        return await self._parser.parse(text)

    async def _predict(self, dialogue: Dialogue) -> Prediction:
        response = await self._handler.predict_next(dialogue)
        return Prediction(
            response.action,
            response.policy,
            response.confidence,
            response.is_text,
            response.is_end_to_end,
        )


@asynccontextmanager
async def examined(model: Path, settings: Settings) -> AsyncIterator[Subject]:
    """The bundle, asked in this process; its models at the model server of the settings, if that holds them.

    Raises CommandError.
    """
    assistant = load_assistant(model, None)
    async with answering_assembly(assistant, settings) as assembly:
        yield Subject(asked_of(assistant.bundle, assembly))


@asynccontextmanager
async def answering_assembly(assistant: Assistant, settings: Settings) -> AsyncIterator[Assembly]:
    """What a turn asks, with this bundle: its models at the model server of the settings, or at one of our own.

    Raises CommandError.
    """
    address = settings.address.model_server
    settings = replace(settings, bundles=BundlesSettings(), address=AddressSettings())
    if address and assistant.bundle.models:
        settings = replace(settings, address=AddressSettings(model_server=address))
        async with assemble(assistant, settings, CALLED) as assembly:
            if not (await _missing(assembly)):
                yield assembly
                return
    async with answering_services(assistant, replace(settings, address=AddressSettings())) as assembly:
        yield assembly


async def _missing(assembly: Assembly) -> str:
    need = assembly.needs().get("models")
    return await need() if need is not None else ""


def extractors_of(bundle: Bundle) -> tuple[str, ...]:
    """The components of the pipeline that learn entities."""
    return tuple(c.name for c in bundle.config.pipeline or () if c.name in LEARNING_EXTRACTORS)
