"""A gateway's side of the Kafka log: messages go in, the turns that answer them are heard of."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from turnstream.turnlog.errors import Erased, LogClosed, LogUnavailable, Unfinished
from turnstream.turnlog.interface import Accepted, Position
from turnstream.turnlog.kafka.backlog import Backlog
from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.connection import Lookup
from turnstream.turnlog.kafka.inbox import InboxProducer
from turnstream.turnlog.kafka.inquiry import Inquiry
from turnstream.turnlog.kafka.questions import Places, Question, decode_places, question_name
from turnstream.turnlog.kafka.records import ERASED, message_of, partition_of, split_key, turn_number_of
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.kafka.tail import Heard, RecentTurns, Tail
from turnstream.turnlog.records import decode_turn
from turnstream.turnlog.waiters import Waiters

logger = logging.getLogger(__name__)

_LOOK_BACK_AFTER_S = 2.0
"""A turn is asked for when it was not heard of for so long."""
_PAGE = 100
_PAUSE_S = 0.2

AnswerHere = Callable[[str, Question], Awaitable[Places | None]]
"""The answer of the worker in this process; None where the conversation is not its own."""


class Gateway:
    """Opened with the first message or the first wait of a process."""

    def __init__(self, settings: KafkaSettings, lookup: Lookup, backlog: Backlog, answer_here: AnswerHere) -> None:
        self._settings = settings
        self._lookup = lookup
        self._backlog = backlog
        self._answer_here = answer_here
        self._recent = RecentTurns()
        self._messages = Waiters[tuple[str, str]]()
        self._conversations = Waiters[str]()
        self._tail = Tail(settings, self._on_records)
        self._inbox = InboxProducer(settings, backlog)
        self._inquiry = Inquiry(settings, self._inbox, lookup)
        self._fetches: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Until nothing that is committed from now on is missed. Tries until the broker is there."""
        self._tail.start()
        await self._inbox.open()
        await self._backlog.start()
        await self._tail.ready()

    async def close(self) -> None:
        self._closed = True
        self._messages.wake_all()
        self._conversations.wake_all()
        self._inquiry.close()
        for fetch in self._fetches:
            fetch.cancel()
        await self._backlog.close()
        await self._tail.close()
        await self._inbox.close()

    async def accept(self, conversation_id: str, message_id: str, data: bytes) -> Accepted:
        self._check_open()
        partition = partition_of(conversation_id, self._settings.partitions)
        heard = self._recent.of_message(conversation_id, message_id)
        if heard is not None and heard.data is not None:
            record = decode_turn(heard.data, conversation_id)
            return Accepted(Position(record.inbox_partition, record.inbox_offset), duplicate=True)
        return await self._inbox.accept(conversation_id, message_id, partition, data)

    async def wait_for(self, conversation_id: str, message_id: str, timeout_s: float) -> Heard:
        key = (conversation_id, message_id)
        # What this gateway put into the inbox will be heard of; of anything else the turn may be long past.
        patience_s = _LOOK_BACK_AFTER_S if self._inbox.is_waiting(*key) else 0.0
        with self._messages.waiting(key) as woken:
            try:
                async with asyncio.timeout(timeout_s):
                    if (heard := await self._hear(key, woken, patience_s)) is not None:
                        return heard
                    await self._look_back(*key)
                    heard = await self._hear(key, woken, None)
            except TimeoutError as error:
                raise Unfinished(f"message '{message_id}' was not answered within {timeout_s:g} s") from error
        assert heard is not None
        return heard

    async def _hear(self, key: tuple[str, str], woken: asyncio.Event, patience_s: float | None) -> Heard | None:
        """None when patience ends."""
        loop = asyncio.get_running_loop()
        until = None if patience_s is None else loop.time() + patience_s
        while (heard := self._recent.of_message(*key)) is None:
            self._check_open()
            try:
                async with asyncio.timeout_at(until):
                    await woken.wait()
            except TimeoutError:
                return None
            woken.clear()
        return heard

    async def _look_back(self, conversation_id: str, message_id: str) -> None:
        """Ask for the turn, in the background: it may be heard of before the answer comes."""
        self._spawn(self._find(conversation_id, message_id))

    async def _find(self, conversation_id: str, message_id: str) -> None:
        places = await self._ask_until_answered(conversation_id, Question.about(message_id))
        if places.found is not None:
            await self._fetch(conversation_id, message_id, places.found)

    async def _ask_until_answered(self, conversation_id: str, question: Question) -> Places:
        while True:
            self._check_open()
            try:
                return await self.places(conversation_id, question)
            except LogUnavailable as error:
                logger.info("a question is asked again: %s", error)
            await asyncio.sleep(_PAUSE_S)

    async def places(self, conversation_id: str, question: Question) -> Places:
        """The owner's answer, as of now. Raises LogUnavailable."""
        self._check_open()
        here = await self._answer_here(conversation_id, question)
        return await self._inquiry.ask(conversation_id, question) if here is None else here

    def conversation_waiters(self) -> Waiters[str]:
        return self._conversations

    async def turns_from(self, conversation_id: str, turn_number: int) -> Sequence[tuple[int, bytes]]:
        """Number and record of turns from this number on; none where the next is still to come."""
        self._check_open()
        heard = self._recent.of_number(conversation_id, turn_number)
        if heard is not None and heard.data is not None:
            return [(turn_number, heard.data)]
        partition = partition_of(conversation_id, self._settings.partitions)
        places = await self._ask_until_answered(conversation_id, Question(turn_number, _PAGE))
        records = await self._lookup.turns_at(partition, [offset for _, offset in places.turns])
        return [(turn_number_of(r.key), r.value) for r in records if r.value is not None]

    def heard_beyond(self, conversation_id: str, turn_number: int) -> bool:
        """Whether a turn of this number or a later one was heard of."""
        return self._recent.last_turn(conversation_id) >= turn_number

    def on_turn(self, turn: Heard) -> None:
        """A turn was committed, here or elsewhere."""
        self._recent.add(turn)
        self._inbox.answered(turn.conversation_id, turn.message_id)
        self._messages.wake((turn.conversation_id, turn.message_id))
        self._conversations.wake(turn.conversation_id)

    def _on_records(self, topic: str, records: Sequence[Record]) -> None:
        if self._closed:
            return
        is_turn = topic == self._settings.turns
        for record in records:
            (self._on_turn_record if is_turn else self._on_place)(record)

    def _on_turn_record(self, record: Record) -> None:
        conversation_id, _ = split_key(record.key)
        number = turn_number_of(record.key)
        if record.value is None:
            self._recent.erase(conversation_id, number)
        else:
            self.on_turn(Heard(conversation_id, message_of(record.headers), number, record.value))

    def _on_place(self, record: Record) -> None:
        try:
            places = decode_places(record.value or b"")
        except ValueError as error:
            logger.error("an answer cannot be read: %s", error)
            return
        conversation_id, message_id = split_key(record.key)
        if name := question_name(message_id):
            self._inquiry.answered(name, places)
            return
        key = (conversation_id, message_id)
        self._inbox.answered(*key)
        if key in self._messages and places.found is not None and self._recent.of_message(*key) is None:
            self._spawn(self._fetch(*key, places.found))

    def _spawn(self, fetch: Awaitable[None]) -> None:
        task = asyncio.ensure_future(fetch)
        self._fetches.add(task)
        task.add_done_callback(self._fetched)

    def _fetched(self, task: "asyncio.Future[None]") -> None:
        self._fetches.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._closed:
            logger.error("a turn cannot be looked up", exc_info=error)

    async def _fetch(self, conversation_id: str, message_id: str, offset: int) -> None:
        partition = partition_of(conversation_id, self._settings.partitions)
        records = await self._lookup.turns_at(partition, [] if offset == ERASED else [offset])
        number, data = (turn_number_of(records[0].key), records[0].value) if records else (0, None)
        self.on_turn(Heard(conversation_id, message_id, number, data))

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosed("the turn log is closed")


def decoded(heard: Heard) -> bytes:
    """The record's bytes. Raises Erased."""
    if heard.data is None:
        raise Erased(f"the turn of message '{heard.message_id}' was deleted with its conversation")
    return heard.data
