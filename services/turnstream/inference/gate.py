"""Whether the model server has the models of a bundle."""

import grpc.aio

from turnstream.assistant.bundle import Bundle
from turnstream.inference.client import ModelClient
from turnstream.runtime.errors import TurnstreamError
from turnstream.runtime.rollout_gates import ASK_S, OpenChannel, ask_replicas


async def missing_models(client: ModelClient, bundle: Bundle | None) -> str:
    """What the model server lacks of a bundle; empty where each model is AVAILABLE in its version."""
    try:
        for model in bundle.models if bundle is not None else ():
            versions = await client.versions(model.name, version=model.version, timeout_s=ASK_S)
            if not any(v.available for v in versions):
                return f"model {model.name!r} version {model.version} is not available"
    except TurnstreamError as error:
        return f"model server: {error}"
    return ""


class ModelGate:
    """Asks every replica of the model server at `target`; a bundle without models needs none."""

    def __init__(self, target: str, open_channel: OpenChannel) -> None:
        self._target = target
        self._open_channel = open_channel

    async def lacks(self, bundle: Bundle) -> str:
        """Empty where each of the bundle's models is AVAILABLE in its version."""

        async def ask(channel: grpc.aio.Channel) -> str:
            return await missing_models(ModelClient(channel), bundle)

        return await ask_replicas(self._target, self._open_channel, ask) if bundle.models else ""
