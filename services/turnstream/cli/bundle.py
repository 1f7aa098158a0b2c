"""`turnstream bundle ...`: brings bundles where services find them, and tells a model server which models to hold."""

import asyncio
import time
from pathlib import Path

import click

from turnstream.assistant.bundle import BundleError
from turnstream.cli.errors import CommandError
from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup
from turnstream.cli.options import DEFAULT_MODELS, FILE, NAME_OF_FILE, LogChoice, log_options, read_settings
from turnstream.runtime.settings import LogSettings, Settings


@click.group(
    cls=NearestGroup,
    epilog=examples(
        "turnstream bundle install models/20261122-101500 --bundles /srv/bundles",
        "turnstream bundle model-config --help",
    ),
)
def bundle() -> None:
    """Install bundles, and write the model server's configuration for them."""


@bundle.command(
    epilog=examples(
        "turnstream bundle install models/20261122-101500 --bundles /srv/bundles",
        "turnstream bundle install https://example.com/bot.tar.gz --bundles /srv/bundles",
    )
)
@click.argument("source", type=NAME_OF_FILE)
@click.option("--bundles", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Folder to install into.")
@log_options
def install(source: str, bundles: Path, log: LogChoice) -> None:
    """Copy the bundle at SOURCE into a folder of bundles; it is checked, and appears there all at once.

    SOURCE is a bundle, a folder of bundles (the newest is taken), a .tar.gz of one, or the http(s) address of such.
    """
    log.begin(LogSettings(level=log.level or "warning"))
    from turnstream.cli.bundle_install import install_bundle

    try:
        installed = install_bundle(source, bundles)
    except (BundleError, OSError) as error:
        raise CommandError(f"{error}") from error
    verb = "installed" if installed.is_new else "there already"
    click.echo(f"{installed.version}: {verb}, {installed.path}")


@bundle.command(
    "model-config",
    epilog=examples(
        "turnstream bundle model-config --bundles /bundles --models-dir /models --output /models/all.config"
    ),
)
@click.option("--bundles", type=FILE, help="Folder of bundles.  [default: TURNSTREAM_BUNDLES_FOLDER]")
@click.option("--plan", type=FILE, help="The rollout's plan.  [default: rollout.yaml in the folder]")
@click.option("--models-dir", type=FILE, required=True, help="Folder for links to models, <name>/<version> each.")
@click.option("--output", type=FILE, required=True, help="Where to write TensorFlow Serving's model configuration.")
@click.option("--batching", type=FILE, help="Write batching parameters here as well.")
@click.option("--monitoring", type=FILE, help="Write a monitoring configuration here as well.")
@click.option("--model-server", help="host:port of the model server: labels move once their versions are loaded.")
@click.option("--watch", is_flag=True, help="Go on, and write anew whenever plan or bundles change.")
@click.option("--settings", "file", type=FILE, help="Settings as YAML.")
@log_options
def model_config(
    bundles: Path | None,
    plan: Path | None,
    models_dir: Path,
    output: Path,
    batching: Path | None,
    monitoring: Path | None,
    model_server: str | None,
    watch: bool,
    file: Path | None,
    log: LogChoice,
) -> None:
    """Write the configuration by which TensorFlow Serving holds the models of a rollout's bundles."""
    given: dict[str, str | int | float | bool | None] = {
        "bundles.folder": str(bundles) if bundles else None,
        "bundles.plan": str(plan) if plan else None,
        "log.level": log.level,
    }
    settings = read_settings(file, given)
    log.begin(settings.log)
    if not settings.bundles.folder and not settings.bundles.plan:
        raise CommandError("Say which bundles: --bundles FOLDER, or TURNSTREAM_BUNDLES_FOLDER.")
    from turnstream.inference.model_config import MONITORING, batching_text, write_text

    try:
        for place, text in ((batching, batching_text(settings.model_server)), (monitoring, MONITORING)):
            if place is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                write_text(place, text)
    except OSError as error:
        raise CommandError(f"{error}") from error
    from turnstream.cli.lifetime import serve_until_stopped

    if watch:
        serve_until_stopped(lambda _: _follow(settings, models_dir, output, model_server))
    else:
        asyncio.run(_follow(settings, models_dir, output, model_server, once=True))


async def _follow(
    settings: Settings, models_dir: Path, output: Path, model_server: str | None, *, once: bool = False
) -> None:
    from turnstream.inference.client import ModelClient
    from turnstream.inference.model_config_writer import ModelConfigWriter, asking
    from turnstream.runtime.rollout_files import RolloutFiles

    files = RolloutFiles.of(settings.bundles)
    assert files is not None
    client = ModelClient.open(model_server, settings.channel) if model_server else None
    writer = ModelConfigWriter(
        files,
        models_dir,
        output,
        hold_s=2 * settings.bundles.grace_s + settings.timeout.turn_s,
        is_available=asking(client) if client else None,
    )
    said = ""
    while True:
        try:
            if await writer.look():
                click.echo(f"model config written: {output} ({writer.summary})")
            trouble = "; ".join(writer.problems)
        except (BundleError, OSError) as error:
            trouble = str(error)
        if trouble and once:
            raise CommandError(trouble)
        if trouble != said:
            click.echo(f"{time.strftime('%H:%M:%S')} {trouble or 'all is well again'}", err=True)
        said = trouble
        if once:
            return
        await asyncio.sleep(settings.bundles.poll_s)
