"""Putting messages into the inbox: durable when acknowledged, with a bound on what waits."""

import asyncio
import logging
from collections import Counter
from typing import Any

import kafka
import kafka.errors

from turnstream.turnlog.errors import InboxFull, LogUnavailable, MessageTooLarge
from turnstream.turnlog.interface import Accepted, Position
from turnstream.turnlog.kafka import metrics
from turnstream.turnlog.kafka.backlog import Backlog
from turnstream.turnlog.kafka.clients import close_producer, open_producer
from turnstream.turnlog.kafka.records import inbox_key
from turnstream.turnlog.kafka.settings import KafkaSettings, producer_config

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_SAME_ID = "Try later, with the same message id."
_REASONS = {LogUnavailable: "unavailable", MessageTooLarge: "too_large"}


class InboxProducer:
    """The idempotent producer of one gateway, and what it accepted that was not answered yet. Loop-bound."""

    def __init__(self, settings: KafkaSettings, backlog: Backlog) -> None:
        self._settings = settings
        self._backlog = backlog
        self._producer: Any = None
        self._opening: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[str, str], asyncio.Future[Position]] = {}
        self._of_conversation: Counter[str] = Counter()

    async def open(self) -> None:
        """Until there is a producer; as often as it takes."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open_always())
        await asyncio.shield(self._opening)

    async def _open_always(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self._producer = await asyncio.to_thread(_open_producer, self._settings)
                return
            except Exception as error:
                logger.warning("the inbox cannot be opened; trying again: %s", repr(error))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _renew(self, failed: Any) -> None:
        """Another producer in place of one that failed to deliver.

        What it may deliver yet does no harm, for a message that comes twice has one turn; whereas an idempotent
        producer with a gap in its sequence is not sure to go on.
        """
        if self._producer is failed:
            self._producer = None
            asyncio.get_running_loop().run_in_executor(None, close_producer, failed, 0.0)
            self._opening = asyncio.create_task(self._open_always())

    async def accept(self, conversation_id: str, message_id: str, partition: int, data: bytes) -> Accepted:
        """Raises InboxFull, LogUnavailable, MessageTooLarge."""
        key = (conversation_id, message_id)
        earlier = self._waiting.get(key)
        if earlier is not None and not _has_failed(earlier):
            return Accepted(await self._acknowledged(earlier), duplicate=True)
        # Whoever brought it first may have gone away before it failed.
        self.answered(*key)
        try:
            accepted = await self._accept_new(key, partition, data)
        except (InboxFull, MessageTooLarge) as error:
            metrics.REFUSED.labels(_REASONS.get(type(error), "full")).inc()
            raise
        metrics.ACCEPTED.inc()
        return accepted

    async def _accept_new(self, key: tuple[str, str], partition: int, data: bytes) -> Accepted:
        if len(data) > self._settings.max_message_bytes:
            limit = self._settings.max_message_bytes
            raise MessageTooLarge(f"message '{key[1]}' has {len(data)} bytes; kafka.max_message_bytes is {limit}")
        self._check_room(key[0], partition)
        producer = await self._ready_producer()
        position = self._send(producer, inbox_key(*key), partition, data)
        self._waiting[key] = position
        self._of_conversation[key[0]] += 1
        metrics.WAITING.inc()
        try:
            with metrics.ACCEPT_SECONDS.time():
                return Accepted(await self._acknowledged(position))
        except (LogUnavailable, MessageTooLarge):
            self.answered(*key)
            self._renew(producer)
            raise

    async def put(self, key: bytes, partition: int, data: bytes) -> None:
        """Put a record there that takes nobody's room. Raises LogUnavailable, MessageTooLarge."""
        producer = await self._ready_producer()
        try:
            await self._acknowledged(self._send(producer, key, partition, data))
        except LogUnavailable:
            self._renew(producer)
            raise

    async def _ready_producer(self) -> Any:
        while self._producer is None:
            try:
                async with asyncio.timeout(self._settings.accept_timeout_s):
                    await self.open()
            except TimeoutError as error:
                raise LogUnavailable(f"Kafka does not answer. {_SAME_ID}") from error
        return self._producer

    def is_waiting(self, conversation_id: str, message_id: str) -> bool:
        """Whether this gateway put it into the inbox and has not heard of its turn."""
        return (conversation_id, message_id) in self._waiting

    def answered(self, conversation_id: str, message_id: str) -> None:
        """It waits no more."""
        if self._waiting.pop((conversation_id, message_id), None) is not None:
            metrics.WAITING.dec()
            self._of_conversation[conversation_id] -= 1
            if not self._of_conversation[conversation_id]:
                del self._of_conversation[conversation_id]

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._producer is not None:
            await asyncio.to_thread(close_producer, self._producer, 2.0)

    def _check_room(self, conversation_id: str, partition: int) -> None:
        settings = self._settings
        self._backlog.check_room(partition)
        if len(self._waiting) >= settings.max_unanswered:
            raise InboxFull(f"{len(self._waiting)} messages are waiting to be answered. {_SAME_ID}")
        if self._of_conversation[conversation_id] >= settings.max_unanswered_per_conversation:
            raise InboxFull(f"too many messages of conversation '{conversation_id}' are waiting. {_SAME_ID}")

    def _send(self, producer: Any, key: bytes, partition: int, data: bytes) -> "asyncio.Future[Position]":
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[Position] = loop.create_future()
        acknowledged.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            sent = producer.send(self._settings.inbox, data, key, partition=partition)
        except kafka.errors.KafkaError as error:
            acknowledged.set_exception(error)
            return acknowledged

        def succeed(metadata: Any) -> None:
            loop.call_soon_threadsafe(_settle, acknowledged, Position(partition, metadata.offset), None)

        def fail(error: BaseException) -> None:
            loop.call_soon_threadsafe(_settle, acknowledged, None, error)

        sent.add_callback(succeed)
        sent.add_errback(fail)
        return acknowledged

    async def _acknowledged(self, position: "asyncio.Future[Position]") -> Position:
        try:
            async with asyncio.timeout(self._settings.accept_timeout_s):
                found = await asyncio.shield(position)
        except kafka.errors.MessageSizeTooLargeError as error:
            raise MessageTooLarge(
                f"the broker takes no message of this size: max.message.bytes of topic '{self._settings.inbox}' "
                f"is less than kafka.max_message_bytes ({self._settings.max_message_bytes})"
            ) from error
        except (TimeoutError, kafka.errors.KafkaError) as error:
            raise LogUnavailable(f"Kafka did not acknowledge the message ({error!r}). {_SAME_ID}") from error
        self._backlog.accepted(found.partition, found.offset)
        return found


def _open_producer(settings: KafkaSettings) -> Any:
    timeout_ms = max(1000, round(settings.accept_timeout_s * 1000))
    times = {"request_timeout_ms": timeout_ms, "delivery_timeout_ms": timeout_ms, "max_block_ms": 1000}
    producer = open_producer(producer_config(settings) | times | {"retry_backoff_ms": 20})
    try:
        producer.partitions_for(settings.inbox)
    except BaseException:
        close_producer(producer, 0.0)
        raise
    return producer


def _has_failed(acknowledged: "asyncio.Future[Position]") -> bool:
    return acknowledged.done() and (acknowledged.cancelled() or acknowledged.exception() is not None)


def _settle(future: "asyncio.Future[Position]", position: Position | None, error: BaseException | None) -> None:
    if future.done():
        return
    if position is not None:
        future.set_result(position)
    elif error is not None:
        future.set_exception(error)
