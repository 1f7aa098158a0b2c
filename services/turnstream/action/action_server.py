"""What is asked of an action server and what it answers, whichever protocol it speaks.

Protocols: https://rasa.com/docs/rasa/pages/action-server-api (HTTP) and
https://rasa.com/docs/reference/integrations/action-server/action-server-grpc-api.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Self

from turnstream.action.failures import ActionFailed

PROTOCOL_VERSION: Final = "3.6.21"
"""The Rasa release whose webhook protocol this is; action servers look at it."""

MAX_DEPTH: Final = 25
"""Protobuf reads messages up to 100 levels deep, and a JSON value takes three for each of its own."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files in PEM: `cafile`, `ssl_client_cert` and `ssl_client_key` of endpoints.yml."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ActionServerSettings:
    """`url` is `http://host:port/webhook`, `https://...` or `grpc://host:port` (`action_endpoint.url`)."""

    url: str
    timeout_s: float = 60.0
    timeouts_s: Mapping[str, float] = field(default_factory=dict)
    """Of single actions, by name."""
    max_response_bytes: int = 10_000_000
    connect_attempts: int = 3
    connect_retry_delay_s: float = 0.1
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with each call; as metadata over gRPC."""
    params: tuple[tuple[str, str], ...] = ()
    """Sent with each call over HTTP; `token` from endpoints.yml is one."""
    selective_domain: bool = False
    """Send the domain only to actions marked `send_domain: true` (`enable_selective_domain`)."""
    tls: ServerTls | None = None
    module: str = ""
    """Run the actions of this Python module in this process, and ask no server (`actions_module`)."""

    @property
    def is_grpc(self) -> bool:
        return self.url.startswith("grpc://")

    def limit_s(self, action: str, now: float, deadline: float | None) -> float:
        """How long an action may take. `now` and `deadline` are in the event loop's time."""
        own = self.timeouts_s.get(action, self.timeout_s)
        return own if deadline is None else min(own, deadline - now)


@dataclass(frozen=True, slots=True)
class WireDomain:
    """A domain as it is sent: encoded once, since it is the same for every call, and the larger part of most."""

    content: Mapping[str, Any]
    json: str
    digest: str
    """The same for the same domain; a server that has it needs no domain."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        text = json.dumps(content, ensure_ascii=False)
        return cls(content, text, hashlib.sha256(text.encode()).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """`tracker` is Rasa's, without its events; `events` are the JSON of each. `marked`: `send_domain: true`."""

    action: str
    tracker: Mapping[str, Any]
    events: Sequence[str]
    domain: WireDomain
    marked: bool = False


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """What an action server returned, not looked into yet."""

    events: tuple[Any, ...] = ()
    responses: tuple[Any, ...] = ()


class ActionServer(Protocol):
    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        """Run a custom action. Raises ActionFailed and ActionRejected.

        `deadline` is in the event loop's time: when the answer is to be there at the latest.
        """
        ...


class NoActionServer:
    """Where no action server is configured every custom action fails, and says what to do."""

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        hint = "set action_endpoint.url in endpoints.yml and run `rasa_sdk` there"
        raise ActionFailed(request.action, f"no action server is configured; {hint}")


class NoOtherEngine:
    """Where no other engine is configured the sessions with it say what to do."""

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        hint = "set calm_endpoint.url in endpoints.yml"
        raise ActionFailed(request.action, f"no other engine is configured for this session; {hint}")


class DomainWanted(Exception):
    """The server does not have the domain of the digest; nothing was run yet."""


def answer_from(action: str, data: Mapping[str, Any]) -> ActionAnswer:
    """The answer in a JSON object. Raises ActionFailed where it cannot be used."""
    try:
        data = sendable(data)
    except ValueError as error:
        raise ActionFailed(action, f"the action server's answer cannot be used: {error}") from error
    return ActionAnswer(_list(action, data, "events"), _list(action, data, "responses"))


def too_late(url: str, action: str, limit_s: float) -> ActionFailed:
    return ActionFailed(action, f"the action server at {url} took longer than {max(limit_s, 0):.3g} s")


def unreachable(url: str, action: str, why: object = "") -> ActionFailed:
    said = f": {why}" if why else ""
    return ActionFailed(action, f"no action server answers at {url}{said}; is it running?")


def sendable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The value with what UTF-8 or JSON cannot say replaced: half characters, and numbers that are none, by null.

    Raises ValueError where it is nested too deeply.
    """
    if depth == 0:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {sendable(k, depth): sendable(v, depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [sendable(v, depth - 1) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _list(action: str, data: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    items = data.get(key)
    if items is None:
        return ()
    if not isinstance(items, list):
        raise ActionFailed(action, f"`{key}` in the action server's answer is no list but {type(items).__name__}")
    return tuple(items)
