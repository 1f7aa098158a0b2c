"""The partitions that a worker holds: what is committed, what is waiting, what is in flight."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace

from turnstream.turnlog.interface import Lease
from turnstream.turnlog.kafka.index import ConversationIndex, PartitionState
from turnstream.turnlog.kafka.records import Progress

MessageKey = tuple[str, str]
"""Conversation and message."""


@dataclass(slots=True)
class HeldPartition:
    """`state` is as committed; `position` and `waiting` run ahead of it by what was delivered since.

    `expected` are offsets that an earlier owner left unanswered and that were not read again yet. `revived` are
    conversations of the archive that have a message in flight: their index is in the state again with its turn.
    """

    lease: Lease
    state: PartitionState = field(default_factory=PartitionState)
    position: int = 0
    redelivering_until: int = 0
    waiting: set[int] = field(default_factory=set)
    expected: set[int] = field(default_factory=set)
    in_flight: dict[MessageKey, tuple[int, ...]] = field(default_factory=dict)
    conversations_in_flight: Counter[str] = field(default_factory=Counter)
    revived: dict[str, ConversationIndex] = field(default_factory=dict)
    is_claimed: bool = False
    is_closing: bool = False
    opening: "asyncio.Task[None] | None" = None

    def begin(self, state: PartitionState) -> int:
        """Go on from what is committed; the offset to read the inbox from."""
        progress = state.progress
        self.state = state
        self.position = self.redelivering_until = progress.position
        self.waiting = set(progress.waiting)
        self.expected = set(progress.waiting)
        return progress.low

    def index(self, conversation_id: str) -> ConversationIndex | None:
        """As committed; None where only the archive may know it, if anything does."""
        return self.state.index(conversation_id) or self.revived.get(conversation_id)

    def taken(self, key: MessageKey, offset: int, revived: ConversationIndex | None) -> None:
        """A message is to be answered."""
        self.waiting.add(offset)
        self.in_flight[key] = (offset,)
        self.conversations_in_flight[key[0]] += 1
        if revived is not None:
            self.revived[key[0]] = revived

    def came_again(self, key: MessageKey, offset: int) -> bool:
        """Whether the message is in flight already; then this place of it waits with the others."""
        if key not in self.in_flight:
            return False
        self.in_flight[key] += (offset,)
        self.waiting.add(offset)
        return True

    def delivered_at(self, key: MessageKey) -> int | None:
        return self.in_flight[key][0] if key in self.in_flight else None

    def settled(self, key: MessageKey) -> None:
        """It has its turn."""
        self.waiting.difference_update(self.in_flight.pop(key, ()))
        self.conversations_in_flight[key[0]] -= 1
        if self.conversations_in_flight[key[0]] <= 0:
            del self.conversations_in_flight[key[0]]
            self.revived.pop(key[0], None)

    def is_resting(self, conversation: bytes, index: ConversationIndex) -> bool:
        """Whether nothing happens in a conversation, and nothing has happened since it had this index."""
        conversation_id = conversation.decode()
        return conversation_id not in self.conversations_in_flight and self.state.index(conversation_id) == index

    def archived(self, conversations: list[bytes]) -> None:
        """These left the state; those that have gone on in the meantime are kept at hand."""
        for conversation in conversations:
            conversation_id = conversation.decode()
            if conversation_id in self.conversations_in_flight and (index := self.state.index(conversation_id)):
                self.revived[conversation_id] = replace(index, is_archived=True)
        self.state.drop(conversations)

    def wants(self, offset: int) -> bool:
        """Whether a record that was read is still to be looked at. Offsets must come in order."""
        gone = {expected for expected in self.expected if expected < offset}
        # Compaction or retention took these away while nobody answered them.
        self.waiting -= gone
        self.expected -= gone
        if offset >= self.redelivering_until:
            return offset >= self.position
        if offset in self.expected:
            self.expected.discard(offset)
            return True
        return False

    def passed(self, offset: int) -> None:
        """All up to this offset was looked at."""
        self.position = max(self.position, offset + 1)

    def progress_without(self, answered: set[int]) -> Progress:
        return Progress(self.position, tuple(sorted(self.waiting - answered)))
