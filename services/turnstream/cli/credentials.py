"""`credentials.yml`: the channels that an author asks for, read early and opened once their modules can be imported."""

from pathlib import Path
from typing import TYPE_CHECKING

from turnstream.assistant.credentials import Credentials, load_credentials
from turnstream.assistant.problems import ProjectError
from turnstream.cli.errors import CommandError

if TYPE_CHECKING:
    from turnstream.gateway.channel import Channel


def read_credentials(file: Path | None) -> Credentials:
    """Raises CommandError with every problem and its line."""
    if file is None:
        return Credentials()
    try:
        return load_credentials(file)
    except ProjectError as error:
        raise CommandError("\n".join(map(str, error.problems))) from error


def opened(credentials: Credentials, cors: str) -> "tuple[Channel, ...]":
    """`cors` are the origins whose pages may connect. Raises CommandError with every problem and its line."""
    from turnstream.gateway.channels.opening import open_channels

    try:
        return open_channels(credentials.channels, [origin.strip() for origin in cors.split(",") if origin.strip()])
    except ProjectError as error:
        raise CommandError("\n".join(map(str, error.problems))) from error
