"""`turnstream run`: the whole assistant on one machine; `turnstream run actions`: its action server."""

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from turnstream.cli.actions import actions
from turnstream.cli.credentials import opened, read_credentials
from turnstream.cli.errors import CommandError, missing
from turnstream.cli.examples import examples
from turnstream.cli.lifetime import GiveUp, serve_until_stopped
from turnstream.cli.options import (
    DEFAULT_MODELS,
    FILE,
    PORT,
    LogChoice,
    ManyValuesGroup,
    existing,
    existing_endpoints,
    log_options,
    project_here,
    read_settings,
)
from turnstream.cli.ports import require_free
from turnstream.runtime.settings import Settings

if TYPE_CHECKING:
    from turnstream.cli.assembly import Assembly
    from turnstream.cli.placement import Assistant
    from turnstream.inspector.project_files import ProjectFiles


@click.group(
    cls=ManyValuesGroup,
    invoke_without_command=True,
    epilog=examples(
        "turnstream run --enable-api",
        "turnstream run --port 5006 --interface 0.0.0.0 --cors '*'",
        "turnstream run actions",
    ),
)
@click.option("-m", "--model", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Bundle, or folder of them.")
@click.option("--endpoints", type=FILE, help="Where other servers are.  [default: endpoints.yml]")
@click.option("--credentials", type=FILE, help="Which channels to open.  [default: credentials.yml]")
@click.option("-i", "--interface", help="Address to listen on; 0.0.0.0 for all.  [default: 127.0.0.1]")
@click.option("-p", "--port", type=PORT, help="Port of the REST door.  [default: 5005]")
@click.option("--grpc-port", type=click.IntRange(-1, 65535), help="Port of the gRPC door; -1: none.  [default: free]")
@click.option("--enable-api", is_flag=True, default=None, help="Serve the HTTP API, not the channels alone.")
@click.option("--cors", multiple=True, help="Origins that browsers may call from; * for all.")
@click.option("-t", "--auth-token", help="Token that API requests must carry.")
@click.option("--jwt-secret", help="Secret or public key that checks JSON web tokens.")
@click.option("--jwt-method", help="Algorithm of the tokens.  [default: HS256]")
@click.option("--turn-log", type=FILE, help="File of the turn log.  [default: .turnstream/turns.db]")
@click.option(
    "--placement",
    type=click.Choice(["together", "apart"]),
    default="together",
    show_default=True,
    help="Services in one process, or each in one of its own.",
)
@click.option("--inspect", is_flag=True, help="Open the chat page and the inspector, which may write files here.")
@click.option(
    "--data",
    type=FILE,
    multiple=True,
    help="With --inspect: files or folders that examples and stories are saved in.  [default: data]",
)
@click.option("--watch", is_flag=True, help="Follow the folder of --model: what is trained next is served next.")
@click.option("--settings", "file", type=FILE, help="Settings as YAML.")
@log_options
@click.pass_context
def run(
    context: click.Context,
    model: Path,
    endpoints: Path | None,
    credentials: Path | None,
    interface: str | None,
    port: int | None,
    grpc_port: int | None,
    enable_api: bool | None,
    cors: tuple[str, ...],
    auth_token: str | None,
    jwt_secret: str | None,
    jwt_method: str | None,
    turn_log: Path | None,
    placement: str,
    inspect: bool,
    data: tuple[Path, ...],
    watch: bool,
    file: Path | None,
    log: LogChoice,
) -> None:
    """Serve the trained assistant: all services, the model server, and the doors."""
    if context.invoked_subcommand is not None:
        return
    settings = read_settings(
        file,
        {
            "gateway.host": interface,
            "gateway.port": port,
            "gateway.grpc_port": grpc_port,
            "gateway.enable_api": enable_api,
            "gateway.cors": ",".join(cors) or None,
            "gateway.auth_token": auth_token,
            "gateway.jwt_secret": jwt_secret,
            "gateway.jwt_method": jwt_method,
            "turn_log.path": str(turn_log) if turn_log else None,
            "bundles.folder": str(_folder_of_bundles(model)) if watch else None,
            "log.level": log.level_or("warning", file),
        },
    )
    log.begin(settings.log)
    project = _project(data, inspects=inspect)
    _require_doors(settings)
    asked = read_credentials(existing(credentials, Path("credentials.yml")))
    from turnstream.cli.serving import load_assistant, misread_endpoints, unused_endpoints

    assistant = load_assistant(model, existing_endpoints(endpoints), settings.bundles)
    assistant = replace(
        assistant,
        channels=opened(asked, settings.gateway.cors),
        inspects=inspect,
        project=project,
    )
    slips = misread_endpoints(assistant.endpoints_file)
    for note in (*slips, *unused_endpoints(assistant.endpoints, settings), *_origins(cors), *asked.warnings):
        click.echo(f"note: {note}", err=True)
    serve_until_stopped(lambda give_up: _serve(assistant, settings, apart=placement == "apart", give_up=give_up))


def _origins(cors: tuple[str, ...]) -> Iterator[str]:
    """What is no origin, and so allows nobody."""
    for origin in cors:
        if origin != "*" and "://" not in origin:
            yield f"--cors: '{origin}' is no origin, which begins with its scheme: write https://{origin}."


def _folder_of_bundles(model: Path) -> Path:
    """Raises CommandError where it is none."""
    if not model.is_dir() or (model / "manifest.json").is_file():
        raise CommandError(f"--watch follows a folder of bundles, which {model} is not; name one with --model.")
    return model


def _project(data: tuple[Path, ...], *, inspects: bool) -> "ProjectFiles | None":
    """What the inspector may write. Raises CommandError."""
    if not inspects:
        if data:
            raise CommandError("--data says where the inspector saves examples and stories: it needs --inspect.")
        return None
    root = Path().resolve() if data else project_here()
    if root is None:
        return None
    for path in data:
        if not path.exists():
            raise missing(path)
        if not path.resolve().is_relative_to(root):
            raise CommandError(
                f"--data: {path} is not below {root}; start this in a folder that holds all of the project."
            )
    from turnstream.inspector.project_files import ProjectFiles

    return ProjectFiles(root, data)


def _require_doors(settings: Settings) -> None:
    """Raises CommandError."""
    if settings.gateway.jwt_secret:
        from jwt.algorithms import get_default_algorithms

        methods = sorted(set(get_default_algorithms()) - {"none"})
        if settings.gateway.jwt_method not in methods:
            given = settings.gateway.jwt_method
            raise CommandError(f"--jwt-method: '{given}' is no algorithm for tokens; there are {', '.join(methods)}.")
    require_free(settings.gateway.host, settings.gateway.port, "--port")
    if settings.gateway.grpc_port > 0:
        if settings.gateway.grpc_port == settings.gateway.port:
            raise CommandError(f"REST and gRPC cannot share port {settings.gateway.port}; set --grpc-port.")
        require_free(settings.gateway.host, settings.gateway.grpc_port, "--grpc-port")


async def _serve(assistant: "Assistant", settings: Settings, *, apart: bool, give_up: GiveUp) -> None:
    from turnstream.cli.doors import open_doors
    from turnstream.cli.serving import telling_refusals, whole_assistant
    from turnstream.runtime.process import observed

    click.echo(f"Loading {assistant.bundle.root} ...")
    async with AsyncExitStack() as stack:
        stack.enter_context(telling_refusals())
        await stack.enter_async_context(observed(settings, "turnstream"))
        assembly = await stack.enter_async_context(
            whole_assistant(assistant, settings, apart=apart, give_up=give_up),
        )
        servers = []
        if settings.gateway.grpc_port >= 0:
            door = replace(settings.grpc, host=settings.gateway.host, port=settings.gateway.grpc_port)
            public = [service for service in assembly.services if _is_public(service.names)]
            servers.append(assembly.public(public, door))
        rest = assembly.rest()
        doors = open_doors(
            servers,
            rest,
            needs=assembly.needs(),
            settings=settings.grpc,
            closing=assembly.close_doors,
            hands_over=not apart,
        )
        await stack.enter_async_context(doors)
        grpc_address = servers[0].address if servers else ""
        page = _inspector_page(rest.url, settings) if assistant.inspects else ""
        for line in _served(assembly, rest.url, grpc_address, settings, apart=apart, page=page):
            click.echo(line)
        sys.stdout.flush()
        await assembly.working()


def _inspector_page(url: str, settings: Settings) -> str:
    """With the token, which a browser has no other place for."""
    token = settings.gateway.auth_token
    return f"{url}/inspector/?{urlencode({'token': token})}" if token else f"{url}/inspector/"


def _is_public(names: tuple[str, ...]) -> bool:
    return any(name.endswith(".Conversations") for name in names)


def _served(
    assembly: "Assembly", url: str, grpc_address: str, settings: Settings, *, apart: bool, page: str
) -> Iterator[str]:
    from turnstream.cli.turn_logs import turn_log_place

    api = "channels and HTTP API" if settings.gateway.enable_api else "channels; the HTTP API with --enable-api"
    yield f"  REST      {url}  ({api})"
    if page:
        yield f"  inspector {page}  (chat and inspector, in a browser)"
    if grpc_address:
        yield f"  gRPC      {grpc_address}  (turnstream.api.v1.Conversations, health, reflection)"
    if apart:
        address = assembly.settings.address
        places = ((name, getattr(address, name)) for name in ("nlu", "selection", "policy", "action", "conversation"))
        yield f"  services  {', '.join(f'{name} {place}' for name, place in places)}"
    yield f"  turn log  {turn_log_place(settings)}"
    yield "The assistant is ready; Ctrl-C ends it."


run.add_command(actions)
