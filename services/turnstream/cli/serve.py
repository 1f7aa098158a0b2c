"""`turnstream serve` and `turnstream model-server`: single processes of a deployment."""

from dataclasses import replace
from pathlib import Path

import click

from turnstream.assistant.credentials import Credentials
from turnstream.cli.credentials import opened, read_credentials
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.lifetime import serve_until_stopped
from turnstream.cli.options import (
    DEFAULT_MODELS,
    FILE,
    LogChoice,
    ManyValues,
    existing,
    existing_endpoints,
    log_options,
    read_settings,
)
from turnstream.cli.placement import ASKS, SERVICES
from turnstream.cli.ports import require_free
from turnstream.runtime.settings import Settings


@click.command(
    cls=ManyValues,
    epilog=examples(
        "turnstream serve nlu --model /bundles",
        "TURNSTREAM_ADDRESS_ACTION=action:50051 turnstream serve nlu selection policy conversation",
    ),
)
@click.argument("services", nargs=-1, required=True, type=click.Choice(SERVICES))
@click.option("-m", "--model", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Bundle, or folder of them.")
@click.option("--endpoints", type=FILE, help="Endpoints of the deployment.  [default: endpoints.yml]")
@click.option("--credentials", type=FILE, help="Which channels the gateway opens.  [default: credentials.yml]")
@click.option("--settings", "file", type=FILE, help="Settings as YAML.")
@log_options
def serve(
    services: tuple[str, ...],
    model: Path,
    endpoints: Path | None,
    credentials: Path | None,
    file: Path | None,
    log: LogChoice,
) -> None:
    """Serve one or several SERVICES in this process, as a deployment does; settings come from TURNSTREAM_*."""
    settings = read_settings(file, {"log.level": log.level})
    log.begin(settings.log)
    require_free(settings.grpc.host, settings.grpc.port, "TURNSTREAM_GRPC_PORT")
    if "gateway" in services:
        require_free(settings.gateway.host, settings.gateway.port, "TURNSTREAM_GATEWAY_PORT")
    asked = read_credentials(existing(credentials, Path("credentials.yml"))) if "gateway" in services else Credentials()
    from turnstream.cli.serving import load_assistant, serve_here, unused_endpoints

    assistant = load_assistant(model, existing_endpoints(endpoints), settings.bundles)
    if "gateway" in services:
        assistant = replace(assistant, channels=opened(asked, settings.gateway.cors))
    for note in (*unused_endpoints(assistant.endpoints, settings), *asked.warnings):
        click.echo(f"note: {note}", err=True)
    _require_addresses(services, settings, has_models=bool(assistant.bundle.models))
    serve_until_stopped(lambda _: serve_here(assistant, settings, services, click.echo))


def _require_addresses(services: tuple[str, ...], settings: Settings, *, has_models: bool) -> None:
    """Raises CommandError where a service has to ask another that is neither here nor at a known address."""
    for service in services:
        for other in ASKS[service]:
            known = other in services or getattr(settings.address, other)
            if not known and (other != "model_server" or has_models):
                variable = f"TURNSTREAM_ADDRESS_{other.upper()}"
                raise CommandError(
                    f"Where is the {other.replace('_', ' ')} that {service} asks? Set {variable} to its host:port."
                )


@click.command("model-server", context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def model_server(arguments: tuple[str, ...]) -> None:
    """Answer TensorFlow Serving's gRPC API from SavedModels on disk."""
    from turnstream.inference.__main__ import main

    main(args=list(arguments), prog_name="turnstream model-server")
