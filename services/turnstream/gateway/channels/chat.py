"""The channel of the chat page: messages are posted, and turns are read on as server-sent events.

Nothing is held for a client that is away: what it missed is in the log, and it says from which turn on it wants it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Self

from aiohttp import web

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.events import BotUttered
from turnstream.dialogue.proto import event_from_proto
from turnstream.gateway.channel import BotSaid, Channel, ChannelRoute, Conversations, UserSaid
from turnstream.gateway.deliveries import message_of
from turnstream.gateway.requests import identifier
from turnstream.gateway.rest.bodies import answer, optional_text, read_object, text_field
from turnstream.gateway.rest.event_stream import ServerEvent, first_turn, sent
from turnstream.gateway.rest.replies import reply_json
from turnstream.inspector.turns import user_text

KEYS: tuple[str, ...] = ()
"""Its section in `credentials.yml` is empty."""
REMEMBERED = 64
"""Messages that a reader knows to be answered, or has been told to be under way."""


class ChatChannel(Channel):
    """`tells_all` says who is an author: they see turns that came by other channels too, and what went wrong."""

    name = "chat"
    delivers_once = False

    def __init__(self, *, tells_all: Callable[[web.Request], bool] = lambda request: False) -> None:
        self._tells_all = tells_all
        self._readers: dict[str, set[_Reader]] = {}

    @classmethod
    def from_credentials(cls, credentials: Mapping[str, Any]) -> Self:
        return cls()

    def routes(self, conversations: Conversations) -> Iterable[ChannelRoute]:
        async def receive(request: web.Request) -> web.StreamResponse:
            """`sender`, `message`, `metadata`; `message_id` makes a retry safe."""
            said = _said(await read_object(request))
            message_id = await conversations.accept(said)
            for reader in self._readers.get(said.sender, ()):
                reader.begun(message_id)
            return answer({"message_id": message_id}, 202)

        async def read(request: web.Request) -> web.StreamResponse:
            sender = identifier(request.query.get("sender", ""), "sender")
            events = self._events(conversations, sender, first_turn(request), self._tells_all(request))
            return await sent(request, events)

        return (
            ("GET", "/webhooks/chat/", _health),
            ("GET", "/webhooks/chat", _health),
            ("POST", "/webhooks/chat/messages", receive),
            ("GET", "/webhooks/chat/turns", read),
        )

    async def deliver(self, said: BotSaid) -> None:
        """Whoever reads the conversation has it from the log."""

    async def _events(
        self, conversations: Conversations, sender: str, from_turn: int, tells_all: bool
    ) -> AsyncIterator[ServerEvent]:
        with self._reading(sender) as reader:
            async with aclosing(conversations.turns(sender, from_turn)) as turns:  # type: ignore[type-var]
                turn = asyncio.ensure_future(anext(turns))
                typing = asyncio.ensure_future(reader.next())
                try:
                    while True:
                        await asyncio.wait({turn, typing}, return_when=asyncio.FIRST_COMPLETED)
                        if turn.done():
                            record = turn.result()
                            turn = asyncio.ensure_future(anext(turns))
                            reader.answered(record.message_id)
                            # Who guesses the id of another channel's conversation, such as a phone number,
                            # reads nothing of it.
                            if tells_all or record.channel == self.name:
                                yield ServerEvent("turn", chat_turn(record, tells_all), record.turn_number)
                        else:
                            message_id = typing.result()
                            typing = asyncio.ensure_future(reader.next())
                            yield ServerEvent("typing", {"message_id": message_id})
                finally:
                    for task in (turn, typing):
                        task.cancel()
                    await asyncio.gather(turn, typing, return_exceptions=True)

    @contextmanager
    def _reading(self, sender: str) -> Iterator["_Reader"]:
        reader = _Reader()
        self._readers.setdefault(sender, set()).add(reader)
        try:
            yield reader
        finally:
            readers = self._readers[sender]
            readers.discard(reader)
            if not readers:
                del self._readers[sender]


class _Reader:
    """What one reader is to be told of messages under way."""

    def __init__(self) -> None:
        self._begun: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._news = asyncio.Event()

    def begun(self, message_id: str) -> None:
        """It was accepted; a message that is sent again may have its turn already."""
        if message_id not in self._known:
            _remember(self._begun, message_id)
            self._news.set()

    def answered(self, message_id: str) -> None:
        self._begun.pop(message_id, None)
        _remember(self._known, message_id)

    async def next(self) -> str:
        """The next message that is under way."""
        while not self._begun:
            self._news.clear()
            await self._news.wait()
        message_id, _ = self._begun.popitem(last=False)
        _remember(self._known, message_id)
        return message_id


def _remember(messages: OrderedDict[str, None], message_id: str) -> None:
    messages[message_id] = None
    if len(messages) > REMEMBERED:
        messages.popitem(last=False)


def chat_turn(record: TurnRecord, with_errors: bool) -> dict[str, Any]:
    """A committed turn as the chat shows it. `text` is what the user said, None where nobody said anything."""
    turn = {
        "number": record.turn_number,
        "message_id": record.message_id,
        "text": user_text(record),
        "replies": shown_replies(record),
        "committed_at": record.committed_at.ToJsonString(),
        "bundle_version": record.bundle_version,
    }
    if with_errors:
        turn["errors"] = [{"where": error.where, "message": error.message} for error in record.errors]
    return turn


def shown_replies(record: TurnRecord) -> list[dict[str, Any]]:
    """As the REST channel sends them; of history that was appended, what the bot said then."""
    if record.replies:
        replies = (reply_json(record.conversation_id, reply) for reply in record.replies)
        return [{key: value for key, value in reply.items() if key != "recipient_id"} for reply in replies]
    events = (event_from_proto(event) for event in record.events if event.WhichOneof("body") == "bot_uttered")
    return [dict(message_of(event)) for event in events if isinstance(event, BotUttered)]


def _said(body: dict[str, Any]) -> UserSaid:
    """Raises BadField. Nobody is a stranger's namesake: `sender` must be given."""
    sender, text = text_field(body, "sender"), text_field(body, "message")
    return UserSaid(sender, text, body.get("metadata"), optional_text(body, "message_id") or "")


async def _health(request: web.Request) -> web.StreamResponse:
    return answer({"status": "ok"})
