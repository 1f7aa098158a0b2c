"""Answers the messages of its partitions: in order within a conversation, concurrently across conversations."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from turnstream.conversation.alarm import Alarm
from turnstream.conversation.answering import Answering
from turnstream.conversation.crashpoints import crash_point
from turnstream.conversation.dialogues import Dialogues
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.metrics import TURN_SECONDS, TURNS_IN_FLIGHT
from turnstream.conversation.restoring import LiveDialogue
from turnstream.conversation.turn import TurnHandler
from turnstream.runtime.settings import ConversationSettings
from turnstream.turnlog.errors import Fenced, LogClosed
from turnstream.turnlog.interface import Delivery, Lease, TurnWriter, Undecodable

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Lane:
    """The messages of one conversation that wait, and the task that answers them one by one."""

    lease: Lease
    waiting: deque[Delivery] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None
    committing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from before a commit until memory has caught up with the log."""


class ConversationWorker:
    """A `turnlog.interface.Assignee`. At most `max_turns_in_flight` messages are taken before their turns are done."""

    def __init__(
        self,
        log: TurnWriter,
        handler: TurnHandler,
        settings: ConversationSettings | None = None,
        *,
        partition_of: Callable[[str], int],
        address: str = "",
        bundle_version_for: Callable[[str], str] = lambda conversation_id: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`address` is where other replicas reach this one; empty: they do not.

        `bundle_version_for` names the version that answers a conversation's reminders, `clock` tells when they are due.
        """
        settings = settings or ConversationSettings()
        self.address = address
        self.dialogues = Dialogues(log, settings)
        self._log = log
        self._alarm = Alarm(log, partition_of, bundle_version_for, clock)
        self._answering = Answering(log, handler, self.dialogues, settings, self._alarm.remind)
        self._partition_of = partition_of
        self._drain_s = settings.drain_s
        self._room = asyncio.Semaphore(settings.max_turns_in_flight)
        self._lanes: dict[str, _Lane] = {}
        self._retired: list[_Lane] = []
        """Lanes of earlier leases whose last turn has not ended yet."""
        self._partitions: dict[int, int] = {}
        """The epoch under which each partition is held."""
        self._is_stopping = False

    async def run(self) -> None:
        """Until `stop`, or until cancelled."""
        if self._is_stopping:
            return
        alarm = asyncio.create_task(self._alarm.run())
        try:
            await self._log.work(self, self.address)
        finally:
            alarm.cancel()
            await asyncio.gather(alarm, return_exceptions=True)
            await asyncio.gather(*(self._close(lane, wait_s=0.0) for lane in self._all_lanes()))

    async def stop(self) -> None:
        """Take nothing more, give the turns under way `drain_s` seconds to finish, and hand the partitions over.

        What did not finish in time was not committed: the next owner does it again, with the same idempotency keys.
        """
        self._is_stopping = True
        await asyncio.gather(*(self._close(lane, self._drain_s) for lane in self._all_lanes()))
        await self._log.leave()

    def holds(self, conversation_id: str) -> bool:
        return self._partition_of(conversation_id) in self._partitions

    async def read(self, conversation_id: str, assistant: LoadedAssistant, *, whole: bool = False) -> LiveDialogue:
        """A conversation as committed: whoever has seen a turn's reply finds the turn in it.

        `whole`: with all its past, where less was not enough (EarlierEventsNeeded).
        """
        lane = self._lanes.get(conversation_id)
        if lane is not None:
            async with lane.committing:
                pass
        if whole:
            return await self.dialogues.whole(conversation_id, assistant)
        if not self.holds(conversation_id):
            return await self.dialogues.committed(conversation_id, assistant)
        return await self.dialogues.get(conversation_id, assistant)

    @property
    def in_flight(self) -> int:
        """Messages taken and not answered yet."""
        return sum(len(lane.waiting) + (lane.task is not None) for lane in self._all_lanes())

    async def claimed(self, lease: Lease) -> None:
        self._forget(lease.partition)
        self._partitions[lease.partition] = lease.epoch
        self._alarm.claimed(lease)

    async def revoked(self, lease: Lease) -> None:
        self._alarm.revoked(lease)
        # The partition may be ours again by now, under a later lease.
        is_gone = self._partitions.get(lease.partition) == lease.epoch
        if is_gone:
            del self._partitions[lease.partition]
        lanes = [lane for lane in self._all_lanes() if lane.lease == lease]
        await asyncio.gather(*(self._close(lane, self._drain_s) for lane in lanes))
        if is_gone:
            self._forget(lease.partition)

    async def deliver(self, delivery: Delivery) -> None:
        crash_point("after_accept")
        await self._room.acquire()
        if self._is_stopping:
            # It was not begun: the next owner is delivered it.
            self._room.release()
            return
        TURNS_IN_FLIGHT.inc()
        conversation_id = delivery.message.conversation_id
        lane = self._lane(conversation_id, delivery.lease)
        lane.waiting.append(delivery)
        if lane.task is None:
            lane.task = asyncio.create_task(self._serve(conversation_id, lane))

    def _all_lanes(self) -> list[_Lane]:
        return [*self._lanes.values(), *self._retired]

    def _lane(self, conversation_id: str, lease: Lease) -> _Lane:
        """A lane ends with its lease: what is delivered under the next one must not be thrown away with it."""
        lane = self._lanes.get(conversation_id)
        if lane is None or lane.lease != lease:
            if lane is not None and lane.task is not None:
                self._retired.append(lane)
            lane = self._lanes[conversation_id] = _Lane(lease)
        return lane

    async def undecodable(self, record: Undecodable) -> None:
        logger.error("a message stays unanswered: %s", record)

    async def _serve(self, conversation_id: str, lane: _Lane) -> None:
        try:
            while lane.waiting:
                delivery = lane.waiting.popleft()
                started = time.perf_counter()
                try:
                    await self._answering.answer(delivery, lane.committing)
                    TURN_SECONDS.observe(time.perf_counter() - started)
                finally:
                    self._leave()
        except (Fenced, LogClosed) as error:
            logger.warning("conversation '%s' goes on elsewhere: %s", conversation_id, error)
            self.dialogues.drop(conversation_id)
            self._discard(lane)
        finally:
            lane.task = None
            if self._lanes.get(conversation_id) is lane:
                del self._lanes[conversation_id]
            if lane in self._retired:
                self._retired.remove(lane)

    def _leave(self) -> None:
        TURNS_IN_FLIGHT.dec()
        self._room.release()

    async def _close(self, lane: _Lane, wait_s: float) -> None:
        self._discard(lane)
        task = lane.task
        if task is None:
            return
        _, pending = await asyncio.wait([task], timeout=wait_s)
        if pending:
            logger.warning(
                "a turn did not finish within %g s; the next owner of its conversation begins it anew", wait_s
            )
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _discard(self, lane: _Lane) -> None:
        """Messages not begun are delivered to the next owner."""
        for _ in range(len(lane.waiting)):
            lane.waiting.pop()
            self._leave()

    def _forget(self, partition: int) -> None:
        for conversation_id in self.dialogues.ids():
            if self._partition_of(conversation_id) == partition:
                self.dialogues.drop(conversation_id)
