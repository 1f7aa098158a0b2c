"""`credentials.yml`: the channels that an author asks for."""

from pathlib import Path

from turnstream.cli.errors import CommandError
from turnstream.runtime.yaml_text import BadYaml, load_yaml

SERVED = ("rest", "cmdline")
NO_CHANNELS = ("rasa",)
"""Sections of the file that open no channel."""


def unknown_channels(file: Path | None) -> list[str]:
    """The channels in the file that are not served here. Raises CommandError where it cannot be read."""
    if file is None:
        return []
    try:
        content = load_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BadYaml) as error:
        raise CommandError(f"{file}: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise CommandError(f"{file}: a mapping of channels is expected, such as 'rest:'.")
    return [str(name) for name in content or () if name not in (*SERVED, *NO_CHANNELS)]
