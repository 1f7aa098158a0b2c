"""The channels that `credentials.yml` asks for, made."""

import importlib
from collections.abc import Iterable

from turnstream.assistant.credentials import ChannelConfig
from turnstream.assistant.problems import Problems, nearest
from turnstream.gateway.channel import Channel
from turnstream.gateway.channels import callback, chat, socketio

BASE = f"{Channel.__module__}.{Channel.__name__}"
REST = "rest"
RASAS = "InputChannel"


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
                _check_keys(config, callback.KEYS, problems)
                return callback.CallbackChannel.from_credentials(config.options)
            case "chat":
                _check_keys(config, chat.KEYS, problems)
                return chat.ChatChannel.from_credentials(config.options)
            case "socketio":
                _check_keys(config, socketio.KEYS, problems)
                known = {key: value for key, value in config.options.items() if key in socketio.KEYS}
                return socketio.SocketIoChannel.from_credentials(known, origins)
            case _:
                return _class_of(config.name).from_credentials(config.options)
    except ValueError as error:
        problems.error(config.location, f"The channel '{config.name}': {error}.")
        return None


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
