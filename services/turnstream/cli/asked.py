"""An assistant that is asked step by step, in this process: what it understands, what it would do, what comes of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from turnstream.api.v1.nlu_pb2_grpc import NluStub
from turnstream.api.v1.selection_pb2_grpc import ResponseSelectionStub
from turnstream.assistant.bundle import Bundle
from turnstream.cli.placement import Assistant
from turnstream.cli.serving import whole_assistant
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.services import Channels, Services
from turnstream.conversation.turn import TurnHandler
from turnstream.gateway.loaded import LoadedGateway
from turnstream.gateway.parsing import Parser
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.settings import Settings

if TYPE_CHECKING:
    from turnstream.cli.assembly import Assembly

MAX_TEXT_BYTES = 1024 * 1024
CALLED = ("nlu", "selection", "policy", "action")


@dataclass(frozen=True, slots=True)
class AskedAssistant:
    """`handler` holds no conversation: each is given to it, and comes back changed."""

    bundle: Bundle
    parser: Parser
    handler: TurnHandler


@asynccontextmanager
async def asked_assistant(assistant: Assistant, settings: Settings) -> AsyncIterator[AskedAssistant]:
    """Raises CommandError."""
    async with whole_assistant(assistant, settings) as assembly:
        yield asked_of(assistant.bundle, assembly)


def asked_of(bundle: Bundle, assembly: "Assembly") -> AskedAssistant:
    """`assembly` has the services that a turn asks, with this bundle."""
    stubs = NluStub(assembly.channel("nlu")), ResponseSelectionStub(assembly.channel("selection"))
    loaded = Bundles({bundle.version: LoadedGateway.load(bundle)})
    parser = Parser(*stubs, loaded, max_bytes=MAX_TEXT_BYTES)
    services = Services(Channels(**{name: assembly.channel(name) for name in CALLED}), assembly.settings.timeout)
    handler = TurnHandler(Bundles({bundle.version: LoadedAssistant.load(bundle)}), services)
    return AskedAssistant(bundle, parser, handler)
