"""The channels that `credentials.yml` asks for, made."""

import importlib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from turnstream.assistant.credentials import ChannelConfig
from turnstream.assistant.problems import Problems, closest, nearest
from turnstream.gateway.channel import Channel
from turnstream.gateway.channels import callback, chat, socketio

BASE = f"{Channel.__module__}.{Channel.__name__}"
REST = "rest"
RASAS = "InputChannel"

logger = logging.getLogger(__name__)


def open_channels(configs: Iterable[ChannelConfig], origins: Iterable[str] = ()) -> tuple[Channel, ...]:
    """`rest` is open without being asked for. Raises ProjectError with what is wrong in which line."""
    problems, origins = Problems(), tuple(origins)
    channels: dict[str, Channel] = {}
    for config in configs:
        channel = _open(config, origins, problems) if config.name != REST else None
        if channel is not None and (channel.name in channels or channel.name == REST):
            problems.error(config.location, f"There is another channel with the name '{channel.name}'.")
        elif channel is not None:
            channels[channel.name] = channel
    problems.raise_if_any()
    return tuple(channels.values())


def _open(config: ChannelConfig, origins: Iterable[str], problems: Problems) -> Channel | None:
    try:
        match config.name:
            case "callback":
                return callback.CallbackChannel.from_credentials(_of_rasas(config, callback.KEYS, problems))
            case "chat":
                _check_keys(config, chat.KEYS, problems)
                return chat.ChatChannel.from_credentials(config.options)
            case "socketio":
                options = _of_rasas(config, socketio.KEYS, problems)
                return socketio.SocketIoChannel.from_credentials(options, origins)
            case _:
                return _class_of(config.name).from_credentials(config.options)
    except ValueError as error:
        problems.error(config.location, f"The channel '{config.name}': {error}.")
        return None


def _of_rasas(config: ChannelConfig, known: Iterable[str], problems: Problems) -> Mapping[str, Any]:
    """The known options of a channel that Rasa has, too, and that passes over others there.

    What looks like a misspelt one is refused.
    """
    known = tuple(known)
    for key in config.options:
        where = config.option_locations.get(key, config.location)
        if key not in known and closest(key, known) is not None:
            problems.error(where, f"The channel '{config.name}': unknown key '{key}'.", nearest(key, known))
        elif key not in known:
            logger.warning("%s: The channel '%s': the key '%s' has no effect.", where, config.name, key)
    return {key: value for key, value in config.options.items() if key in known}


def _check_keys(config: ChannelConfig, known: Iterable[str], problems: Problems) -> None:
    known = tuple(known)
    for key in config.options:
        if key not in known:
            where = config.option_locations.get(key, config.location)
            problems.error(where, f"The channel '{config.name}': unknown key '{key}'.", nearest(key, known))


def _class_of(path: str) -> type[Channel]:
    """Raises ValueError where there is no such class, or it is no channel of ours."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "rasa":
            raise ValueError(_written_for_rasa(path)) from error
        raise ValueError(f"no module '{error.name}' can be imported from here") from error
    except AttributeError as error:
        raise ValueError(f"the module '{module}' has no '{name}'") from error
    except Exception as error:
        # An author's module may raise anything while it is imported.
        raise ValueError(f"the module '{module}' cannot be imported: {error!r}") from error
    if isinstance(found, type) and issubclass(found, Channel):
        return found
    if isinstance(found, type) and RASAS in {base.__name__ for base in found.__mro__}:
        raise ValueError(_written_for_rasa(path))
    raise ValueError(f"it is no subclass of {BASE}")


def _written_for_rasa(path: str) -> str:
    return (
        f"'{path}' is written for Rasa's {RASAS}; derive it from {BASE} instead: 'blueprint' becomes 'routes', the "
        "output channel becomes 'deliver' (docs/channels.md)"
    )
