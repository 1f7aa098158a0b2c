"""Custom actions on an unchanged `rasa_sdk` action server over HTTP.

Protocol: https://rasa.com/docs/rasa/pages/action-server-api.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp

from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.runtime.tracing import TRACEPARENT, current_traceparent, span

logger = logging.getLogger(__name__)

REJECTED_STATUS: Final = 400
UNKNOWN_ACTION_STATUS: Final = 404
MAX_ERROR_CHARACTERS: Final = 300
MAX_DEPTH: Final = 25
"""Protobuf reads messages up to 100 levels deep, and a JSON value takes three for each of its own."""

IDLE_CONNECTION_S: Final = 4.0
"""Shorter than the 5 s after which older action servers close an idle connection."""


@dataclass(frozen=True, slots=True)
class ActionServerSettings:
    """`url` is the webhook, such as `http://localhost:5055/webhook` (`action_endpoint.url` in endpoints.yml)."""

    url: str
    timeout_s: float = 60.0
    max_response_bytes: int = 10_000_000
    connect_attempts: int = 3
    connect_retry_delay_s: float = 0.1
    headers: tuple[tuple[str, str], ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    """Sent with each call; `token` from endpoints.yml is one."""
    selective_domain: bool = False
    """Send the domain only to actions marked `send_domain: true` (`enable_selective_domain`)."""


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """What an action server returned, not looked into yet."""

    events: tuple[Any, ...] = ()
    responses: tuple[Any, ...] = ()


class ActionServer(Protocol):
    @property
    def selective_domain(self) -> bool:
        """Whether only actions marked `send_domain: true` are sent the domain."""
        ...

    async def call(self, action: str, body: bytes, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        """Run a custom action; `body` is the webhook's request as JSON. Raises ActionFailed and ActionRejected.

        `deadline` is in the event loop's time: when the answer is to be there at the latest.
        """
        ...


class NoActionServer:
    """Where no action server is configured every custom action fails, and says what to do."""

    selective_domain = True

    async def call(self, action: str, body: bytes, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        raise ActionFailed(
            action, "no action server is configured; set action_endpoint.url in endpoints.yml and run `rasa_sdk` there"
        )


class HttpActionServer:
    """Keeps connections open between calls; `close` when done."""

    def __init__(self, settings: ActionServerSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    @property
    def selective_domain(self) -> bool:
        return self._settings.selective_domain

    async def call(self, action: str, body: bytes, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        headers = {"Content-Type": "application/json", **dict(self._settings.headers)}
        if idempotency_key:
            headers["Idempotency-Key"] = f"{idempotency_key}:{action}"
        now = asyncio.get_running_loop().time()
        timeout_s = self._settings.timeout_s if deadline is None else min(self._settings.timeout_s, deadline - now)
        try:
            with span(f"action server {action}", "client"):
                if traceparent := current_traceparent():
                    headers[TRACEPARENT] = traceparent
                async with asyncio.timeout(timeout_s):
                    status, answer = await self._post(action, body, headers)
        except TimeoutError as error:
            late = f"the action server at {self._settings.url} took longer than {max(timeout_s, 0):.3g} s"
            raise ActionFailed(action, late) from error
        return _answer(action, status, answer)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, action: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        url = self._settings.url
        for attempt in range(1, self._settings.connect_attempts + 1):
            try:
                return await self._post_once(action, body, headers)
            except aiohttp.ClientConnectorError as error:
                # Nothing was sent yet, so that trying again cannot run the action twice.
                if attempt == self._settings.connect_attempts:
                    raise ActionFailed(action, f"no action server answers at {url}: {error}; is it running?") from error
                await asyncio.sleep(self._settings.connect_retry_delay_s * attempt)
            except aiohttp.InvalidURL as error:
                raise ActionFailed(action, f"action_endpoint.url is no valid URL: {url!r}") from error
            except aiohttp.ClientError as error:
                raise ActionFailed(action, f"the action server at {url} broke off: {error!r}") from error
        raise AssertionError("connect_attempts is at least 1")

    async def _post_once(self, action: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        params = self._settings.params or None
        async with self._open_session().post(
            self._settings.url, data=body, headers=headers, params=params, allow_redirects=False
        ) as response:
            limit = self._settings.max_response_bytes
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > limit:
                    raise ActionFailed(action, f"the action server's answer is larger than {limit} bytes")
            return response.status, bytes(content)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Slow actions must not use up the connections that others need. A connection idle for longer may be
            # closed by the server in the moment of the next call, which could then not be repeated safely.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION_S)
            # The call as a whole has its own limit; aiohttp's would only hide it.
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self._session


def _answer(action: str, status: int, content: bytes) -> ActionAnswer:
    if status != 200:
        raise _refusal(action, status, content)
    data = _json(content)
    if data is None and content.strip() in (b"", b"null"):
        return ActionAnswer()
    if not isinstance(data, dict):
        raise ActionFailed(action, f"the action server's answer is no JSON object: {_shown(content)}")
    try:
        data = _sendable(data, MAX_DEPTH)
    except ValueError as error:
        raise ActionFailed(action, f"the action server's answer cannot be used: {error}") from error
    return ActionAnswer(_list(action, data, "events"), _list(action, data, "responses"))


def _sendable(value: Any, depth: int) -> Any:
    """The value with characters that UTF-8 cannot say replaced. Raises ValueError where it is nested too deeply."""
    if depth == 0:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_sendable(k, depth): _sendable(v, depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_sendable(v, depth - 1) for v in value]
    return value


def _refusal(action: str, status: int, content: bytes) -> ActionFailed | ActionRejected:
    data = _json(content)
    reason = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == REJECTED_STATUS and isinstance(data, dict) and "action_name" in data:
        return ActionRejected(str(data["action_name"]), reason)
    if status == UNKNOWN_ACTION_STATUS:
        return ActionFailed(action, f"the action server does not know it: {reason or _shown(content)}")
    return ActionFailed(action, f"the action server answered with status {status}: {reason or _shown(content)}")


def _list(action: str, data: Mapping[str, Any], key: str) -> tuple[Any, ...]:
    items = data.get(key)
    if items is None:
        return ()
    if not isinstance(items, list):
        raise ActionFailed(action, f"`{key}` in the action server's answer is no list but {type(items).__name__}")
    return tuple(items)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _shown(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    return repr(text if len(text) <= MAX_ERROR_CHARACTERS else text[:MAX_ERROR_CHARACTERS] + "...")
