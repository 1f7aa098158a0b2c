"""Bringing what the bot says to a channel that does not wait for it: each turn of a conversation, in order.

A conversation is followed from the turn of the first message that this gateway took there, until another gateway takes
one, or until too many others were followed since.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.dialogue.events import BotUttered
from turnstream.dialogue.proto import event_from_proto
from turnstream.gateway import requests
from turnstream.gateway.access import Access
from turnstream.gateway.channel import BotSaid, Channel, UserSaid
from turnstream.gateway.door import Door
from turnstream.gateway.metrics import DELIVERIES
from turnstream.gateway.rest.replies import replies_json
from turnstream.gateway.rest.webhook import Route
from turnstream.runtime.errors import DeadlinePassed

logger = logging.getLogger(__name__)

FOLLOWED = 5_000
"""Conversations of a channel that are followed at once."""
DRAIN_S = 10.0
PATIENCE_S = 3600.0
"""How long a turn that its client did not wait for is still awaited, to be delivered."""


class Deliveries:
    """Of one channel."""

    def __init__(self, channel: Channel, door: Door, followed: int = FOLLOWED) -> None:
        self.channel = channel
        self._door = door
        self._most = followed
        self._followed: OrderedDict[str, _Followed] = OrderedDict()
        self._late: set[asyncio.Task[TurnRecord]] = set()
        self._senders: set[asyncio.Task[Any]] = set()

    def routes(self) -> Iterable[Route]:
        return [(*route, Access.PUBLIC) for route in self.channel.routes(self)]

    async def take(self, said: UserSaid) -> None:
        """See `Conversations`."""
        await self.send(self._message(said))

    async def accept(self, said: UserSaid) -> str:
        """See `Conversations`."""
        message = self._message(said)
        await self._door.accept(message)
        return message.message_id

    def turns(self, conversation_id: str, from_turn: int) -> AsyncIterator[TurnRecord]:
        """See `Conversations`."""
        return self._door.turns(conversation_id, from_turn)

    def _message(self, said: UserSaid) -> InboxMessage:
        limit = self._door.limits.max_message_bytes
        metadata = None if said.metadata is None else requests.map_within(said.metadata, "metadata", limit)
        message_id = said.message_id or self._door.new_id()
        message = requests.inbox_message(said.sender, message_id, self.channel.name)
        message.user_message.CopyFrom(requests.user_message(said.text, metadata, limit))
        return message

    async def follow(self, conversation_id: str) -> None:
        """See `Conversations`."""
        tracker = await self._door.tracker(conversation_id)
        self._of(conversation_id).begin(tracker.turn_number + 1)

    async def send(self, message: InboxMessage) -> TurnRecord:
        """Accept a message and deliver its turn. Raises as `Door.send`; a turn that comes later is delivered too."""
        sender = asyncio.current_task()
        assert sender is not None
        self._senders.add(sender)
        try:
            return await self._send(message)
        finally:
            self._senders.discard(sender)

    async def _send(self, message: InboxMessage) -> TurnRecord:
        followed = self._of(message.conversation_id)
        followed.own.add(message.message_id)
        await self._door.accept(message)
        turning = asyncio.create_task(self._turn(message, followed))
        self._late.add(turning)
        turning.add_done_callback(self._late.discard)
        try:
            async with asyncio.timeout(self._door.limits.turn_s):
                record = await asyncio.shield(turning)
                await followed.reached(record.turn_number)
                followed.own.discard(message.message_id)
        except TimeoutError as error:
            late = f"message '{message.message_id}' has no turn yet; what it is answered will be delivered"
            raise DeadlinePassed(late) from error
        return record

    async def _turn(self, message: InboxMessage, followed: "_Followed") -> TurnRecord:
        record = await self._door.turn(message.conversation_id, message.message_id, PATIENCE_S)
        followed.begin(record.turn_number)
        return record

    def _of(self, conversation_id: str) -> "_Followed":
        requests.identifier(conversation_id, "conversation_id")
        followed = self._followed.pop(conversation_id, None) or _Followed(conversation_id, self.channel, self._door)
        self._followed[conversation_id] = followed
        if len(self._followed) > self._most:
            # Those whose messages are under way stay.
            idle = next((name for name, other in self._followed.items() if not other.own), conversation_id)
            if idle != conversation_id:
                self._followed.pop(idle).cancel()
        return followed

    async def drain(self) -> None:
        """Let what is under way be delivered, then close the channel's connections."""
        if self._senders:
            await asyncio.wait(self._senders, timeout=DRAIN_S)
        await self.channel.close()

    async def close(self) -> None:
        tasks = [*self._late, *(f.task for f in self._followed.values() if f.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.channel.close()


class _Followed:
    """A conversation. `own` are the messages of clients that came by this gateway and have no turn yet."""

    def __init__(self, conversation_id: str, channel: Channel, door: Door) -> None:
        self.own: set[str] = set()
        self.task: asyncio.Task[None] | None = None
        self._conversation_id = conversation_id
        self._channel = channel
        self._door = door
        self._done = 0
        self._delivers = False
        self._news = asyncio.Condition()

    def begin(self, turn: int) -> None:
        """Deliver from this turn on; does nothing where it does already."""
        if not self._delivers:
            self._delivers = True
            self._done = turn - 1
            self.task = asyncio.create_task(self._deliver_all(turn))

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def reached(self, turn: int) -> None:
        """Until this turn was delivered, or nobody here delivers any more."""
        async with self._news:
            await self._news.wait_for(lambda: self._done >= turn or not self._delivers)

    async def _deliver_all(self, turn: int) -> None:
        try:
            async for record in self._door.follow(self._conversation_id, turn):
                if self._is_anothers(record):
                    return
                self.own.discard(record.message_id)
                if record.channel == self._channel.name and record.replies:
                    await self._deliver(record)
                self._done = record.turn_number
                async with self._news:
                    self._news.notify_all()
        except Exception:
            logger.exception("conversation '%s' is not followed any more", self._conversation_id)
        finally:
            self._delivers = False
            async with self._news:
                self._news.notify_all()

    def _is_anothers(self, record: TurnRecord) -> bool:
        """Whether a client sent this message to another gateway, which delivers now. Reminders come from no client."""
        if not self._channel.delivers_once or record.message_id in self.own:
            return False
        return any(
            event.WhichOneof("body") == "user_uttered" and event.user_uttered.message_id == record.message_id
            for event in record.events
        )

    async def _deliver(self, record: TurnRecord) -> None:
        try:
            await self._channel.deliver(said_in(record))
        except Exception as error:
            # A channel is an author's code: whatever it raises, the next turn is delivered.
            DELIVERIES.labels(self._channel.name, "failed").inc()
            where = f"turn {record.turn_number} of '{record.conversation_id}'"
            logger.error("channel '%s': %s was not delivered: %r", self._channel.name, where, error)
        else:
            DELIVERIES.labels(self._channel.name, "delivered").inc()


def said_in(record: TurnRecord) -> BotSaid:
    events = [event_from_proto(event) for event in record.events if event.WhichOneof("body") == "bot_uttered"]
    messages = tuple(message_of(event) for event in events if isinstance(event, BotUttered))
    replies = tuple(replies_json(record.conversation_id, record.replies))
    return BotSaid(record.conversation_id, record.turn_number, messages, replies)


def message_of(event: BotUttered) -> Mapping[str, Any]:
    """Only the keys that the message has. An image that stands in as attachment is left out there."""
    message = {"text": event.text, **event.data}
    if message.get("attachment") == message.get("image"):
        message.pop("attachment", None)
    return {key: value for key, value in message.items() if value}
