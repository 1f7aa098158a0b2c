"""Rasa's `socketio` channel, as its chat widgets speak it, on python-socketio.

https://rasa.com/docs/rasa/connectors/your-own-website#websocket-channel
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Self

import jwt
import socketio
from aiohttp import web

from turnstream.gateway.channel import BotSaid, Channel, ChannelRoute, Conversations, UserSaid
from turnstream.gateway.rest.bodies import answer
from turnstream.runtime.errors import TurnstreamError
from turnstream.runtime.tracing import begin_trace, in_trace

logger = logging.getLogger(__name__)
_library_log = logging.getLogger(f"{__name__}.library")
# What it says below this has what users and bots say in it.
_library_log.setLevel(logging.WARNING)

PARAGRAPH = "\n\n"
GOODBYE_S = 2.0
"""How long clients have to hear of the end."""
MAX_BUFFER_BYTES = 1_000_000
"""Longest message of a client."""


@dataclass(frozen=True, slots=True)
class SocketIoOptions:
    """As in `credentials.yml`. Without `session_persistence` a connection is a conversation of its own."""

    user_message_evt: str = "user_uttered"
    bot_message_evt: str = "bot_uttered"
    namespace: str = "/"
    session_persistence: bool = False
    socketio_path: str = "/socket.io"
    jwt_key: str = ""
    jwt_method: str = "HS256"
    metadata_key: str = "metadata"

    @classmethod
    def read(cls, credentials: Mapping[str, Any]) -> Self:
        """Raises ValueError. What is null is as if it were not there."""
        given = {key: value for key, value in credentials.items() if value is not None}
        for field in fields(cls):
            if field.name in given and not isinstance(given[field.name], type(field.default)):
                kind = "true or false" if isinstance(field.default, bool) else "a text"
                raise ValueError(f"'{field.name}' must be {kind}, not {given[field.name]!r}")
        if not given.get("socketio_path", "/").startswith("/"):
            raise ValueError(f"'socketio_path' must begin with a slash, not {given['socketio_path']!r}")
        return cls(**given)


KEYS = tuple(field.name for field in fields(SocketIoOptions))


class SocketIoChannel(Channel):
    """`origins` are those whose pages may connect: `*` all, empty the gateway's own."""

    name = "socketio"
    delivers_once = False

    def __init__(self, options: SocketIoOptions, origins: Iterable[str] = ()) -> None:
        allowed = list(origins)
        self._options = options
        self._closed = False
        self._server = socketio.AsyncServer(
            async_mode="aiohttp",
            cors_allowed_origins="*" if "*" in allowed else allowed or None,
            cors_credentials=False,
            max_http_buffer_size=MAX_BUFFER_BYTES,
            logger=_library_log,
            engineio_logger=_library_log,
        )

    @classmethod
    def from_credentials(cls, credentials: Mapping[str, Any], origins: Iterable[str] = ()) -> Self:
        return cls(SocketIoOptions.read(credentials), origins)

    def routes(self, conversations: Conversations) -> Iterable[ChannelRoute]:
        self._listen(conversations)
        path = f"{self._options.socketio_path.rstrip('/')}/"
        return (
            ("GET", "/webhooks/socketio/", self._health),
            ("GET", "/webhooks/socketio", self._health),
            ("GET", path, self._server.handle_request),
            ("POST", path, self._server.handle_request),
        )

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return answer({"status": "ok"})

    def _listen(self, conversations: Conversations) -> None:
        options, server = self._options, self._server

        async def connect(sid: str, environ: Any, auth: Any = None) -> bool:
            return not options.jwt_key or self._is_known(auth)

        async def session_request(sid: str, data: Any = None) -> None:
            given = data.get("session_id") if isinstance(data, Mapping) else None
            session_id = str(given) if given else uuid.uuid4().hex
            if options.session_persistence:
                await server.enter_room(sid, session_id, namespace=options.namespace)
                await self._follow(conversations, session_id)
            await server.emit("session_confirm", session_id, to=sid, namespace=options.namespace)

        async def user_uttered(sid: str, data: Any = None) -> None:
            said = self._said(sid, data)
            if said is not None:
                try:
                    # The connection's own trace would join all messages of a day.
                    with in_trace(begin_trace()):
                        await conversations.take(said)
                except TurnstreamError as error:
                    logger.warning("a message over socketio was not answered: %s", error.message)

        for event, handler in (
            ("connect", connect),
            ("session_request", session_request),
            (options.user_message_evt, user_uttered),
        ):
            server.on(event, handler, namespace=options.namespace)

    async def _follow(self, conversations: Conversations, session_id: str) -> None:
        try:
            await conversations.follow(session_id)
        except TurnstreamError as error:
            logger.warning("what the bot says of its own accord is not heard of yet: %s", error.message)

    def _is_known(self, auth: Any) -> bool:
        token = auth.get("token") if isinstance(auth, Mapping) else None
        try:
            jwt.decode(str(token).removeprefix("Bearer ").strip(), self._options.jwt_key, [self._options.jwt_method])
        except (jwt.PyJWTError, UnicodeEncodeError):
            return False
        return True

    def _said(self, sid: str, data: Any) -> UserSaid | None:
        """None for what is no message."""
        if not isinstance(data, Mapping) or not isinstance(data.get("message"), str):
            logger.warning("a message over socketio has no text in 'message', and is ignored")
            return None
        sender = data.get("session_id") if self._options.session_persistence else sid
        if not sender:
            logger.warning("a message over socketio has no 'session_id', and is ignored: send 'session_request' first")
            return None
        message_id = data.get("message_id")
        return UserSaid(str(sender), data["message"], self._metadata(data), str(message_id) if message_id else "")

    def _metadata(self, data: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """An object, or one written as JSON."""
        metadata = data.get(self._options.metadata_key)
        if isinstance(metadata, str):
            try:
                metadata = json.loads(metadata)
            except (ValueError, RecursionError):
                metadata = None
        return metadata if isinstance(metadata, Mapping) else None

    async def deliver(self, said: BotSaid) -> None:
        for message in said.messages:
            for packet in packets_of(message):
                await self._server.emit(
                    self._options.bot_message_evt, packet, to=said.conversation_id, namespace=self._options.namespace
                )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                if self._server.eio.sockets:
                    await self._server.eio.disconnect()
        await self._server.shutdown()


def packets_of(message: Mapping[str, Any]) -> Iterator[Any]:
    """A bot message as chat widgets read it, in Rasa's order and shapes."""
    text, choices = message.get("text") or "", message.get("quick_replies") or message.get("buttons")
    if text or choices:
        *before, last = text.strip().split(PARAGRAPH)
        yield from ({"text": part, **({"quick_replies": []} if choices else {})} for part in before)
        yield {"text": last, **({"quick_replies": [_choice(one) for one in choices]} if choices else {})}
    if custom := message.get("custom"):
        yield custom["data"] if isinstance(custom, Mapping) and "data" in custom else custom
    if image := message.get("image"):
        yield {"attachment": {"type": "image", "payload": {"src": image}}}
    if attachment := message.get("attachment"):
        yield {"attachment": attachment}
    for element in message.get("elements") or ():
        payload = {"template_type": "generic", "elements": element}
        yield {"attachment": {"type": "template", "payload": payload}}


def _choice(button: Any) -> Mapping[str, Any]:
    given = button if isinstance(button, Mapping) else {"title": str(button)}
    title = given.get("title")
    return {"content_type": "text", "title": title, "payload": given.get("payload", title)}
