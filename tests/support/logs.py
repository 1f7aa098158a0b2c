"""Turn logs that tests fill: conversations put in as they are, in a file or on Kafka."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from turnstream.api.v1.turnlog_pb2 import EventsToAppend, InboxMessage
from turnstream.dialogue.events import Event
from turnstream.dialogue.proto import event_to_proto
from turnstream.replay.import_worker import ImportWorker
from turnstream.replay.importing import MESSAGE_PREFIX
from turnstream.turnlog.interface import TurnLog
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog

Turns = Sequence[tuple[str, Sequence[Event]]]
"""Conversation and events of each turn, in the order of the log."""


@asynccontextmanager
async def sqlite_log(path: Path, partitions: int = 4) -> AsyncIterator[SqliteTurnLog]:
    log = SqliteTurnLog(path, SqliteSettings(partitions=partitions, heartbeat_s=0.02))
    try:
        yield log
    finally:
        await log.close()


async def fill(log: TurnLog, turns: Turns, first: int = 0) -> None:
    """Commit these turns; `first` keeps the message ids of several calls apart."""
    worker = ImportWorker(log)
    working = asyncio.create_task(log.work(worker))
    for number, (conversation_id, events) in enumerate(turns, first):
        message = InboxMessage(conversation_id=conversation_id, message_id=f"{MESSAGE_PREFIX}{number}", channel="rest")
        protos = [event_to_proto(event) for event in events]
        message.events_to_append.CopyFrom(EventsToAppend(events=protos, verbatim=True))
        await log.accept(message)
        await log.wait_for(conversation_id, message.message_id, timeout_s=20.0)
    await log.leave()
    await working
