"""What is SQLite's own: the file, its version, damaged records, liveness of workers, gathering of commits."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from turnstream.testing.turnlog_contract import RecordingWorker, Running, a_message, a_turn, everything, soon
from turnstream.turnlog import sqlite_store as store
from turnstream.turnlog.errors import (
    Fenced,
    InboxFull,
    IncompatibleLog,
    MessageTooLarge,
    TurnTooLarge,
    UndecodableRecord,
)
from turnstream.turnlog.interface import Entry, Lease, Snapshot, Undecodable
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog
from turnstream.turnlog.sqlite_members import Member, live_members
from turnstream.turnlog.sqlite_writer import GroupWriter

SETTINGS = SqliteSettings(partitions=4, heartbeat_s=0.02)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "turns.db"


@pytest.fixture
async def log(path: Path) -> AsyncIterator[SqliteTurnLog]:
    opened = SqliteTurnLog(path, SETTINGS)
    yield opened
    await opened.close()


def by_hand(path: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, values)
    connection.close()


def create(path: Path) -> None:
    store.connect(path, create_partitions=4).close()


def test_a_log_of_another_version_is_refused_and_left_as_it_is(path: Path) -> None:
    create(path)
    by_hand(path, "UPDATE schema SET version = 99")
    before = path.read_bytes()
    with pytest.raises(IncompatibleLog, match="99"):
        store.connect(path, create_partitions=4)
    assert path.read_bytes() == before


async def test_a_log_that_was_made_before_there_were_agendas_keeps_them_from_now_on(path: Path) -> None:
    await SqliteTurnLog(path, SETTINGS).close()
    by_hand(path, "DROP TABLE agendas")
    running = Running(SqliteTurnLog(path, SETTINGS))
    await running.log.accept(a_message("c", "m1"))
    delivery = await running.worker.next()
    await running.log.commit(delivery.lease, a_turn(delivery, 1), None, b"call back at ten")
    assert await running.log.agendas(delivery.lease) == {"c": b"call back at ten"}
    await running.stop()
    await running.log.close()  # type: ignore[attr-defined]


async def test_another_programs_database_is_refused(path: Path) -> None:
    by_hand(path, "CREATE TABLE notes (text TEXT)")
    with pytest.raises(IncompatibleLog, match="another program"):
        SqliteTurnLog(path)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"this is not a database, it is a text" * 100)
    with pytest.raises(IncompatibleLog, match="no turn log"):
        store.connect(path, create_partitions=4)


async def test_the_number_of_partitions_is_that_of_the_file(path: Path) -> None:
    create(path)
    log = SqliteTurnLog(path, SqliteSettings(partitions=99))
    assert log.partitions == 4
    await log.close()


async def test_what_was_accepted_is_synced_to_the_disk(path: Path) -> None:
    connection = store.connect(path, create_partitions=1)
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


async def test_a_damaged_message_is_reported_with_its_place_and_the_others_are_delivered(
    path: Path, log: SqliteTurnLog
) -> None:
    damaged = await log.accept(a_message("c", "m1"))
    later = await log.accept(a_message("c", "m2"))
    by_hand(path, "UPDATE inbox SET record = ? WHERE position = ?", b"\xff\xff", damaged.position.offset)
    running = Running(log)
    delivery = await running.worker.next()
    assert delivery.position == later.position
    (problem,) = running.worker.problems
    assert (problem.position, problem.conversation_id, problem.message_id) == (damaged.position, "c", "m1")
    assert f"offset {damaged.position.offset}" in str(problem)
    assert isinstance((await everything(log.read_inbox()))[0], Undecodable)


async def test_a_record_of_a_later_format_is_left_for_those_who_can_read_it(path: Path, log: SqliteTurnLog) -> None:
    accepted = await log.accept(a_message("c", "m1"))
    later = a_message("c", "m1")
    later.format_version = 7
    by_hand(path, "UPDATE inbox SET record = ? WHERE position = ?", later.SerializeToString(), accepted.position.offset)
    await log.accept(a_message("d", "m1"))
    running = Running(log)
    assert (await running.worker.next()).message.conversation_id == "d"
    assert "format version 7" in running.worker.problems[0].reason


async def test_a_damaged_turn_is_reported_and_the_conversation_goes_on(path: Path, log: SqliteTurnLog) -> None:
    running = Running(log)
    for n in (1, 2):
        await log.accept(a_message("c", f"m{n}"))
        await running.answer(await running.worker.next())
    by_hand(path, "UPDATE turns SET record = ? WHERE turn_number = 1", b"\xff\xff")
    state = await log.conversation("c")
    assert (state.last_turn, [t.turn_number for t in state.turns]) == (2, [2])
    assert state.undecodable[0].message_id == "m1"
    with pytest.raises(UndecodableRecord):
        await log.wait_for("c", "m1", 1.0)
    turns = log.turns("c")
    assert (await soon(anext(turns))).turn_number == 2
    await log.accept(a_message("c", "m3"))
    assert (await running.answer(await running.worker.next())).turn_number == 3


async def test_one_conversation_cannot_fill_the_inbox(path: Path) -> None:
    log = SqliteTurnLog(path, SqliteSettings(max_unanswered_per_conversation=2))
    for n in range(2):
        await log.accept(a_message("busy", f"m{n}"))
    with pytest.raises(InboxFull, match="busy"):
        await log.accept(a_message("busy", "m2"))
    assert (await log.accept(a_message("busy", "m1"))).duplicate
    assert not (await log.accept(a_message("other", "m1"))).duplicate
    await log.close()


async def test_a_worker_that_hangs_is_replaced_and_fenced(path: Path) -> None:
    clock = Clock()
    hung = SqliteTurnLog(path, SqliteSettings(partitions=4, heartbeat_s=3600.0), clock)
    running = Running(hung)
    await hung.accept(a_message("c", "m1"))
    held = await running.worker.next()
    clock.now += 60.0
    other = SqliteTurnLog(path, SETTINGS, clock)
    replacement = Running(other)
    delivery = await replacement.worker.next()
    with pytest.raises(Fenced):
        await hung.commit(held.lease, a_turn(held, 1))
    await replacement.answer(delivery)
    await other.close()
    await hung.close()


def test_a_member_lives_as_long_as_its_lock_and_its_beat(tmp_path: Path) -> None:
    clock = Clock()
    member = Member(tmp_path, clock)
    assert live_members(tmp_path, 5.0, clock) == [member.name]
    clock.now += 6.0
    assert live_members(tmp_path, 5.0, clock) == []
    member.beat()
    assert live_members(tmp_path, 5.0, clock) == [member.name]
    member.abandon()
    assert live_members(tmp_path, 5.0, clock) == []
    assert list(tmp_path.iterdir()) == []


def test_a_beat_from_before_a_reboot_does_not_count(tmp_path: Path) -> None:
    clock = Clock()
    member = Member(tmp_path, clock)
    clock.now = 1.0
    assert live_members(tmp_path, 5.0, clock) == []
    member.close()


async def test_what_waits_is_committed_together_and_each_fails_on_its_own(path: Path) -> None:
    commits: list[None] = []
    writer = GroupWriter(store.connect(path, create_partitions=1), lambda: commits.append(None))

    def claim(connection: sqlite3.Connection) -> int:
        return len(store.claim(connection, [store.Ownership(0, 0, None)], "me"))

    def fail(connection: sqlite3.Connection) -> int:
        connection.execute("UPDATE partitions SET epoch = 77")
        raise ValueError("no")

    outcomes = await asyncio.gather(*(writer.run(op) for op in (fail, claim, fail, claim)), return_exceptions=True)
    assert [outcomes[1], outcomes[3]] == [1, 0]
    assert isinstance(outcomes[0], ValueError)
    assert isinstance(outcomes[2], ValueError)
    assert 1 <= len(commits) <= 2
    await writer.close()
    check = store.connect(path, create_partitions=1)
    assert store.owners(check) == [store.Ownership(0, 1, "me")]
    check.close()


async def test_a_database_error_reaches_those_who_waited_and_the_writer_goes_on(path: Path) -> None:
    writer = GroupWriter(store.connect(path, create_partitions=1), lambda: None)
    with pytest.raises(sqlite3.OperationalError):
        await writer.run(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert await writer.run(store.count_partitions) == 1
    await writer.close()


async def test_reading_goes_on_past_a_damaged_record(path: Path, log: SqliteTurnLog) -> None:
    running = Running(log)
    for n in (1, 2, 3):
        await log.accept(a_message("c", f"m{n}"))
        await running.answer(await running.worker.next())
    by_hand(path, "UPDATE turns SET record = ? WHERE turn_number = 2", b"\xff\xff")
    found = await everything(log.read_turns())
    assert [e.record.turn_number if isinstance(e, Entry) else "damaged" for e in found] == [1, "damaged", 3]


async def test_what_is_larger_than_the_log_takes_is_refused_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    log = SqliteTurnLog(tmp_path / "turns.db", SqliteSettings(partitions=2, max_record_bytes=500))
    with pytest.raises(MessageTooLarge, match="the log takes 500"):
        await log.accept(a_message("c", "m0", "x" * 500))
    running = Running(log)
    await log.accept(a_message("c", "m1"))
    delivery = await running.worker.next()
    with pytest.raises(TurnTooLarge, match="the log takes 500"):
        await log.commit(delivery.lease, a_turn(delivery, 1, "y" * 500))
    with pytest.raises(TurnTooLarge, match="with its snapshot"):
        await log.commit(delivery.lease, a_turn(delivery, 1), Snapshot(1, b"z" * 500))
    await log.commit(delivery.lease, a_turn(delivery, 1))
    assert [turn.turn_number for turn in (await log.conversation("c")).turns] == [1]
    await running.stop()
    await log.close()


class SlowToLeave(RecordingWorker):
    """Gives partitions back when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self.lets_go = asyncio.Event()

    async def revoked(self, lease: Lease) -> None:
        if not self.asked.done():
            self.asked.set_result(lease)
        await self.lets_go.wait()
        await super().revoked(lease)


async def test_a_partition_that_is_handed_over_slowly_holds_up_no_other(tmp_path: Path) -> None:
    settings = SqliteSettings(partitions=2, heartbeat_s=0.1, lease_s=1.0)
    first = Running(SqliteTurnLog(tmp_path / "turns.db", settings), SlowToLeave())
    assert isinstance(first.worker, SlowToLeave)
    await first.worker.holds(2)
    second = Running(SqliteTurnLog(tmp_path / "turns.db", settings))
    leaves = await soon(first.worker.asked)
    # It goes on to be well for longer than a lease lasts, so that nobody takes anything from it.
    name = next(f"c{n}" for n in range(9) if first.log.partition_of(f"c{n}") != leaves.partition)
    for n in range(15):
        await first.log.accept(a_message(name, f"m{n}"))
        await first.answer(await first.worker.next())
        await asyncio.sleep(settings.heartbeat_s)
    assert second.worker.leases == {}
    first.worker.lets_go.set()
    await second.worker.holds(1)
    for running in (first, second):
        await running.stop()
        await running.log.close()
