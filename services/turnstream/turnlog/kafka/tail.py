"""Hears of turns as they are committed, wherever: one thread that reads the end of the turns topic for a gateway.

The newest turns are kept, up to a number of bytes; an older one is found through its conversation's index.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import kafka.errors
from kafka.structs import TopicPartition

from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.clients import open_consumer
from turnstream.turnlog.kafka.settings import KafkaSettings, consumer_config

logger = logging.getLogger(__name__)

_POLL_MS = 500
_REOPEN_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A turn as it is in the log; `data` is None once it was erased."""

    conversation_id: str
    message_id: str
    turn_number: int
    data: bytes | None


class RecentTurns:
    """The turns heard of last, found by message and by number; the oldest go where they are too many bytes."""

    def __init__(self, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_message: OrderedDict[tuple[str, str], Heard] = OrderedDict()
        self._by_number: dict[tuple[str, int], Heard] = {}
        self._last: dict[str, int] = {}

    def add(self, turn: Heard) -> None:
        key = (turn.conversation_id, turn.message_id)
        if key in self._by_message:
            return
        self._by_message[key] = turn
        self._by_number[turn.conversation_id, turn.turn_number] = turn
        self._last[turn.conversation_id] = max(turn.turn_number, self._last.get(turn.conversation_id, 0))
        self._bytes += _size(turn)
        while self._bytes > self._max_bytes:
            self._forget_oldest()

    def erase(self, conversation_id: str, turn_number: int) -> None:
        """Keep that the message was answered, not what was said."""
        turn = self._by_number.pop((conversation_id, turn_number), None)
        if turn is not None:
            gone = Heard(turn.conversation_id, turn.message_id, turn.turn_number, None)
            self._by_message[turn.conversation_id, turn.message_id] = gone
            self._bytes += _size(gone) - _size(turn)

    def of_message(self, conversation_id: str, message_id: str) -> Heard | None:
        return self._by_message.get((conversation_id, message_id))

    def of_number(self, conversation_id: str, turn_number: int) -> Heard | None:
        return self._by_number.get((conversation_id, turn_number))

    def last_turn(self, conversation_id: str) -> int:
        """The highest number heard of, 0 where none is remembered."""
        return self._last.get(conversation_id, 0)

    def _forget_oldest(self) -> None:
        _, turn = self._by_message.popitem(last=False)
        self._bytes -= _size(turn)
        self._by_number.pop((turn.conversation_id, turn.turn_number), None)
        if self._last.get(turn.conversation_id) == turn.turn_number:
            del self._last[turn.conversation_id]


def _size(turn: Heard) -> int:
    return 500 + len(turn.data or b"")


class Tail:
    """Calls `heard` in the event loop with each batch of committed records, by topic."""

    def __init__(self, settings: KafkaSettings, heard: Callable[[str, Sequence[Record]], None]) -> None:
        self._settings = settings
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._stopping = threading.Event()
        self._positions: dict[TopicPartition, int] = {}
        self._thread = threading.Thread(target=self._run, name="turnlog-tail", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def ready(self) -> None:
        """Until every turn that is committed from now on will be heard of."""
        await asyncio.shield(self._ready)

    async def close(self) -> None:
        self._stopping.set()
        self._ready.cancel()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                consumer = open_consumer(consumer_config(self._settings))
                try:
                    self._follow(consumer)
                finally:
                    consumer.close(autocommit=False, timeout_ms=1000)
            except kafka.errors.KafkaError as error:
                if not self._stopping.is_set():
                    logger.warning("the turns cannot be read; trying again: %s", repr(error))
                self._stopping.wait(_REOPEN_AFTER_S)
            except Exception:
                if not self._stopping.is_set():
                    logger.exception("the turns cannot be read; trying again")
                self._stopping.wait(_REOPEN_AFTER_S)

    def _follow(self, consumer: Any) -> None:
        settings = self._settings
        topics = (settings.turns, settings.places)
        partitions = [TopicPartition(topic, p) for topic in topics for p in range(settings.partitions)]
        consumer.assign(partitions)
        if self._positions:
            for tp in partitions:
                consumer.seek(tp, self._positions[tp])
        else:
            ends = consumer.end_offsets(partitions)
            for tp in partitions:
                consumer.seek(tp, ends[tp])
            self._positions = dict(ends)
        self._loop.call_soon_threadsafe(self._set_ready)
        while not self._stopping.is_set():
            for tp, records in consumer.poll(timeout_ms=_POLL_MS, max_records=5000).items():
                self._loop.call_soon_threadsafe(self._heard, tp.topic, records)
                self._positions[tp] = records[-1].offset + 1

    def _set_ready(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)
