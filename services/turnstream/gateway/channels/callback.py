"""Rasa's `callback` channel: what the bot says is posted to a URL, reminders too.

https://rasa.com/docs/rasa/connectors/your-own-website#callbackinput
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

import aiohttp
from aiohttp import web

from turnstream.gateway.channel import BotSaid, Channel, ChannelRoute, Conversations, UserSaid
from turnstream.gateway.posting import post
from turnstream.gateway.rest.bodies import answer, optional_text, read_object, text_field
from turnstream.gateway.rest.webhook import sender_of
from turnstream.runtime.errors import DeadlinePassed

KEYS = ("url", "params", "headers", "basic_auth", "token", "token_name")


class CallbackChannel(Channel):
    """One request for each message, in order; a server that is away for a moment gets it when it is back."""

    name = "callback"

    def __init__(self, url: str, headers: Mapping[str, str], params: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", **headers}
        self._params = params
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_credentials(cls, credentials: Mapping[str, Any]) -> Self:
        url = credentials.get("url")
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ValueError("'url' is missing: where replies are posted, such as http://localhost:5034/bot")
        headers, params = _texts(credentials, "headers"), _texts(credentials, "params")
        if token := credentials.get("token"):
            params = {**params, str(credentials.get("token_name") or "token"): str(token)}
        if credentials.get("basic_auth") is not None:
            headers = {**headers, "Authorization": _basic(_texts(credentials, "basic_auth"))}
        return cls(url, headers, params)

    def routes(self, conversations: Conversations) -> Iterable[ChannelRoute]:
        async def receive(request: web.Request) -> web.StreamResponse:
            """`sender`, `message`, `metadata` as in Rasa; `message_id` (our own) makes a retry safe."""
            body = await read_object(request)
            text = text_field(body, "message")
            message_id = optional_text(body, "message_id") or ""
            # What takes longer than a client waits is delivered all the same.
            try:
                await conversations.take(UserSaid(sender_of(body), text, body.get("metadata"), message_id))
            except DeadlinePassed:
                return web.Response(status=202, text="accepted")
            return web.Response(text="success")

        async def health(request: web.Request) -> web.StreamResponse:
            return answer({"status": "ok"})

        return (
            ("GET", "/webhooks/callback/", health),
            ("GET", "/webhooks/callback", health),
            ("POST", "/webhooks/callback/webhook", receive),
        )

    async def deliver(self, said: BotSaid) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        for reply in said.replies:
            body = json.dumps(reply, ensure_ascii=False).encode()
            await post(self._session, self._url, body, self._headers, self._params)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _texts(credentials: Mapping[str, Any], key: str) -> Mapping[str, str]:
    values = credentials.get(key) or {}
    if not isinstance(values, Mapping):
        raise ValueError(f"'{key}' must be a mapping")
    return {str(name): str(value) for name, value in values.items()}


def _basic(auth: Mapping[str, str]) -> str:
    pair = f"{auth.get('username', '')}:{auth.get('password', '')}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"
