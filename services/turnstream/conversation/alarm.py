"""Puts the reminders of a worker's conversations into the inbox when they are due.

What is still to fire is in the log (`TurnWriter.agendas`), so that whoever takes a partition over goes on with it. A
reminder's message has the same id wherever it is sent from: sent twice, by a worker that died and by the next one, it
is still one message with one turn.
"""

import asyncio
import heapq
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from turnstream.api.v1.turnlog_pb2 import PendingReminder
from turnstream.conversation.metrics import PENDING_REMINDERS
from turnstream.conversation.reminders import Agenda, decode_agendas, due_s, inbox_message
from turnstream.turnlog.errors import Fenced, LogClosed, MessageTooLarge
from turnstream.turnlog.interface import Lease, TurnWriter

logger = logging.getLogger(__name__)

_PAUSE_S = 1.0
"""Before what failed is tried again."""
_LONGEST_SLEEP_S = 10.0
"""A clock that is set while nothing is due is noticed so soon."""
_MOST_TOGETHER = 64
_FEW_OVER = 1000


@dataclass(slots=True)
class _Held:
    """A partition of this worker. Until its agendas were read, what turns have left since is kept as it came."""

    lease: Lease
    agendas: dict[str, Agenda] = field(default_factory=dict)
    is_read: bool = False


class Alarm:
    """Loop-bound. `claimed`, `revoked` and `remind` only take note; `run` does the rest."""

    def __init__(
        self,
        log: TurnWriter,
        partition_of: Callable[[str], int],
        bundle_version_for: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives seconds since the epoch, `bundle_version_for` the version that serves a conversation."""
        self._log = log
        self._partition_of = partition_of
        self._bundle_version_for = bundle_version_for
        self._clock = clock
        self._held: dict[int, _Held] = {}
        self._due: list[tuple[float, str, str]] = []
        """A heap of times, conversations and messages. What is not on an agenda any more is passed over."""
        self._pending = 0
        self._news = asyncio.Event()

    def claimed(self, lease: Lease) -> None:
        if (earlier := self._held.get(lease.partition)) is not None:
            self.revoked(earlier.lease)
        self._held[lease.partition] = _Held(lease)
        self._news.set()

    def revoked(self, lease: Lease) -> None:
        held = self._held.get(lease.partition)
        if held is not None and held.lease == lease:
            self._count(-sum(map(len, held.agendas.values())))
            del self._held[lease.partition]

    def remind(self, conversation_id: str, agenda: Agenda) -> None:
        """What is still to fire in a conversation now."""
        held = self._held.get(self._partition_of(conversation_id))
        if held is None:
            return
        before = held.agendas.get(conversation_id, ())
        if agenda or not held.is_read:
            held.agendas[conversation_id] = agenda
        else:
            held.agendas.pop(conversation_id, None)
        self._count(len(agenda) - len(before))
        known = {reminder.message_id for reminder in before}
        for reminder in agenda:
            if reminder.message_id not in known:
                self._push(due_s(reminder), conversation_id, reminder.message_id)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled, or the log is closed."""
        while True:
            self._news.clear()
            try:
                are_known = await self._read_claimed()
                is_done = await self._fire_due() and are_known
            except LogClosed:
                return
            sleep_s = min(_LONGEST_SLEEP_S, self._next_s() - self._clock()) if is_done else _PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, sleep_s)):
                    await self._news.wait()

    async def _read_claimed(self) -> bool:
        """Whether all that was claimed is known now."""
        unread = [held for held in self._held.values() if not held.is_read]
        for held in unread:
            try:
                await self._take(held, await self._log.agendas(held.lease))
            except LogClosed:
                raise
            except Fenced:
                self.revoked(held.lease)
            except Exception:
                logger.exception("the reminders of partition %d are not known yet", held.lease.partition)
                return False
        return True

    async def _take(self, held: _Held, found: Mapping[str, bytes]) -> None:
        for number, (conversation_id, agenda) in enumerate(decode_agendas(found)):
            if number % _MOST_TOGETHER == 0:
                # Turns go on meanwhile, and may change what was read.
                await asyncio.sleep(0)
            if self._held.get(held.lease.partition) is not held:
                return
            if conversation_id not in held.agendas:
                self.remind(conversation_id, agenda)
        held.is_read, held.agendas = True, {c: agenda for c, agenda in held.agendas.items() if agenda}

    async def _fire_due(self) -> bool:
        """Whether all that is due now is in the inbox."""
        are_put = True
        now_s = self._clock()
        while due := self._pop_due(now_s):
            put = await asyncio.gather(*(self._fire(conversation, message) for _, conversation, message in due))
            for (_, conversation_id, message_id), is_put in zip(due, put, strict=True):
                if not is_put:
                    are_put = False
                    self._push(now_s + _PAUSE_S, conversation_id, message_id)
        return are_put

    def _pop_due(self, now_s: float) -> list[tuple[float, str, str]]:
        due: list[tuple[float, str, str]] = []
        while self._next_s() <= now_s and len(due) < _MOST_TOGETHER:
            due.append(heapq.heappop(self._due))
        return due

    async def _fire(self, conversation_id: str, message_id: str) -> bool:
        reminder = self._find(conversation_id, message_id)
        if reminder is None:
            return True
        try:
            version = self._bundle_version_for(conversation_id)
            await self._log.put(inbox_message(reminder, conversation_id, self._clock(), version))
        except LogClosed:
            raise
        except (ValueError, MessageTooLarge):
            logger.exception("reminder '%s' of '%s' cannot fire", reminder.reminder.name, conversation_id)
        except Exception:
            logger.exception("reminder '%s' of '%s' has not fired yet", reminder.reminder.name, conversation_id)
            return False
        return True

    def _find(self, conversation_id: str, message_id: str) -> PendingReminder | None:
        held = self._held.get(self._partition_of(conversation_id))
        agenda = () if held is None else held.agendas.get(conversation_id, ())
        return next((reminder for reminder in agenda if reminder.message_id == message_id), None)

    def _push(self, moment_s: float, conversation_id: str, message_id: str) -> None:
        heapq.heappush(self._due, (moment_s, conversation_id, message_id))

    def _next_s(self) -> float:
        return self._due[0][0] if self._due else float("inf")

    def _count(self, more: int) -> None:
        self._pending += more
        PENDING_REMINDERS.set(self._pending)
        if len(self._due) > 2 * self._pending + _FEW_OVER:
            # A reminder that every message puts off leaves its earlier times behind.
            self._due = [entry for entry in self._due if self._find(entry[1], entry[2]) is not None]
            heapq.heapify(self._due)
