"""A worker process is killed at each named point of a turn: nothing is lost, nothing doubled, answers are the same."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.conversation.crashpoints import POINTS, VARIABLE, crash_point_from
from turnstream.conversation.restoring import events_of
from turnstream.dialogue.events import UserUttered
from turnstream.testing.conversation_process import AHEAD_S
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import Entry
from turnstream.turnlog.sqlite import SqliteTurnLog

PATIENCE_S = 60.0
CONVERSATION = "c"


class Processes:
    """Worker processes on one log."""

    def __init__(self, folder: Path) -> None:
        self.log_file = folder / "turns.db"
        self.calls_file = folder / "calls"
        self._started: list[asyncio.subprocess.Process] = []

    async def start(self, crash_at: str = "", ahead_s: float = 0.0) -> asyncio.subprocess.Process:
        environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | {AHEAD_S: str(ahead_s)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turnstream.testing.conversation_process"),
            *(str(self.log_file), str(self.calls_file)),
            env=environment | ({VARIABLE: crash_at} if crash_at else {}),
            stdout=asyncio.subprocess.PIPE,
        )
        self._started.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"ready\n"
        return process

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    async def stop(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    started = Processes(tmp_path)
    yield started
    await started.stop()


@pytest.fixture
async def gateway(processes: Processes) -> AsyncIterator[SqliteTurnLog]:
    log = SqliteTurnLog(processes.log_file)
    yield log
    await log.close()


def a_message(text: str, conversation_id: str = CONVERSATION) -> InboxMessage:
    message = InboxMessage(conversation_id=conversation_id, message_id=f"id-{text}", channel="rest")
    message.user_message.text = text
    return message


async def ask(log: SqliteTurnLog, text: str, conversation_id: str = CONVERSATION) -> list[str]:
    await log.accept(a_message(text, conversation_id))
    record = await log.wait_for(conversation_id, f"id-{text}", PATIENCE_S)
    return [reply.text for reply in record.replies]


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(PATIENCE_S):
        return await process.wait()


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_this_point_loses_and_doubles_nothing(
    point: str, processes: Processes, gateway: SqliteTurnLog
) -> None:
    # The second turn is the one that dies: the first one gives the conversation a past.
    dying = await processes.start(crash_at=f"{point}:{_second_turn(point)}")
    assert await ask(gateway, "one") == ["counted one", "utter_done"]
    await gateway.accept(a_message("two"))
    assert await ended(dying) == -signal.SIGKILL
    await gateway.accept(a_message("three"))
    await processes.start()
    again = await ask(gateway, "two")
    assert again == ["counted two", "utter_done"]
    assert await ask(gateway, "three") == ["counted three", "utter_done"]
    assert await ask(gateway, "two") == again
    await everything_is_right(gateway, ["one", "two", "three"])
    keys = [key for key in processes.calls() if "id-two" in key]
    assert 1 <= len(keys) <= 2
    assert len(set(keys)) == 1


def _second_turn(point: str) -> int:
    """At which of its calls a point is in the second turn: the first one also starts the session, by an action."""
    actions_of_first_turn = 3
    return actions_of_first_turn + 1 if point in ("before_action", "after_action") else 2


async def everything_is_right(log: SqliteTurnLog, said: list[str]) -> None:
    assert await check_log(log) == []
    turns = [entry.record async for entry in log.read_turns() if isinstance(entry, Entry)]
    assert [turn.turn_number for turn in turns] == list(range(1, len(said) + 1))
    assert [event.text for event in events_of(turns) if isinstance(event, UserUttered)] == said


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
async def test_a_reminder_fires_once_although_processes_are_killed_while_it_waits_and_while_it_fires(
    point: str, processes: Processes, gateway: SqliteTurnLog
) -> None:
    a_day_s, text = 86_400.0, "remind 86400"
    waiting = await processes.start()
    assert await ask(gateway, text) == [f"counted {text}", "utter_done"]
    waiting.kill()
    await ended(waiting)
    firing = await processes.start(crash_at=f"{point}:1", ahead_s=2 * a_day_s)
    assert await ended(firing) == -signal.SIGKILL
    await processes.start(ahead_s=2 * a_day_s)
    turns = gateway.turns(CONVERSATION, from_turn=2)
    async with asyncio.timeout(PATIENCE_S):
        fired = await anext(turns)
    await turns.aclose()  # type: ignore[attr-defined]
    assert [reply.text for reply in fired.replies] == ["counted EXTERNAL: count", "utter_done"]
    assert await ask(gateway, "three") == ["counted three", "utter_done"]
    await everything_is_right(gateway, [text, "EXTERNAL: count", "three"])


async def test_a_paused_process_that_wakes_up_after_its_partitions_have_moved_commits_nothing(
    processes: Processes, gateway: SqliteTurnLog
) -> None:
    first = await processes.start()
    assert await ask(gateway, "one") == ["counted one", "utter_done"]
    first.send_signal(signal.SIGSTOP)
    await gateway.accept(a_message("two"))
    await processes.start()
    assert await ask(gateway, "two") == ["counted two", "utter_done"]
    first.send_signal(signal.SIGCONT)
    assert await ask(gateway, "three") == ["counted three", "utter_done"]
    await everything_is_right(gateway, ["one", "two", "three"])


async def test_conversations_go_on_while_a_worker_joins_and_another_leaves(
    processes: Processes, gateway: SqliteTurnLog
) -> None:
    first = await processes.start()

    async def talk(conversation_id: str) -> list[list[str]]:
        return [await ask(gateway, f"{n}", conversation_id) for n in range(10)]

    talking = [asyncio.create_task(talk(f"c{n}")) for n in range(8)]
    await processes.start()
    first.terminate()
    assert await ended(first) == 0
    async with asyncio.timeout(PATIENCE_S):
        answers = await asyncio.gather(*talking)
    assert answers == [[[f"counted {n}", "utter_done"] for n in range(10)]] * 8
    assert await check_log(gateway) == []


def test_an_unknown_point_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="before_commit"):
        crash_point_from({VARIABLE: "befor_commit"})


def test_a_point_is_nothing_where_the_variable_is_not_set() -> None:
    point = crash_point_from({})
    assert [point(name) for name in POINTS] == [None] * len(POINTS)
