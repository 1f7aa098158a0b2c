"""The local model server: a process that answers TF Serving's gRPC API from SavedModels on disk."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from turnstream.inference.batching import BatchLimits
from turnstream.inference.repository import Model, ModelRepository
from turnstream.inference.savedmodel import Threads, load_saved_model, prepare_lean_tensorflow
from turnstream.inference.service import model_services
from turnstream.inference.sources import ModelFiles, models_in_config, models_in_folders
from turnstream.runtime.pipe import PipeServer
from turnstream.runtime.process import observed
from turnstream.runtime.security import server_security
from turnstream.runtime.server import GrpcServer, stop_on_signals
from turnstream.runtime.settings import ModelServerSettings, Settings

_LOG = logging.getLogger(__name__)
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
INLINE_S = 0.003
"""A batch that is faster than this holds up other requests no longer than changing threads would."""
READY = "model server ready on"


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Folders of models (all versions), or one configuration file."""

    folders: tuple[Path, ...] = ()
    config: Path | None = None

    def find(self) -> Mapping[str, ModelFiles]:
        """Raises ModelConfigError."""
        return models_in_config(self.config) if self.config is not None else models_in_folders(self.folders)


class ModelServer:
    """Listens at once, so that a taken port is told before TensorFlow is imported; healthy once models are loaded."""

    def __init__(
        self,
        sources: ModelSources,
        settings: ModelServerSettings,
        load: Callable[[Path], Model] | None = None,
        process: Settings | None = None,
    ) -> None:
        """`process` holds what is the same for every server: the health port, how it ends, TLS between services."""
        process = process or Settings()
        self._ending = process.grpc
        self._executor = ThreadPoolExecutor(max_workers=settings.parallel_batches, thread_name_prefix="model")
        self._settings = settings
        self._load = load
        wait_s = settings.batch_wait_ms / 1000
        limits = BatchLimits(max_rows=settings.max_batch_size, wait_s=wait_s, inline_s=INLINE_S)
        self.repository = ModelRepository(sources.find, self._load_model, self._executor, limits)
        grpc_settings = replace(
            process.grpc,
            host=settings.host,
            port=settings.port,
            max_message_bytes=MAX_MESSAGE_BYTES,
            max_response_bytes=MAX_MESSAGE_BYTES,
        )
        security = server_security(process.tls) if process.tls.model_server else None
        self.grpc = GrpcServer(model_services(self.repository), grpc_settings, security=security)
        self._pipe = PipeServer(model_services(self.repository), Path(settings.pipe)) if settings.pipe else None

    def _load_model(self, folder: Path) -> Model:
        if self._load is not None:
            return self._load(folder)
        return load_saved_model(folder, Threads(intra_op=self._settings.threads, inter_op=1))

    async def start(self) -> None:
        """Listen, then load. Raises PortTaken, ModelConfigError; a model that fails is in `repository.errors`."""
        await self.grpc.start(ready=False)
        if self._pipe is not None:
            await self._pipe.start()
        if self._load is None:
            await asyncio.to_thread(prepare_lean_tensorflow)
        await self.repository.refresh()
        await self.grpc.set_ready(True)

    async def watch(self) -> None:
        """Look for new versions, at SIGHUP and every `poll_s` seconds, until cancelled."""
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, asked.set)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asked.wait(), self._settings.poll_s or None)
                asked.clear()
                try:
                    await self.repository.refresh()
                except ValueError:
                    _LOG.exception("the models stay as they are")
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def retire(self) -> None:
        """Not ready any more; calls are taken for `grpc.drain_delay_s`, so that clients hear of it."""
        await self.grpc.retire()
        await asyncio.sleep(min(self._ending.drain_delay_s, self._ending.drain_timeout_s))

    async def stop(self) -> None:
        """Calls under way finish, within what the delay leaves of `grpc.drain_timeout_s`."""
        time_s = max(0.0, self._ending.drain_timeout_s - self._ending.drain_delay_s)
        ends = [self.grpc.drain(time_s)]
        if self._pipe is not None:
            ends.append(self._pipe.stop(time_s))
        await asyncio.gather(*ends)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def ready_line(self, started_at: float) -> str:
        models = ", ".join(f"{m.name} {m.version}" for m in self.repository.served) or "no model"
        return f"{READY} {self.grpc.address}: {models} ({time.monotonic() - started_at:.1f} s)"


async def serve(
    sources: ModelSources,
    settings: ModelServerSettings,
    announce: Callable[[str], None],
    *,
    started_at: float,
    process: Settings | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. `announce` gets one line when ready, and one for each model that failed."""
    async with observed(process or Settings(), "turnstream-model-server"):
        await _serve(ModelServer(sources, settings, process=process), announce, started_at)


async def _serve(server: ModelServer, announce: Callable[[str], None], started_at: float) -> None:
    try:
        # Until models are loaded a signal ends the process at once: importing TensorFlow keeps the event loop busy.
        await server.start()
        with stop_on_signals(server.grpc.stopping):
            for error in server.repository.errors:
                announce(f"cannot load {error}")
            announce(server.ready_line(started_at))
            watching = asyncio.create_task(server.watch())
            await server.grpc.wait()
            watching.cancel()
            await server.retire()
    finally:
        await server.stop()


def sources_from(folders: Sequence[str], config: str | None) -> ModelSources:
    return ModelSources(tuple(map(Path, folders)), Path(config) if config else None)
