"""`credentials.yml`: which channels are open. Format: https://rasa.com/docs/rasa/messaging-and-voice-channels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnstream.assistant.fields import Fields
from turnstream.assistant.files import Files
from turnstream.assistant.location import NOWHERE, Location
from turnstream.assistant.problems import Problem, Problems, nearest
from turnstream.assistant.yaml_nodes import Node, refuse_unset

SERVED = ("rest", "callback", "chat", "socketio")
NO_CHANNELS = ("cmdline", "rasa")
"""Sections that need nothing to be opened: the shell, and what talks to Rasa X."""
OTHERS = (
    "audiocodes",
    "audiocodes_stream",
    "botframework",
    "browser_audio",
    "facebook",
    "genesys",
    "hangouts",
    "jambonz",
    "mattermost",
    "rocketchat",
    "slack",
    "studio_chat",
    "telegram",
    "twilio",
    "twilio_media_streams",
    "twilio_voice",
    "vier_cvg",
    "webexteams",
)
"""Channels of Rasa that are not here."""
INSTEAD = "Bridge it through 'callback', or write a channel of your own: see docs/channels.md."


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """One section; `name` is a channel's, or the module path of a class."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    location: Location = NOWHERE
    option_locations: Mapping[str, Location] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The channels to open, in order; `warnings` name those that are not served."""

    channels: tuple[ChannelConfig, ...] = ()
    warnings: tuple[Problem, ...] = ()


def load_credentials(path: Path) -> Credentials:
    """Raises ProjectError with all problems."""
    problems = Problems()
    root = Files(path.parent, problems).read_mapping(path, unset_ok=True)
    channels = _read(root, problems) if root is not None else ()
    problems.raise_if_any()
    return Credentials(channels, tuple(problems.warnings))


def _read(root: Node, problems: Problems) -> tuple[ChannelConfig, ...]:
    found = []
    for key, node in (root.mapping or {}).items():
        name, location = str(key), root.key_location(key)
        if name in OTHERS:
            problems.warning(location, f"The channel '{name}' is not served.", INSTEAD)
        elif name in SERVED or "." in name:
            refuse_unset(node, problems)
            if (config := _channel(name, node, location, problems)) is not None:
                found.append(config)
        elif name not in NO_CHANNELS:
            hint = nearest(name, (*SERVED, *OTHERS))
            problems.error(location, f"There is no channel '{name}'.", hint or INSTEAD)
    return tuple(found)


def _channel(name: str, node: Node, location: Location, problems: Problems) -> ChannelConfig | None:
    if node.value is None:
        return ChannelConfig(name, location=location)
    fields = Fields.of(node, f"The channel '{name}'", None, problems)
    if fields is None:
        return None
    options = {str(key): fields.plain(key) for key in fields}
    return ChannelConfig(name, options, location, {str(key): fields.at(key) for key in fields})
