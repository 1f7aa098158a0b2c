"""The local model server beside `turnstream run`: follows the rollout, and starts with the first model there is."""

import asyncio
import importlib.util
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from turnstream.assistant.bundle import BundleError
from turnstream.cli.child import KeptAlive, Program, environment_of, start_together
from turnstream.cli.errors import CommandError
from turnstream.cli.lifetime import GiveUp
from turnstream.inference.model_config_writer import ModelConfigWriter
from turnstream.runtime.bundle_keeper import EAGER_S
from turnstream.runtime.pipe import SCHEME
from turnstream.runtime.rollout_files import RolloutFiles
from turnstream.runtime.settings import Settings

logger = logging.getLogger(__name__)

START_S = 120.0
READY = "model server ready on"
POLL_S = 0.5
"""How often the model server looks at its configuration, which is on this machine's disk."""


class LocalModels:
    """`folder` is private to it: configuration, links to models, the socket that it answers on."""

    def __init__(self, settings: Settings, files: RolloutFiles, folder: Path, give_up: GiveUp) -> None:
        self._pipe = folder / "models.sock"
        self._config = folder / "models.config"
        self._poll_s = min(settings.bundles.poll_s, EAGER_S * 2)
        served = replace(settings.model_server, pipe=str(self._pipe), poll_s=min(settings.model_server.poll_s, POLL_S))
        self._settings = replace(settings, model_server=served)
        self._writer = ModelConfigWriter(
            files, folder / "models", self._config, hold_s=2 * settings.bundles.grace_s + settings.timeout.turn_s
        )
        self._kept = KeptAlive(self._program, give_up)
        self._is_started = False

    @property
    def address(self) -> str:
        return f"{SCHEME}{self._pipe}"

    def _program(self, port: int) -> Program:
        arguments = ["--model-config", str(self._config), "--host", "127.0.0.1", "--port", str(port)]
        environment = environment_of(self._settings)
        return Program("model server", "turnstream.inference", arguments, READY, environment, START_S)

    async def begin(self) -> None:
        """Write the configuration; start the server where there is a model. Raises CommandError."""
        try:
            await self._writer.look()
        except (BundleError, OSError) as error:
            raise CommandError(str(error)) from error
        await self._start_if_needed()

    async def _start_if_needed(self) -> None:
        if self._is_started or not self._writer.has_models:
            return
        if importlib.util.find_spec("tensorflow") is None:
            raise CommandError(
                "TensorFlow is not installed, and this assistant has models: pip install 'turnstream[train]', "
                "or set TURNSTREAM_ADDRESS_MODEL_SERVER to the host:port of a TensorFlow Serving that has them."
            )
        self._is_started = True
        await start_together({"model_server": self._kept})

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self._writer.look()
                await self._start_if_needed()
            except (BundleError, CommandError, OSError) as error:
                logger.error("the models stay as they are: %s", error)

    async def stop(self) -> None:
        await self._kept.stop()


@asynccontextmanager
async def local_models(
    settings: Settings, files: RolloutFiles, folder: Path, give_up: GiveUp
) -> AsyncIterator[LocalModels]:
    """The server is being looked after inside, and ended on leaving; `begin` starts it."""
    models = LocalModels(settings, files, folder, give_up)
    try:
        yield models
    finally:
        await models.stop()
