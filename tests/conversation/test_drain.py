"""SIGTERM in the middle of a turn: it is committed, or another worker answers it; once, and others go on meanwhile."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from support.kafka import kafka_settings
from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import TurnLog
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.sqlite import SqliteTurnLog

PATIENCE_S = 60.0


class Workers:
    """Worker processes on one log, and a client of it."""

    def __init__(self, log: TurnLog, where: str, calls_file: Path) -> None:
        self.log = log
        self.calls_file = calls_file
        self._where = where
        self._started: list[asyncio.subprocess.Process] = []

    async def start(self, drain_s: float) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turnstream.testing.conversation_process", self._where, str(self.calls_file)),
            env=os.environ | {"TURNSTREAM_CONVERSATION_DRAIN_S": str(drain_s)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._started.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"ready\n"
        return process

    async def accept(self, text: str, conversation_id: str) -> None:
        message = InboxMessage(conversation_id=conversation_id, message_id=f"id-{text}", channel="rest")
        message.user_message.text = text
        await self.log.accept(message)

    async def ask(self, text: str, conversation_id: str) -> list[str]:
        await self.accept(text, conversation_id)
        return await self.answer(text, conversation_id)

    async def answer(self, text: str, conversation_id: str) -> list[str]:
        record = await self.log.wait_for(conversation_id, f"id-{text}", PATIENCE_S)
        return [reply.text for reply in record.replies]

    async def acted(self, text: str) -> int:
        """How often the action was called for this text; waits for the first time."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := self._calls(text)):  # noqa: ASYNC110 (another process writes the file)
                await asyncio.sleep(0.01)
        return found

    def _calls(self, text: str) -> int:
        calls = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return sum(f"id-{text}/" in call for call in calls)

    async def stop(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await self.log.close()


@asynccontextmanager
async def workers(kind: str, folder: Path, settings: KafkaSettings) -> AsyncIterator[Workers]:
    if kind == "sqlite":
        path = folder / "turns.db"
        started = Workers(SqliteTurnLog(path), str(path), folder / "calls")
    else:
        started = Workers(KafkaTurnLog(settings), json.dumps(asdict(settings)), folder / "calls")
    try:
        yield started
    finally:
        await started.stop()


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return kafka_settings(kafka_broker)


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(PATIENCE_S):
        return await process.wait()


@pytest.mark.parametrize("kind", ["sqlite", "kafka"])
async def test_a_turn_that_ends_in_time_is_committed_before_the_process_ends(
    kind: str, tmp_path: Path, settings: KafkaSettings
) -> None:
    async with workers(kind, tmp_path, settings) as running:
        first = await running.start(drain_s=PATIENCE_S)
        await running.ask("one", "c")
        await running.accept("wait", "c")
        await running.acted("wait")
        first.send_signal(signal.SIGTERM)
        running.calls_file.with_suffix(".go").touch()
        assert await ended(first) == 0
        assert await running.answer("wait", "c") == ["counted wait", "utter_done"]
        assert await running.acted("wait") == 1
        assert await check_log(running.log) == []


@pytest.mark.parametrize("kind", ["sqlite", "kafka"])
async def test_a_turn_that_does_not_is_answered_by_another_worker_and_others_are_meanwhile(
    kind: str, tmp_path: Path, settings: KafkaSettings
) -> None:
    async with workers(kind, tmp_path, settings) as running:
        first = await running.start(drain_s=0.5)
        for conversation in ("c", "d", "e"):
            await running.ask("one", conversation)
        await running.accept("wait", "c")
        await running.acted("wait")
        await running.start(drain_s=0.5)
        first.send_signal(signal.SIGTERM)
        answers = [await running.ask("two", conversation) for conversation in ("d", "e")]
        assert answers == [["counted two", "utter_done"]] * 2
        assert await ended(first) == 0
        running.calls_file.with_suffix(".go").touch()
        assert await running.answer("wait", "c") == ["counted wait", "utter_done"]
        assert await running.acted("wait") == 2
        assert await check_log(running.log) == []
