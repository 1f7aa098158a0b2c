"""Membership in the group of workers: one thread that polls the inbox, and what happens to partitions, told to asyncio.

Cooperative-sticky assignment: a partition that stays goes on without a pause while others move.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Protocol

import kafka.errors
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.future import Future
from kafka.structs import TopicPartition

from turnstream.turnlog.interface import Lease
from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.clients import open_consumer
from turnstream.turnlog.kafka.owners import client_id_of
from turnstream.turnlog.kafka.settings import KafkaSettings, consumer_config

logger = logging.getLogger(__name__)

_POLL_MS = 50
_MAX_POLL_INTERVAL_MS = 60_000
_REOPEN_AFTER_S = 1.0

Command = Callable[[Any], None]


class NoMember(Exception):
    """This process is no member of the group now, or holds a partition no more: nothing may be committed."""


class GroupEvents(Protocol):
    """What a worker does when its share changes; called in its event loop."""

    def assigned(self, partitions: Sequence[int], generation: int) -> None:
        """These are this member's from now on. Nothing of them comes before `Membership.resume`."""
        ...

    async def revoked(self, partitions: Sequence[int]) -> None:
        """These go to another member once this returns."""
        ...

    def lost(self, partitions: Sequence[int]) -> None:
        """These are another's already."""
        ...

    def received(self, partition: int, records: Sequence[Record]) -> None:
        """Records of the inbox, in order."""
        ...


class Membership:
    """One member of the group. All methods are called in the event loop. `ends`: where partitions of the inbox end."""

    def __init__(self, settings: KafkaSettings, events: GroupEvents, address: str = "") -> None:
        """`address` is where this worker can be asked; the group's coordinator tells it to the others."""
        self._settings = settings
        self._events = events
        self._client_id = client_id_of(settings, address)
        self.ends: dict[int, int] = {}
        self._loop = asyncio.get_running_loop()
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._consumer: Any = None
        self._lock = threading.Lock()
        self._owned: dict[int, int] = {}
        self._stopping = threading.Event()
        self._leave = True
        self._thread = threading.Thread(target=self._run, name="turnlog-inbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def joined(self) -> bool:
        """Whether the coordinator counts this process among the members."""
        consumer = self._consumer
        return consumer is not None and consumer.group_metadata().generation_id >= 0

    def metadata(self, leases: Collection[Lease]) -> Any:
        """The membership under which all of these are held. From any thread. Raises NoMember.

        The broker refuses a commit under a membership that has ended, but lets one through that names none at all.
        What was lost is forgotten before the group is joined again, so that a new membership vouches for nothing old.
        """
        consumer = self._consumer
        if consumer is None:
            raise NoMember("not joined")
        metadata = consumer.group_metadata()
        if metadata.generation_id < 0 or not metadata.member_id:
            raise NoMember("the membership has ended")
        with self._lock:
            gone = [lease for lease in leases if self._owned.get(lease.partition) != lease.epoch]
        if gone:
            raise NoMember(f"not held any more: {gone}")
        return metadata

    def resume(self, partition: int, offset: int) -> None:
        """Deliver this partition's records from an offset on."""
        tp = self._tp(partition)

        def command(consumer: Any) -> None:
            if tp in consumer.assignment():
                consumer.seek(tp, offset)
                consumer.resume(tp)

        self._commands.put(command)

    def hold(self, partitions: Iterable[int]) -> None:
        """Deliver nothing more of these for now."""
        held = {self._tp(p) for p in partitions}
        self._commands.put(lambda consumer: consumer.pause(*(held & consumer.assignment())))

    def go_on(self, partitions: Iterable[int]) -> None:
        held = {self._tp(p) for p in partitions}
        self._commands.put(lambda consumer: consumer.resume(*(held & consumer.assignment())))

    async def close(self, *, leave: bool = True) -> None:
        """Stop polling; with `leave` the others are told, otherwise they find out as of a dead process."""
        self._leave = leave
        self._stopping.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._settings.inbox, partition)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve()
            except kafka.errors.KafkaError as error:
                if not self._stopping.is_set():
                    logger.warning("the inbox cannot be polled; joining the workers again: %s", repr(error))
                self._stopping.wait(_REOPEN_AFTER_S)
            except Exception:
                if not self._stopping.is_set():
                    logger.exception("the inbox cannot be polled; joining the workers again")
                self._stopping.wait(_REOPEN_AFTER_S)

    def _serve(self) -> None:
        assignor = _Assignor()
        session_ms = round(self._settings.session_timeout_s * 1000)
        consumer = open_consumer(
            consumer_config(self._settings)
            | {
                "group_id": self._settings.group,
                "client_id": self._client_id,
                "partition_assignment_strategy": (assignor,),
                "session_timeout_ms": session_ms,
                "heartbeat_interval_ms": session_ms // 6,
                "max_poll_interval_ms": _MAX_POLL_INTERVAL_MS,
            }
        )
        listener = _Listener(self, consumer, assignor)
        assignor.joining = listener.joining
        try:
            consumer.subscribe([self._settings.inbox], listener=listener)
            # Who leads the group shares out the partitions that it knows of: it must know them before it joins.
            while not consumer.partitions_for_topic(self._settings.inbox):
                self._check_running()
            self._consumer = consumer
            self._poll(consumer)
        finally:
            self._consumer = None
            listener.is_closing = True
            owned = self._disown(list(self._owned))
            if not self._leave:
                # As a killed process: the sockets close, and nobody is told.
                consumer._client.close()
            else:
                consumer.close(autocommit=False, timeout_ms=2000)
            if owned and not self._stopping.is_set():
                self._call(self._events.lost, owned)

    def _check_running(self) -> None:
        if self._stopping.wait(0.05):
            raise RuntimeError("the worker stops")

    def _poll(self, consumer: Any) -> None:
        while not self._stopping.is_set():
            while not self._commands.empty():
                self._commands.get()(consumer)
            for tp, records in consumer.poll(timeout_ms=_POLL_MS).items():
                self._call(self._events.received, tp.partition, records)
            self.ends = {tp.partition: consumer.highwater(tp) or 0 for tp in consumer.assignment()}

    def _own(self, partitions: Iterable[int], generation: int) -> None:
        with self._lock:
            self._owned.update(dict.fromkeys(partitions, generation))

    def _disown(self, partitions: Sequence[int]) -> Sequence[int]:
        with self._lock:
            for partition in partitions:
                self._owned.pop(partition, None)
        return partitions

    def _call(self, function: Callable[..., None], *values: Any) -> None:
        self._loop.call_soon_threadsafe(function, *values)


class _Assignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """Tells when the group is about to be joined."""

    joining: Callable[[], None]

    def metadata(self, topics: Iterable[str]) -> Any:
        self.joining()
        return super().metadata(topics)


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Runs in the consumer's own event loop, which is none of asyncio's; heartbeats go on while it awaits."""

    def __init__(self, membership: Membership, consumer: Any, assignor: _Assignor) -> None:
        self.is_closing = False
        self._membership = membership
        self._consumer = consumer
        self._assignor = assignor

    def joining(self) -> None:
        """A member that was thrown out joins as a new one, and must not claim what it held before.

        kafka-python calls `on_partitions_lost` where a heartbeat was refused, not where the join itself was.
        """
        if self._consumer.group_metadata().generation_id < 0:
            lost = self._consumer.assignment()
            self._assignor.member_assignment = None
            if lost:
                self._consumer._subscription.assign_from_subscribed([])
            self._lose([tp.partition for tp in lost])

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if not assigned:
            return
        for tp in assigned:
            # The position is known once the partition's state was read.
            self._consumer.pause(tp)
            self._consumer.seek(tp, 0)
        generation = self._consumer.group_metadata().generation_id
        partitions = sorted(tp.partition for tp in assigned)
        self._membership._own(partitions, generation)
        self._membership._call(self._membership._events.assigned, partitions, generation)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if self.is_closing or not revoked:
            return
        partitions = sorted(tp.partition for tp in revoked)
        await self._in_asyncio(self._membership._events.revoked(partitions))
        self._membership._disown(partitions)

    async def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self._assignor.member_assignment = None
        self._lose([tp.partition for tp in lost])

    def _lose(self, partitions: list[int]) -> None:
        held = self._membership._disown(sorted(partitions))
        if held and not self.is_closing:
            self._membership._call(self._membership._events.lost, held)

    async def _in_asyncio(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Await an asyncio coroutine from the consumer's loop, without blocking that."""
        done = Future()
        net = self._consumer._client._net

        def finish() -> None:
            done.success(None)

        future = asyncio.run_coroutine_threadsafe(coroutine, self._membership._loop)
        future.add_done_callback(lambda _: net.call_soon_threadsafe(finish))
        await done
        if (error := future.exception()) is not None:
            logger.error("partitions could not be handed over in peace", exc_info=error)
