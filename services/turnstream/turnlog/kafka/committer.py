"""Gathers the turns that finish while a transaction is on its way into the next one; each can still fail on its own."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import kafka.errors

from turnstream.turnlog.errors import Fenced, LogClosed, OutOfOrder, TurnTooLarge
from turnstream.turnlog.interface import Lease, Position
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.index import ConversationIndex
from turnstream.turnlog.kafka.partitions import HeldPartition
from turnstream.turnlog.kafka.transactor import (
    Outcome,
    OutcomeUnknown,
    Plan,
    PlannedArchiving,
    PlannedPlaces,
    PlannedTurn,
    Transactor,
)

logger = logging.getLogger(__name__)

_MOST_TOGETHER = 256
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class _Request:
    lease: Lease
    turn: PlannedTurn
    inbox_offset: int
    done: "asyncio.Future[Position]"


@dataclass(slots=True)
class _Batch:
    requests: list[_Request]
    places: list[PlannedPlaces]
    archiving: PlannedArchiving | None = None

    @property
    def partitions(self) -> set[int]:
        archived = set() if self.archiving is None else {self.archiving.partition}
        return {r.turn.partition for r in self.requests} | {p.partition for p in self.places} | archived

    def __bool__(self) -> bool:
        return bool(self.requests or self.places or self.archiving)


class Committer:
    """The commits of one worker, in its event loop; the transactions run in one thread beside it."""

    def __init__(
        self,
        transactor: Transactor,
        partitions: Mapping[int, HeldPartition],
        read_again: Callable[[Sequence[int]], Awaitable[None]],
        committed: Callable[[PlannedTurn, int], None],
    ) -> None:
        """`read_again` brings the state of partitions up to date after a transaction whose end is not known."""
        self._transactor = transactor
        self._partitions = partitions
        self._read_again = read_again
        self._committed = committed
        self._executor = ThreadPoolExecutor(1, "turnlog-commit")
        self._requests: deque[_Request] = deque()
        self._places: deque[tuple[Lease, PlannedPlaces]] = deque()
        self._archivings: deque[tuple[Lease, PlannedArchiving, asyncio.Future[bool]]] = deque()
        self._news = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._under_way: list[_Request] = []
        self._closed = False

    async def commit(self, lease: Lease, turn: PlannedTurn, inbox_offset: int) -> Position:
        """Raises Fenced, OutOfOrder, TurnTooLarge, LogClosed."""
        if self._closed:
            raise LogClosed("the turn log is closed")
        done: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        self._requests.append(_Request(lease, turn, inbox_offset, done))
        self._news.set()
        return await done

    def tell(self, lease: Lease, places: PlannedPlaces) -> None:
        """Tell gateways where turns stand; with the next transaction."""
        self._places.append((lease, places))
        self._news.set()

    async def archive(self, lease: Lease, archiving: PlannedArchiving) -> bool:
        """Move idle conversations out of the state, in a transaction of their own. Whether that was done."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._archivings.append((lease, archiving, done))
        self._news.set()
        return await done

    def drop(self, leases: Iterable[Lease]) -> None:
        """These were lost: what waits to be committed under them fails now."""
        gone = set(leases)
        for request in self._requests:
            if request.lease in gone and not request.done.done():
                _refuse(request, "fenced", Fenced(request.lease.partition, request.lease.epoch))

    async def idle(self) -> None:
        """Until the transaction that is on its way has ended."""
        await self._is_idle.wait()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        with suppress(Exception):
            await loop.run_in_executor(self._executor, self._transactor.open)
        while True:
            await self._news.wait()
            self._news.clear()
            while batch := self._gather():
                await self._commit(batch)
            if self._archivings:
                await self._archive(*self._archivings.popleft())
                self._news.set()

    async def close(self) -> None:
        """What waits fails; a transaction that is on its way has as long as the broker takes to answer."""
        self._closed = True
        for request in (*self._under_way, *self._requests):
            if not request.done.done():
                request.done.set_exception(LogClosed("the turn log is closed"))
        self._requests.clear()
        for _, _, done in self._archivings:
            done.cancel()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._transactor.close)
        self._executor.shutdown(wait=False)

    def _gather(self) -> _Batch:
        """What can go into one transaction, one turn of a conversation at most. What must fail fails here."""
        batch = _Batch([], [])
        conversations: set[str] = set()
        later: list[_Request] = []
        while self._requests and len(batch.requests) < _MOST_TOGETHER:
            request = self._requests.popleft()
            if request.done.done():
                continue
            if request.turn.conversation_id in conversations:
                later.append(request)
            elif (checked := self._checked(request)) is not None:
                conversations.add(request.turn.conversation_id)
                batch.requests.append(checked)
        self._requests.extendleft(reversed(later))
        while self._places:
            lease, places = self._places.popleft()
            if self._holds(lease):
                batch.places.append(places)
        return batch

    def _holds(self, lease: Lease) -> bool:
        held = self._partitions.get(lease.partition)
        return held is not None and held.lease == lease

    def _checked(self, request: _Request) -> _Request | None:
        """The request with the index that is committed now; None where it failed."""
        turn, lease = request.turn, request.lease
        held = self._partitions.get(lease.partition)
        if held is None or held.lease != lease:
            _refuse(request, "fenced", Fenced(lease.partition, lease.epoch))
            return None
        index = held.index(turn.conversation_id) or ConversationIndex()
        problem = ""
        if index.find(turn.message_id) is not None:
            problem = f"message '{turn.message_id}' has its turn already"
        elif held.delivered_at((turn.conversation_id, turn.message_id)) != request.inbox_offset:
            problem = f"message '{turn.message_id}' at offset {request.inbox_offset} was not delivered"
        elif turn.turn_number != index.last_turn + 1:
            problem = f"turn {turn.turn_number} does not follow turn {index.last_turn}"
        if problem:
            _refuse(request, "out_of_order", OutOfOrder(f"conversation '{turn.conversation_id}': {problem}"))
            return None
        return replace(request, turn=replace(turn, index=index, committed_s=int(time.time())))

    async def _commit(self, batch: _Batch) -> None:
        self._is_idle.clear()
        self._under_way = batch.requests
        try:
            await self._commit_until_it_ends(batch)
        finally:
            self._under_way = []
            self._is_idle.set()

    async def _commit_until_it_ends(self, batch: _Batch) -> None:
        pause_s = _FIRST_PAUSE_S
        while batch:
            try:
                await self._try(batch)
                return
            except OutcomeUnknown as error:
                logger.warning("%d turns may be committed or not: %s", len(batch.requests), error)
                await self._read_again([p for p in batch.partitions if p in self._partitions])
                self._settle_committed(batch)
            except kafka.errors.MessageSizeTooLargeError as error:
                if len(batch.requests) > 1:
                    await self._commit_each(batch)
                    return
                self._refuse_as_too_large(batch, error)
            except Exception as error:
                logger.warning("%d turns are not committed yet: %s", len(batch.requests), repr(error))
            metrics.FAILED_TRANSACTIONS.inc()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            batch = self._still_wanted(batch)

    async def _try(self, batch: _Batch) -> None:
        plan = self._plan(batch)
        loop = asyncio.get_running_loop()
        self._apply(batch, plan, await loop.run_in_executor(self._executor, self._transactor.commit, plan))

    async def _commit_each(self, batch: _Batch) -> None:
        """One of them is too large for the broker: the others are not to suffer from it."""
        await self._commit_until_it_ends(_Batch([], batch.places))
        for request in batch.requests:
            if (checked := self._checked(request)) is not None:
                await self._commit_until_it_ends(_Batch([checked], []))

    def _refuse_as_too_large(self, batch: _Batch, error: BaseException) -> None:
        for request in batch.requests:
            turn = request.turn
            text = (
                f"the broker does not take turn {turn.turn_number} of '{turn.conversation_id}' ({len(turn.data)} B): "
                "max.message.bytes of its topic is less than kafka.max_message_bytes"
            )
            refused = TurnTooLarge(text)
            refused.__cause__ = error
            _refuse(request, "too_large", refused)

    async def _archive(self, lease: Lease, archiving: PlannedArchiving, done: "asyncio.Future[bool]") -> None:
        """Tried once: what stays is found by the next sweep."""
        self._is_idle.clear()
        try:
            held = self._partitions.get(lease.partition)
            if held is not None and held.lease == lease:
                # A turn may have been committed since it was planned.
                resting = {c: index for c, index in archiving.indexes.items() if held.is_resting(c, index)}
                await self._try(_Batch([], [], replace(archiving, indexes=resting)))
                done.set_result(True)
                return
        except OutcomeUnknown:
            await self._read_again([archiving.partition])
        except Exception as error:
            logger.warning("idle conversations stay in the state for now: %s", repr(error))
        finally:
            self._is_idle.set()
            if not done.done():
                done.set_result(False)

    def _settle_committed(self, batch: _Batch) -> None:
        """The turns that are found in the log were committed after all."""
        for request in batch.requests:
            turn = request.turn
            held = self._partitions.get(turn.partition)
            if held is None or held.lease != request.lease:
                continue
            index = held.index(turn.conversation_id)
            if index is not None and (offset := index.find(turn.message_id)) is not None:
                self._settle(request, held, offset)

    def _settle(self, request: _Request, held: HeldPartition | None, offset: int) -> None:
        turn = request.turn
        if held is not None and held.lease == request.lease:
            held.settled((turn.conversation_id, turn.message_id))
        self._committed(turn, offset)
        if not request.done.done():
            request.done.set_result(Position(turn.partition, offset))

    def _still_wanted(self, batch: _Batch) -> _Batch:
        requests = [self._checked(request) for request in batch.requests if not request.done.done()]
        places = [places for places in batch.places if places.partition in self._partitions]
        return _Batch([request for request in requests if request is not None], places)

    def _plan(self, batch: _Batch) -> Plan:
        answered: dict[int, set[int]] = {partition: set() for partition in batch.partitions}
        for request in batch.requests:
            turn = request.turn
            answered[turn.partition].update(
                self._partitions[turn.partition].in_flight[turn.conversation_id, turn.message_id]
            )
        progress = {p: self._partitions[p].progress_without(offsets) for p, offsets in answered.items()}
        leases = frozenset(self._partitions[p].lease for p in progress)
        return Plan([request.turn for request in batch.requests], batch.places, progress, leases, batch.archiving)

    def _apply(self, batch: _Batch, plan: Plan, outcome: Outcome) -> None:
        for request, offset, (index, written) in zip(batch.requests, outcome.offsets, outcome.indexes, strict=True):
            held = self._partitions.get(request.turn.partition)
            if held is not None and held.lease == request.lease:
                held.state.put(request.turn.conversation_id, index, written)
                if request.turn.agenda is not None:
                    held.state.put_agenda(request.turn.conversation_id, request.turn.agenda)
            self._settle(request, held, offset)
        for partition, progress in plan.progress.items():
            if (held := self._partitions.get(partition)) is not None:
                held.state.progress = progress
        archived = plan.archiving
        if archived is not None and (held := self._partitions.get(archived.partition)) is not None:
            held.state.buckets[archived.bucket] = outcome.bucket_offset
            held.archived(list(archived.indexes))


def _refuse(request: _Request, reason: str, error: Exception) -> None:
    metrics.REFUSED_COMMITS.labels(reason).inc()
    request.done.set_exception(error)
