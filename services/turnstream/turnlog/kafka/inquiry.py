"""Asking the owner of a conversation through the inbox, and waiting for its answer."""

import asyncio
import uuid

from turnstream.turnlog.errors import LogClosed
from turnstream.turnlog.kafka.connection import Lookup
from turnstream.turnlog.kafka.inbox import InboxProducer
from turnstream.turnlog.kafka.owners import has_workers
from turnstream.turnlog.kafka.questions import Places, Question, answer, encode_question, question_key
from turnstream.turnlog.kafka.records import partition_of
from turnstream.turnlog.kafka.settings import KafkaSettings

_PATIENCE_S = 3.0


class Inquiry:
    """The questions of one gateway that were not answered yet. Loop-bound."""

    def __init__(self, settings: KafkaSettings, inbox: InboxProducer, lookup: Lookup) -> None:
        self._settings = settings
        self._inbox = inbox
        self._lookup = lookup
        self._open: dict[str, asyncio.Future[Places]] = {}

    async def ask(self, conversation_id: str, question: Question) -> Places:
        """As of now or later. Where there are no workers at all, the state is read instead. Raises LogUnavailable."""
        partition = partition_of(conversation_id, self._settings.partitions)
        name = uuid.uuid4().hex
        answered: asyncio.Future[Places] = asyncio.get_running_loop().create_future()
        self._open[name] = answered
        try:
            await self._inbox.put(question_key(conversation_id, name), partition, encode_question(question))
            while True:
                done, _ = await asyncio.wait({answered}, timeout=_PATIENCE_S)
                if done:
                    return answered.result()
                if not await self._lookup.with_admin(lambda admin: has_workers(self._settings, admin)):
                    return answer(await self._lookup.index(partition, conversation_id), question)
        finally:
            del self._open[name]

    def answered(self, name: str, places: Places) -> None:
        """An answer was heard, perhaps to another gateway's question."""
        question = self._open.get(name)
        if question is not None and not question.done():
            question.set_result(places)

    def close(self) -> None:
        for question in self._open.values():
            if not question.done():
                question.set_exception(LogClosed("the turn log is closed"))
