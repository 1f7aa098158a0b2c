"""`python -m turnstream.inference --models FOLDER`: the local model server."""

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace

import click

from turnstream.inference.server import serve, sources_from
from turnstream.inference.sources import ModelConfigError
from turnstream.runtime.logs import setup_logging
from turnstream.runtime.security import BadCertificate
from turnstream.runtime.server import PortTaken
from turnstream.runtime.settings import SettingsError, load_settings


@click.command(epilog="\b\nExamples:\n  turnstream model-server --models models/20261122-101500/models --port 8500")
@click.option("--models", multiple=True, help="Folder of models, <name>/<version>/ each; may be repeated.")
@click.option("--model-config", help="TF Serving's model_config_list, in text format.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port; 0 takes a free one.")
def main(models: tuple[str, ...], model_config: str | None, host: str | None, port: int | None) -> None:
    """Answer TensorFlow Serving's gRPC API from SavedModels on disk."""
    started_at = time.monotonic()
    if os.getpid() == 1:
        # Of itself the first process of a container passes over the signal. There is nothing to tidy up before models
        # are loaded, and TensorFlow, half imported in a thread, may crash in an orderly end.
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    try:
        settings = load_settings()
        setup_logging(settings.log.level, as_json=settings.log.json, message_texts=settings.log.message_texts)
        chosen = {k: v for k, v in {"host": host, "port": port}.items() if v is not None}
        server_settings = replace(settings.model_server, **chosen)  # type: ignore[arg-type]
        sources = sources_from(
            models or ([settings.model_server.models] if settings.model_server.models else ()), model_config
        )
        if not sources.folders and sources.config is None:
            raise click.UsageError("say which models: --models FOLDER or --model-config FILE")
        asyncio.run(serve(sources, server_settings, _announce, started_at=started_at, process=settings))
    except (PortTaken, BadCertificate, ModelConfigError, SettingsError) as error:
        raise click.ClickException(str(error)) from error


def _announce(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
