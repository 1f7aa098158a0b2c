"""A conversation read back from the log, turn by turn, with the state before and after each."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.domain import Domain
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto_late import event_read_late
from turnstream.runtime.errors import NotFound
from turnstream.turnlog.interface import ConversationState
from turnstream.turnlog.records import erases

REMEMBERED = 8
"""Conversations of which states are kept: another page goes on from the nearest one before it."""
AT_ONCE = 100
"""Turns that are folded until others have their turn, and between states that are kept."""

_AFTER_ALL = 2**62


class ConversationLog(Protocol):
    """What is asked of the turn log."""

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState: ...


@dataclass(frozen=True, slots=True)
class Told:
    """A turn; `before` and `after` are the conversation around it."""

    record: TurnRecord
    before: Dialogue
    after: Dialogue


@dataclass(frozen=True, slots=True)
class TurnPage:
    """`next` is the number of the first turn after these; None where there is none yet."""

    turns: tuple[Told, ...]
    next: int | None


@dataclass(slots=True)
class _Fold:
    """A conversation after `last_turn` turns."""

    dialogue: Dialogue
    last_turn: int = 0

    def add(self, record: TurnRecord) -> Told:
        """The next turn. What was erased does not count any longer."""
        before = self.dialogue
        after = Dialogue(before.conversation_id, before.domain) if erases(record) else before.branch()
        after.extend(event_read_late(event) for event in record.events)
        self.dialogue, self.last_turn = after, record.turn_number
        return Told(record, before, after)


class Histories:
    """Folded by the domain of the bundle that serves, as trackers are. Raises NoBundle where there is none."""

    def __init__(self, log: ConversationLog, domain: Callable[[], Domain]) -> None:
        self._log = log
        self._domain = domain
        self._kept: OrderedDict[str, dict[int, Dialogue]] = OrderedDict()
        """By conversation the states after some of its turns; they share what they have in common."""

    async def page(self, conversation_id: str, from_turn: int, limit: int) -> TurnPage:
        """Nothing of an unknown conversation."""
        fold, records = await self._read(conversation_id, from_turn)
        told = [fold.add(record) for record in records[:limit]]
        self._keep(fold)
        return TurnPage(tuple(told), records[limit].turn_number if len(records) > limit else None)

    async def latest(self, conversation_id: str) -> Dialogue:
        """The conversation now; an empty one where it is unknown."""
        fold, _ = await self._read(conversation_id, _AFTER_ALL)
        return fold.dialogue

    async def turn(self, conversation_id: str, number: int) -> Told:
        """Raises NotFound."""
        fold, records = await self._read(conversation_id, number)
        if not records or records[0].turn_number != number:
            raise _no_turn(conversation_id, number, records[-1].turn_number if records else fold.last_turn)
        return fold.add(records[0])

    async def records(self, conversation_id: str, until: int) -> Sequence[TurnRecord]:
        """The turns up to this one, with it. Raises NotFound."""
        state = await self._log.conversation(conversation_id, from_turn=1)
        records = [record for record in state.turns if record.turn_number <= until]
        if not records or records[-1].turn_number != until:
            raise _no_turn(conversation_id, until, state.last_turn)
        return records

    async def following(
        self, conversation_id: str, from_turn: int, turns: Callable[[int], AsyncIterator[TurnRecord]]
    ) -> AsyncIterator[Told]:
        """Each turn from this number on, without end; `turns` reads the log from a number on."""
        fold, _ = await self._read(conversation_id, from_turn)
        async with aclosing(turns(fold.last_turn + 1)) as records:  # type: ignore[type-var]
            async for record in records:
                told = fold.add(record)
                if record.turn_number >= from_turn:
                    yield told

    async def _read(self, conversation_id: str, from_turn: int) -> tuple[_Fold, list[TurnRecord]]:
        """The conversation before a turn, and the turns from that one on."""
        fold = self._start(conversation_id, from_turn)
        state = await self._log.conversation(conversation_id, from_turn=fold.last_turn + 1)
        await self._fold(fold, [record for record in state.turns if record.turn_number < from_turn])
        return fold, [record for record in state.turns if record.turn_number >= from_turn]

    def _start(self, conversation_id: str, from_turn: int) -> _Fold:
        """The latest state that is kept of before a turn."""
        domain = self._domain()
        kept = self._kept.get(conversation_id, {})
        turns = [turn for turn, dialogue in kept.items() if turn < from_turn and dialogue.domain is domain]
        if not turns:
            return _Fold(Dialogue(conversation_id, domain))
        return _Fold(kept[max(turns)], max(turns))

    async def _fold(self, fold: _Fold, records: Sequence[TurnRecord]) -> None:
        for place, record in enumerate(records, 1):
            fold.add(record)
            if not place % AT_ONCE:
                self._keep(fold)
                await asyncio.sleep(0)
        self._keep(fold)

    def _keep(self, fold: _Fold) -> None:
        conversation_id = fold.dialogue.conversation_id
        kept = self._kept.setdefault(conversation_id, {})
        if any(dialogue.domain is not fold.dialogue.domain for dialogue in kept.values()):
            kept.clear()
        kept[fold.last_turn] = fold.dialogue
        self._kept.move_to_end(conversation_id)
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)


def _no_turn(conversation_id: str, number: int, last: int) -> NotFound:
    if not last:
        return NotFound(f"There is no conversation '{conversation_id}'.")
    return NotFound(f"Conversation '{conversation_id}' has no turn {number}; its last one is {last}.")
