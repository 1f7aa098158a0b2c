"""The model configuration and the endpoints of an assistant, as plain typed values.

Format: https://rasa.com/docs/rasa/model-configuration and https://rasa.com/docs/rasa/arch-overview.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from turnstream.assistant.location import NOWHERE, Location


@dataclass(frozen=True, slots=True)
class ComponentConfig:
    """A pipeline component or policy as written: its name and the keys given, checked by the component itself."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    location: Location = NOWHERE
    option_locations: Mapping[str, Location] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """`pipeline` or `policies` is None where the file has no such key, or has it without a value."""

    language: str = "en"
    assistant_id: str | None = None
    recipe: str = "default.v1"
    pipeline: tuple[ComponentConfig, ...] | None = None
    policies: tuple[ComponentConfig, ...] | None = None
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One section of endpoints.yml; `options` are the keys beside `url` and `type`."""

    kind: str
    url: str | None = None
    type: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Endpoints:
    action: Endpoint | None = None
    calm: Endpoint | None = None
    """The other engine of a project with a router."""
    nlg: Endpoint | None = None
    model: Endpoint | None = None
    tracker_store: Endpoint | None = None
    event_broker: Endpoint | None = None
    lock_store: Endpoint | None = None
