"""Custom actions on an unchanged `rasa_sdk` action server over HTTP.

Protocol: https://rasa.com/docs/rasa/pages/action-server-api.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from turnstream.action.action_server import (
    PROTOCOL_VERSION,
    ActionAnswer,
    ActionRequest,
    ActionServerSettings,
    DomainWanted,
    ServerTls,
    answer_from,
    too_late,
    unreachable,
)
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.runtime.security import BadCertificate
from turnstream.runtime.tracing import TRACEPARENT, current_traceparent, span

REJECTED_STATUS: Final = 400
UNKNOWN_ACTION_STATUS: Final = 404
DOMAIN_WANTED_STATUS: Final = 449
MAX_ERROR_CHARACTERS: Final = 300

IDLE_CONNECTION_S: Final = 4.0
"""Shorter than the 5 s after which older action servers close an idle connection."""


class HttpActionServer:
    """Keeps connections open between calls; `close` when done. Raises BadCertificate."""

    def __init__(self, settings: ActionServerSettings) -> None:
        self._settings = settings
        self._tls = _tls_context(settings.tls) if settings.tls else None
        self._session: aiohttp.ClientSession | None = None

    async def call(self, request: ActionRequest, idempotency_key: str, deadline: float | None = None) -> ActionAnswer:
        action = request.action
        headers = {"Content-Type": "application/json", **dict(self._settings.headers)}
        if idempotency_key:
            headers["Idempotency-Key"] = f"{idempotency_key}:{action}"
        limit_s = self._settings.limit_s(action, asyncio.get_running_loop().time(), deadline)
        try:
            with span(f"action server {action}", "client"):
                if traceparent := current_traceparent():
                    headers[TRACEPARENT] = traceparent
                async with asyncio.timeout(limit_s):
                    return await self._ask(request, headers)
        except TimeoutError as error:
            raise too_late(self._settings.url, action, limit_s) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, request: ActionRequest, headers: Mapping[str, str]) -> ActionAnswer:
        sends_domain = request.marked or not self._settings.selective_domain
        if not sends_domain:
            try:
                return await self._answer(request, headers, with_domain=False)
            except DomainWanted:
                pass  # A newer action server wants it once, and remembers it.
        try:
            return await self._answer(request, headers, with_domain=True)
        except DomainWanted as error:
            raise ActionFailed(request.action, "the action server asks for the domain that it was sent") from error

    async def _answer(self, request: ActionRequest, headers: Mapping[str, str], *, with_domain: bool) -> ActionAnswer:
        status, content = await self._post(request.action, request_body(request, with_domain=with_domain), headers)
        if status == DOMAIN_WANTED_STATUS:
            raise DomainWanted
        return answer_of(request.action, status, content)

    async def _post(self, action: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        url = self._settings.url
        for attempt in range(1, self._settings.connect_attempts + 1):
            try:
                return await self._post_once(action, body, headers)
            except aiohttp.ClientConnectorError as error:
                # Nothing was sent yet, so that trying again cannot run the action twice.
                if attempt == self._settings.connect_attempts:
                    raise unreachable(url, action, error) from error
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
            connector = aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_CONNECTION_S, ssl=True if self._tls is None else self._tls
            )
            # The call as a whole has its own limit; aiohttp's would only hide it.
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self._session


def request_body(request: ActionRequest, *, with_domain: bool) -> bytes:
    """The webhook's request as JSON in UTF-8."""
    head = {
        "next_action": request.action,
        "sender_id": request.tracker["sender_id"],
        "version": PROTOCOL_VERSION,
        "domain_digest": request.domain.digest,
        "tracker": request.tracker,
    }
    text = json.dumps(head, ensure_ascii=False)
    # The tracker is the last of it: its events, and the domain after it, are written already.
    text = f'{text[:-2]}, "events": [{", ".join(request.events)}]}}'
    return (f'{text}, "domain": {request.domain.json}}}' if with_domain else f"{text}}}").encode()


def _tls_context(tls: ServerTls) -> ssl.SSLContext:
    """Raises BadCertificate."""
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        if tls.certificate is not None:
            context.load_cert_chain(str(tls.certificate), str(tls.key) if tls.key else None)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(f) for f in (tls.ca, tls.certificate, tls.key) if f is not None)
        raise BadCertificate(f"{files}: {error.strerror or error}") from error
    return context


def answer_of(action: str, status: int, content: bytes) -> ActionAnswer:
    """What a server's answer says. Raises ActionFailed, ActionRejected."""
    if status != 200:
        raise _refusal(action, status, content)
    data = _json(content)
    if data is None and content.strip() in (b"", b"null"):
        return ActionAnswer()
    if not isinstance(data, dict):
        raise ActionFailed(action, "the action server's answer is no JSON object", _shown(content))
    return answer_from(action, data)


def _refusal(action: str, status: int, content: bytes) -> ActionFailed | ActionRejected:
    data = _json(content)
    reason = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == REJECTED_STATUS and isinstance(data, dict) and "action_name" in data:
        return ActionRejected(str(data["action_name"]), reason)
    if status == UNKNOWN_ACTION_STATUS:
        return ActionFailed(action, "the action server does not know it", reason or _shown(content))
    return ActionFailed(action, f"the action server answered with status {status}", reason or _shown(content))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _shown(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    return repr(text if len(text) <= MAX_ERROR_CHARACTERS else text[:MAX_ERROR_CHARACTERS] + "...")
