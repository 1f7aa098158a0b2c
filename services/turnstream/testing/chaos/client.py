"""The clients of a run: they send, try again elsewhere, ask twice, read along, and remember all that they were told."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import grpc
import grpc.aio

from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.testing.chaos.plan import Manner, PlannedConversation, PlannedMessage
from turnstream.turnlog.checker import Witness

_PAUSE_S = 0.1
"""Between attempts: a gateway that is dead refuses at once."""
_READ_S = 3.0
"""A subscription in which nothing comes for so long is opened anew: its gateway may hang."""


@dataclass(slots=True)
class Memory:
    """What the clients of a run saw, and how often they had to try."""

    acknowledged: set[tuple[str, str]] = field(default_factory=set)
    answers: dict[str, list[pb.Turn]] = field(default_factory=lambda: defaultdict(list))
    read: dict[str, list[pb.Turn]] = field(default_factory=lambda: defaultdict(list))
    in_order: list[tuple[str, str, str]] = field(default_factory=list)
    """Conversation and two messages, the second of which was sent after the first was acknowledged."""
    heard: list[str] = field(default_factory=list)
    """`conversation/message` in the order in which the first answers came."""
    attempts: int = 0
    failures: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def witness(self) -> Witness:
        return Witness(frozenset(self.acknowledged), self.answers, self.read)


class Gateways:
    """Where clients find the gateways, and who waits where. `addresses` are those of now, dead ones included."""

    def __init__(self, addresses: Callable[[], Sequence[str]]) -> None:
        self._addresses = addresses
        self._waiting: dict[str, int] = defaultdict(int)
        self.changed = asyncio.Event()

    def pick(self, choice: int) -> str:
        addresses = self._addresses()
        return addresses[choice % len(addresses)]

    def has_waiting(self, address: str) -> bool:
        return self._waiting[address] > 0

    @contextmanager
    def waiting_at(self, address: str) -> Iterator[None]:
        self._waiting[address] += 1
        self.changed.set()
        try:
            yield
        finally:
            self._waiting[address] -= 1


@asynccontextmanager
async def gateway_stub(address: str) -> AsyncIterator[Any]:
    """A `ConversationsStub`, on a channel of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield ConversationsStub(channel)


class Client:
    """Whoever talks in one conversation."""

    def __init__(self, planned: PlannedConversation, gateways: Gateways, memory: Memory) -> None:
        self._planned = planned
        self._id = planned.conversation_id
        self._gateways = gateways
        self._memory = memory

    async def talk(self, warm: asyncio.Barrier) -> None:
        """Until every message is answered, again as often as planned; one that is abandoned, until it is accepted.

        After the first message it waits for all others who wait at `warm`.
        """
        first, *others = self._planned.messages
        await self._see_through(first, asyncio.Event())
        await warm.wait()
        latest = first.message_id
        async with asyncio.TaskGroup() as hurried:
            for message in others:
                await asyncio.sleep(message.pause_s)
                self._memory.in_order.append((self._id, latest, message.message_id))
                accepted = asyncio.Event()
                task = hurried.create_task(self._see_through(message, accepted))
                if message.is_hurried:
                    await accepted.wait()
                else:
                    await task
                latest = message.message_id

    async def _see_through(self, message: PlannedMessage, accepted: asyncio.Event) -> None:
        choices = cycle(message.gateways)
        for _ in range(1 + message.repeats):
            await self._insist(message, choices, accepted)
        accepted.set()

    async def ask_again(self) -> None:
        """Once more for the answer to every message, those that were abandoned included."""
        for message in self._planned.messages:
            await self._insist(replace(message, manner=Manner.SEND), cycle(message.gateways), asyncio.Event())

    async def _insist(self, message: PlannedMessage, choices: Iterator[int], accepted: asyncio.Event) -> None:
        while True:
            address = self._gateways.pick(next(choices))
            self._memory.attempts += 1
            try:
                with self._gateways.waiting_at(address):
                    await self._attempt(address, message, accepted)
                return
            except grpc.aio.AioRpcError as error:
                self._memory.failures[error.code().name] += 1
            await asyncio.sleep(_PAUSE_S)

    async def _attempt(self, address: str, message: PlannedMessage, accepted: asyncio.Event) -> None:
        async with gateway_stub(address) as stub:
            if message.manner is Manner.SEND:
                request = pb.SendMessageRequest(
                    conversation_id=self._id, message_id=message.message_id, text=message.text
                )
                response = await stub.SendMessage(request, timeout=message.patience_s)
                self._answered(message, response.turn)
                accepted.set()
            else:
                await self._stream(stub, message, accepted)

    async def _stream(self, stub: Any, message: PlannedMessage, accepted: asyncio.Event) -> None:
        request = pb.StreamMessageRequest(conversation_id=self._id, message_id=message.message_id, text=message.text)
        replies: list[pb.Reply] = []
        async for response in stub.StreamMessage(request, timeout=message.patience_s):
            match response.WhichOneof("part"):
                case "accepted":
                    self._memory.acknowledged.add((self._id, message.message_id))
                    accepted.set()
                    if message.manner is Manner.ABANDON:
                        return
                case "reply":
                    replies.append(response.reply)
                case "turn":
                    assert replies == list(response.turn.replies), "replies differ from their turn's"
                    self._answered(message, response.turn)

    def _answered(self, message: PlannedMessage, turn: pb.Turn) -> None:
        self._memory.acknowledged.add((self._id, message.message_id))
        self._memory.answers[self._id].append(turn)
        name = f"{self._id}/{message.message_id}"
        if name not in self._memory.heard:
            self._memory.heard.append(name)

    async def read_along(self) -> None:
        """Until cancelled: every turn from the first, again from where it was whenever the gateway is gone."""
        read = self._memory.read[self._id]
        for choice in cycle(self._planned.reads_from):
            address = self._gateways.pick(choice)
            try:
                async with gateway_stub(address) as stub:
                    request = pb.SubscribeRequest(conversation_id=self._id, from_turn=len(read) + 1)
                    stream = stub.Subscribe(request, timeout=_READ_S)
                    async for response in stream:
                        read.append(response.turn)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._memory.failures[f"subscribe {error.code().name}"] += 1
                    await asyncio.sleep(_PAUSE_S)
