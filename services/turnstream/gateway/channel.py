"""What a channel is: a way in for users' messages, and a way out for the bot's. Authors write their own with this.

    class Pager(Channel):
        name = "pager"

        @classmethod
        def from_credentials(cls, credentials):
            return cls(credentials["number"])

        def routes(self, conversations):
            async def receive(request):
                body = await request.json()
                await conversations.take(UserSaid(body["from"], body["text"]))
                return web.Response()

            yield "POST", "/webhooks/pager/webhook", receive

        async def deliver(self, said):
            for message in said.messages:
                ...

`credentials.yml` names the class by its module path (`my_channels.Pager:`); what stands below it is `credentials`.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from aiohttp import web

from turnstream.api.v1.turnlog_pb2 import TurnRecord

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ChannelRoute = tuple[str, str, Handler]
"""Method, path, and what answers (https://docs.aiohttp.org); paths begin with `/webhooks/<name>`."""


@dataclass(frozen=True, slots=True)
class UserSaid:
    """`sender` is the conversation. The same `message_id` again is the same message; empty: it gets one."""

    sender: str
    text: str
    metadata: Mapping[str, Any] | None = None
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class BotSaid:
    """What the bot said in one turn. `turn` counts from 1 within the conversation.

    `messages` are as the author wrote them, each with those of `text`, `buttons`, `quick_replies`, `elements`, `image`,
    `attachment` and `custom` that it has. `replies` are the same as the REST channel sends them.
    """

    conversation_id: str
    turn: int
    messages: tuple[Mapping[str, Any], ...]
    replies: tuple[Mapping[str, Any], ...]


class Conversations(Protocol):
    """What a channel may ask the gateway for. All raise `turnstream.runtime.errors.TurnstreamError`."""

    async def take(self, said: UserSaid) -> None:
        """Take a message; the bot's reply goes to `Channel.deliver`, and was delivered when this returns."""
        ...

    async def follow(self, conversation_id: str) -> None:
        """From now on `Channel.deliver` gets what the bot says there of its own accord, such as reminders.

        A conversation whose message was taken is followed already.
        """
        ...

    async def accept(self, said: UserSaid) -> str:
        """Take a message, and no more: its id, once it cannot be lost. The bot's reply is among the `turns`."""
        ...

    def turns(self, conversation_id: str, from_turn: int) -> AsyncIterator[TurnRecord]:
        """The conversation's turns from this number on: past ones, then live ones. Raises Unavailable at the end of
        this gateway. Close the iterator to stop."""
        ...


class Channel(ABC):
    """One for each entry of `credentials.yml`, made once."""

    name: ClassVar[str]
    """As conversations, conditions and responses know it: `channel: pager`."""

    delivers_once: bool = True
    """Of several gateways only the one that took a conversation's latest message delivers. False where each has its
    own listeners, as with WebSockets: then all that follow it deliver."""

    @classmethod
    @abstractmethod
    def from_credentials(cls, credentials: Mapping[str, Any]) -> Self:
        """Raises ValueError, for the author to read, where something is missing or wrong."""

    @abstractmethod
    def routes(self, conversations: Conversations) -> Iterable[ChannelRoute]:
        """Where messages come in. Who may call is for the channel to check."""

    @abstractmethod
    async def deliver(self, said: BotSaid) -> None:
        """Bring it to the user. In a conversation one turn comes after the other; what is raised is logged."""

    async def close(self) -> None:
        """The gateway ends; may be called more than once."""
        return
