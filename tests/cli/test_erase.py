"""`turnstream erase` on the log of an assistant that runs, and of one that does not."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord, UserMessage
from turnstream.turnlog.interface import Entry
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog


@contextmanager
def running_worker(log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "turnstream.testing.conversation_process", str(log), str(log.with_name("calls"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.terminate()


def erase(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "turnstream.cli", "erase", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def say(path: Path, conversation_id: str, wait_s: float | None = 30.0) -> None:
    log = SqliteTurnLog(path, SqliteSettings(partitions=4))
    message = InboxMessage(
        conversation_id=conversation_id, message_id="m1", channel="rest", user_message=UserMessage(text="secret")
    )
    await log.accept(message)
    if wait_s is not None:
        await log.wait_for(conversation_id, "m1", wait_s)
    await log.close()


async def turns_in(path: Path) -> list[TurnRecord]:
    log = SqliteTurnLog(path, SqliteSettings(partitions=4))
    found = [entry.record async for entry in log.read_turns() if isinstance(entry, Entry)]
    await log.close()
    return found


async def test_conversation_is_gone_but_for_the_turn_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "turns.db"
    with running_worker(path):
        await say(path, "ada")
        await say(path, "grace")
        done = erase("ada", "--turn-log", str(path), "--reason", "she asked")
    assert (done.returncode, done.stdout) == (0, "ada: turns 1 to 1 are erased\n")
    left = await turns_in(path)
    assert sorted((turn.conversation_id, turn.turn_number) for turn in left) == [("ada", 2), ("grace", 1)]
    assert not any(b"secret" in turn.SerializeToString() for turn in left if turn.conversation_id == "ada")


async def test_request_that_nobody_does_is_told(tmp_path: Path) -> None:
    path = tmp_path / "turns.db"
    await say(path, "ada", wait_s=None)
    done = erase("ada", "--turn-log", str(path), "--wait", "0.1")
    assert done.returncode == 1
    assert "is done as soon as the assistant runs" in done.stderr


def test_log_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    done = erase("ada", "--turn-log", str(tmp_path / "nothing.db"))
    assert (done.returncode, list(tmp_path.iterdir())) == (1, [])
    assert "nothing.db does not exist" in done.stderr
