"""`turnstream run actions`: the project's custom actions on the unchanged `rasa_sdk`."""

import asyncio
import importlib
import importlib.util
import os
import pkgutil
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.options import FILE, PORT, LogChoice, ManyValues, log_options
from turnstream.cli.ports import require_free
from turnstream.runtime.settings import LogSettings

ACTION_SERVER_PORT = 5055
KEEP_ALIVE_S = 120


@click.command(
    "actions",
    cls=ManyValues,
    epilog=examples("turnstream run actions", "turnstream run actions --actions my_actions --port 5056 --auto-reload"),
)
@click.option("--actions", default="actions", show_default=True, help="Module or package with the custom actions.")
@click.option("-p", "--port", type=PORT, default=ACTION_SERVER_PORT, show_default=True, help="Port to listen on.")
@click.option("-i", "--interface", help="Address to listen on.  [default: 127.0.0.1, or SANIC_HOST]")
@click.option("--cors", multiple=True, help="Origins that browsers may call from; * for all.")
@click.option("--auto-reload", is_flag=True, help="Load the actions again when their files change.")
@click.option("--grpc", is_flag=True, help="Speak gRPC in place of HTTP, on all addresses.")
@click.option("--ssl-certificate", type=FILE, help="File with the server's certificate, in PEM.")
@click.option("--ssl-keyfile", type=FILE, help="File with the key of that certificate.")
@click.option("--ssl-ca-file", type=FILE, help="With --grpc: clients must show a certificate of this authority.")
@log_options
def actions(
    actions: str,
    port: int,
    interface: str | None,
    cors: tuple[str, ...],
    auto_reload: bool,
    grpc: bool,
    ssl_certificate: Path | None,
    ssl_keyfile: Path | None,
    ssl_ca_file: Path | None,
    log: LogChoice,
) -> None:
    """Run the rasa_sdk action server on this project's actions."""
    host = interface or os.environ.get("SANIC_HOST") or "127.0.0.1"
    tls = _tls(ssl_certificate, ssl_keyfile, ssl_ca_file)
    if grpc and interface is not None:
        raise CommandError("--interface: over gRPC the SDK listens on all addresses.")
    require_free(host, port, "--port")
    _require_module(actions)
    if importlib.util.find_spec("rasa_sdk") is None:
        raise CommandError("rasa_sdk is not installed: pip install 'turnstream[actions]'.")
    log.begin(LogSettings(level=log.level or "info"))
    executor = _executor(actions)
    if grpc:
        _serve_grpc(executor, port, auto_reload, tls)
    else:
        _serve(executor, host, port, cors, auto_reload, tls)


def _tls(certificate: Path | None, key: Path | None, ca: Path | None) -> tuple[Path, Path, Path | None] | None:
    """Raises CommandError where half of it is given."""
    if certificate is not None and key is not None:
        return certificate, key, ca
    if certificate is None and key is None and ca is None:
        return None
    raise CommandError("--ssl-certificate and --ssl-keyfile: both are needed, or none.")


def _require_module(name: str) -> None:
    """Raises CommandError where the project has no such module."""
    if "/" in name or name.endswith(".py"):
        raise CommandError(f"'{name}' is a path; name the module instead, such as 'actions' or 'folder.actions'.")
    sys.path.insert(0, str(Path().resolve()))
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise CommandError(
            f"There is no module '{name}' in {Path().resolve()}. Run this in the project's folder, or name it with "
            "--actions."
        )


def _executor(module: str) -> Any:
    """The SDK's executor with the actions of the module. Raises CommandError."""
    warnings.simplefilter("ignore")
    from rasa_sdk.executor import ActionExecutor

    executor = ActionExecutor()
    try:
        _import_all(module)
        executor.register_package(module)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"The actions cannot be loaded: {error}. Install what it comes from where turnstream is ({sys.prefix}), "
            "or mend the import."
        ) from error
    except Exception as error:
        raise CommandError(f"The actions cannot be loaded: {type(error).__name__}: {error}") from error
    return executor


def _import_all(module: str) -> None:
    """The module, and all of a package: the SDK ends the process where it cannot."""
    package = importlib.import_module(module)
    for part in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{module}."):
        importlib.import_module(part.name)


def _serve(
    executor: Any,
    host: str,
    port: int,
    cors: tuple[str, ...],
    auto_reload: bool,
    tls: tuple[Path, Path, Path | None] | None,
) -> None:
    """The SDK's own application, in this one process.

    The SDK's `run` starts worker processes, which outlive a SIGTERM, and cannot start with actions that are defined
    inside functions.
    """
    from rasa_sdk.endpoint import create_app

    app = create_app(executor, list(cors) or "*", auto_reload)
    app.config.KEEP_ALIVE_TIMEOUT = KEEP_ALIVE_S
    ssl = {"cert": str(tls[0]), "key": str(tls[1])} if tls else None
    _announce(f"{'https' if tls else 'http'}://{host}:{port}/webhook", executor)
    app.run(host=host, port=port, ssl=ssl, single_process=True, motd=False, access_log=False)


def _serve_grpc(executor: Any, port: int, auto_reload: bool, tls: tuple[Path, Path, Path | None] | None) -> None:
    from rasa_sdk.grpc_server import run_grpc

    files = [str(file) if file else None for file in tls] if tls else [None, None, None]
    _announce(f"grpc://0.0.0.0:{port}", executor)
    asyncio.run(run_grpc(executor, port, *files, auto_reload=auto_reload))


def _announce(url: str, executor: Any) -> None:
    click.echo(f"Action server on {url}: {', '.join(sorted(executor.actions)) or 'no action'}")
