"""What must be true of a run's log, its trackers, its clients' memories and its custom action's calls."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc
import grpc.aio

from turnstream.api.v1.events_pb2 import Event
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.api.v1.trackers_pb2 import ReadTrackerRequest
from turnstream.api.v1.trackers_pb2_grpc import TrackersStub
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, tracker_to_proto
from turnstream.testing.chaos.client import Memory
from turnstream.testing.chaos.cluster import Cluster
from turnstream.testing.conversation_process import ACTION, COUNT, DOMAIN
from turnstream.turnlog.checker import Fault, check_log
from turnstream.turnlog.interface import Entry, LogReader

_PAUSE_S = 0.25


class Judge:
    """Looks at what a run left behind, once its faults are over and its clients have their answers."""

    def __init__(self, log: LogReader, cluster: Cluster, memory: Memory, calls: Path, patience_s: float) -> None:
        self._log = log
        self._cluster = cluster
        self._memory = memory
        self._calls = calls
        self._patience_s = patience_s

    async def settle(self) -> None:
        """Until all that was accepted is answered and heard of by the readers, or patience ends."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s
        while loop.time() < until:
            lost = any(fault.kind == "lost" for fault in await check_log(self._log))
            if not lost and await self._have_readers_caught_up():
                return
            await asyncio.sleep(_PAUSE_S)

    async def _have_readers_caught_up(self) -> bool:
        counts = {name: len(turns) for name, turns in (await self._turns()).items()}
        return all(len(self._memory.read[name]) >= count for name, count in counts.items())

    async def faults(self) -> list[Fault]:
        """None where all is well."""
        turns = await self._turns()
        served, unread = await self._served(turns)
        found = await check_log(self._log, fold=fold, served=served, witness=self._memory.witness())
        found += [Fault("diverged", name, "no replica tells its tracker as of its last turn") for name in unread]
        found += check_order(turns, self._memory.in_order)
        found += check_effects(turns)
        found += check_calls(turns, self._calls.read_text().splitlines() if self._calls.exists() else [])
        return sorted(found)

    async def _turns(self) -> dict[str, list[TurnRecord]]:
        turns = defaultdict(list)
        async for entry in self._log.read_turns():
            if isinstance(entry, Entry):
                turns[entry.record.conversation_id].append(entry.record)
        return turns

    async def _served(self, turns: Mapping[str, Sequence[TurnRecord]]) -> tuple[dict[str, Tracker], list[str]]:
        """Trackers by conversation, and those that nobody told in time."""
        last = {name: records[-1].turn_number for name, records in turns.items()}
        found = await asyncio.gather(*(self._tracker(name, number) for name, number in last.items()))
        told = {name: tracker for name, tracker in zip(last, found, strict=True) if tracker is not None}
        return told, [name for name in last if name not in told]

    async def _tracker(self, conversation_id: str, last_turn: int) -> Tracker | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s
        while loop.time() < until:
            for replica in list(self._cluster.replicas):
                tracker = await _ask(replica.address, conversation_id)
                if tracker is not None and tracker.turn_number >= last_turn:
                    return tracker
            await asyncio.sleep(_PAUSE_S)
        return None


async def _ask(address: str, conversation_id: str) -> Tracker | None:
    """None where this replica does not hold the conversation."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            response = await TrackersStub(channel).ReadTracker(
                ReadTrackerRequest(conversation_id=conversation_id), timeout=5.0
            )
        except grpc.aio.AioRpcError:
            return None
    tracker: Tracker = response.tracker
    return tracker


def fold(conversation_id: str, events: Sequence[Event]) -> Tracker:
    """A `turnlog.checker.Fold`."""
    dialogue = Dialogue(conversation_id, DOMAIN, [event_from_proto(event) for event in events])
    return tracker_to_proto(dialogue.tracker)


def check_order(turns: Mapping[str, Sequence[TurnRecord]], in_order: Sequence[tuple[str, str, str]]) -> Iterator[Fault]:
    """What a client sent after something else was acknowledged is answered after it."""
    numbers = {(name, record.message_id): record.turn_number for name, records in turns.items() for record in records}
    for name, earlier, later in in_order:
        first, second = numbers.get((name, earlier)), numbers.get((name, later))
        if first is not None and second is not None and second < first:
            yield Fault("reordered", name, f"'{later}' was sent after '{earlier}', and answered before it")


def check_effects(turns: Mapping[str, Sequence[TurnRecord]]) -> Iterator[Fault]:
    """Each turn in which the action ran has counted one more than the one before."""
    for name, records in turns.items():
        counted = [
            int(event_from_proto(event).value)  # type: ignore[attr-defined]
            for record in sorted(records, key=lambda record: record.turn_number)
            for event in record.events
            if event.WhichOneof("body") == "slot_set" and event.slot_set.name == COUNT
        ]
        if counted != list(range(1, len(counted) + 1)):
            yield Fault("diverged", name, f"its turns have counted {counted}")


def check_calls(turns: Mapping[str, Sequence[TurnRecord]], keys: Sequence[str]) -> Iterator[Fault]:
    """The action was called for every turn that it is part of, and for one message with one key only."""
    by_message: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key in keys:
        name, message_id, _, _ = key.split("/")
        by_message[name, message_id].add(key)
    for (name, message_id), used in by_message.items():
        if len(used) > 1:
            yield Fault("doubled", name, f"the action was called for '{message_id}' with the keys {sorted(used)}")
    for name, records in turns.items():
        for record in records:
            if _ran(record) and (name, record.message_id) not in by_message:
                yield Fault("torn", name, f"turn {record.turn_number} has an action that was never called")


def _ran(record: TurnRecord) -> bool:
    return any(
        event.WhichOneof("body") == "action_executed" and event.action_executed.name == ACTION
        for event in record.events
    )
