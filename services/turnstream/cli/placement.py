"""What is served: an assistant, by services that ask each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from turnstream.assistant.bundle import Bundle
from turnstream.assistant.config import Endpoints

if TYPE_CHECKING:
    from turnstream.gateway.channel import Channel
    from turnstream.inspector.project_files import ProjectFiles

SERVICES = ("nlu", "selection", "policy", "action", "conversation", "gateway")
"""Callees before callers."""

ASKS = {
    "nlu": ("model_server",),
    "selection": ("model_server",),
    "policy": ("model_server",),
    "action": (),
    "conversation": ("nlu", "selection", "policy", "action"),
    "gateway": ("nlu", "selection", "conversation"),
}


@dataclass(frozen=True, slots=True)
class Assistant:
    """A bundle, and the endpoints of the deployment."""

    bundle: Bundle
    endpoints: Endpoints
    endpoints_file: Path | None = None
    channels: "tuple[Channel, ...]" = ()
    """Those of `credentials.yml` beside `rest`."""
    inspects: bool = False
    """Whether the gateway opens the inspector."""
    project: "ProjectFiles | None" = None
    """Files that the inspector may write; None: none."""
