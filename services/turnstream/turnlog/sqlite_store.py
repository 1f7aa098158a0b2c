"""The tables of the SQLite turn log, and each thing that is done to them, as functions on a connection.

Every writing function runs inside a transaction of the caller's, checks before it changes, and changes nothing
when it raises.
"""

import sqlite3
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from turnstream.turnlog.errors import Erased, Fenced, InboxFull, IncompatibleLog, OutOfOrder
from turnstream.turnlog.interface import Accepted, Lease, Position, Snapshot

SCHEMA_VERSION = 1
APPLICATION_ID = 0x54534C47
"""`TSLG` in the file's header, so that another program's SQLite file is not taken for a log."""

_SCHEMA = """
CREATE TABLE schema (version INTEGER NOT NULL, partitions INTEGER NOT NULL);
CREATE TABLE partitions (
    partition INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, worker TEXT, unanswered INTEGER NOT NULL
);
CREATE TABLE inbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL,
    conversation_id TEXT NOT NULL, message_id TEXT NOT NULL,
    turn_number INTEGER, record BLOB,
    UNIQUE (conversation_id, message_id)
);
CREATE INDEX inbox_waiting ON inbox (position) WHERE turn_number IS NULL;
CREATE INDEX inbox_waiting_of ON inbox (conversation_id) WHERE turn_number IS NULL;
CREATE TABLE turns (
    position INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL,
    conversation_id TEXT NOT NULL, message_id TEXT NOT NULL,
    turn_number INTEGER NOT NULL, record BLOB NOT NULL,
    UNIQUE (conversation_id, turn_number)
);
CREATE INDEX turns_of_partition ON turns (partition);
CREATE TABLE snapshots (conversation_id TEXT PRIMARY KEY, turn_number INTEGER NOT NULL, payload BLOB NOT NULL);
"""

_LATER_SCHEMA = """
CREATE TABLE IF NOT EXISTS agendas (
    partition INTEGER NOT NULL, conversation_id TEXT NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (partition, conversation_id)
) WITHOUT ROWID
"""
"""What a log of the same schema version may lack: it is added where it is missing."""


class Row(NamedTuple):
    """A record as it is stored; `turn_number` is None for a message without a turn."""

    position: int
    partition: int
    conversation_id: str
    message_id: str
    turn_number: int | None
    record: bytes


_ROW = "position, partition, conversation_id, message_id, turn_number, record"


class NewTurn(NamedTuple):
    partition: int
    conversation_id: str
    message_id: str
    turn_number: int
    inbox_offset: int
    record: bytes


class Ownership(NamedTuple):
    partition: int
    epoch: int
    worker: str | None


def connect(path: Path, *, synchronous: str = "FULL", create_partitions: int) -> sqlite3.Connection:
    """Open the log, creating it where there is none. Raises IncompatibleLog and leaves the file as it was.

    `synchronous=FULL` in WAL mode calls fsync at every commit: what was accepted survives a power cut, not only a
    killed process (for which NORMAL is enough: the page cache outlives the process).
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        _check_or_create(connection, path, create_partitions)
        connection.execute(f"PRAGMA synchronous={synchronous}")
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise IncompatibleLog(f"{path} is no turn log: {error}. Move it away, or name another file.") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check_or_create(connection: sqlite3.Connection, path: Path, partitions: int) -> None:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        _use_wal(connection)
        _create(connection, partitions)
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise IncompatibleLog(f"{path} is an SQLite file of another program. Name another file.")
    found = connection.execute("SELECT version FROM schema").fetchone()[0]
    if found != SCHEMA_VERSION:
        raise IncompatibleLog(
            f"{path} was written by another version of Turnstream: its schema is {found}, this one's {SCHEMA_VERSION}. "
            "Use that version, or export the conversations with it."
        )
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'agendas'").fetchone():
        connection.execute(_LATER_SCHEMA)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Two processes that create the log at once collide here, and SQLite's busy handler does not cover the switch."""
    deadline = time.monotonic() + 10.0
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise


def _create(connection: sqlite3.Connection, partitions: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute("INSERT INTO schema VALUES (?, ?)", (SCHEMA_VERSION, partitions))
        connection.executemany("INSERT INTO partitions VALUES (?, 0, NULL, 0)", [(n,) for n in range(partitions)])
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("COMMIT")


def count_partitions(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT partitions FROM schema").fetchone()[0])


def partition_of(conversation_id: str, partitions: int) -> int:
    return zlib.crc32(conversation_id.encode()) % partitions


def data_version(connection: sqlite3.Connection) -> int:
    """Changes when another connection has committed."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def insert_message(
    connection: sqlite3.Connection,
    partition: int,
    conversation_id: str,
    message_id: str,
    record: bytes,
    *,
    max_unanswered: int,
    max_unanswered_per_conversation: int,
) -> Accepted:
    """Raises InboxFull."""
    found = connection.execute(
        "SELECT position FROM inbox WHERE conversation_id = ? AND message_id = ?", (conversation_id, message_id)
    ).fetchone()
    if found is not None:
        return Accepted(Position(partition, found[0]), duplicate=True)
    _check_room(connection, conversation_id, max_unanswered, max_unanswered_per_conversation)
    cursor = connection.execute(
        "INSERT INTO inbox (partition, conversation_id, message_id, record) VALUES (?, ?, ?, ?)",
        (partition, conversation_id, message_id, record),
    )
    connection.execute("UPDATE partitions SET unanswered = unanswered + 1 WHERE partition = ?", (partition,))
    assert cursor.lastrowid is not None
    return Accepted(Position(partition, cursor.lastrowid))


def _check_room(connection: sqlite3.Connection, conversation_id: str, most: int, most_of_one: int) -> None:
    if connection.execute("SELECT sum(unanswered) FROM partitions").fetchone()[0] >= most:
        raise InboxFull(f"{most} messages are waiting to be answered. Try later, with the same message id.")
    waiting = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE conversation_id = ? AND turn_number IS NULL LIMIT ?)",
        (conversation_id, most_of_one),
    ).fetchone()[0]
    if waiting >= most_of_one:
        raise InboxFull(
            f"{most_of_one} messages of conversation '{conversation_id}' are waiting to be answered. "
            "Try later, with the same message id."
        )


def insert_turn(connection: sqlite3.Connection, lease: Lease, worker: str, turn: NewTurn) -> Position:
    """Commit a turn's record together with its message's progress. Raises Fenced, OutOfOrder."""
    check_lease(connection, lease, worker)
    _check_order(connection, turn)
    cursor = connection.execute(
        "INSERT INTO turns (partition, conversation_id, message_id, turn_number, record) VALUES (?, ?, ?, ?, ?)",
        (turn.partition, turn.conversation_id, turn.message_id, turn.turn_number, turn.record),
    )
    connection.execute("UPDATE inbox SET turn_number = ? WHERE position = ?", (turn.turn_number, turn.inbox_offset))
    connection.execute("UPDATE partitions SET unanswered = unanswered - 1 WHERE partition = ?", (turn.partition,))
    assert cursor.lastrowid is not None
    return Position(turn.partition, cursor.lastrowid)


def check_lease(connection: sqlite3.Connection, lease: Lease, worker: str) -> None:
    held = connection.execute(
        "SELECT 1 FROM partitions WHERE partition = ? AND epoch = ? AND worker = ?",
        (lease.partition, lease.epoch, worker),
    ).fetchone()
    if held is None:
        raise Fenced(lease.partition, lease.epoch)


def _check_order(connection: sqlite3.Connection, turn: NewTurn) -> None:
    message = connection.execute(
        "SELECT turn_number FROM inbox WHERE position = ? AND conversation_id = ? AND message_id = ?",
        (turn.inbox_offset, turn.conversation_id, turn.message_id),
    ).fetchone()
    where = f"conversation '{turn.conversation_id}', message '{turn.message_id}'"
    if message is None:
        raise OutOfOrder(f"{where}: no such message at inbox offset {turn.inbox_offset}")
    if message[0] is not None:
        raise OutOfOrder(f"{where}: answered already, by turn {message[0]}")
    last = last_turn(connection, turn.conversation_id)
    if turn.turn_number != last + 1:
        raise OutOfOrder(f"{where}: turn {turn.turn_number} does not follow the last committed turn {last}")


def save_snapshot(connection: sqlite3.Connection, conversation_id: str, snapshot: Snapshot) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", (conversation_id, snapshot.turn_number, snapshot.payload)
    )


def save_agenda(connection: sqlite3.Connection, partition: int, conversation_id: str, agenda: bytes) -> None:
    if agenda:
        connection.execute("INSERT OR REPLACE INTO agendas VALUES (?, ?, ?)", (partition, conversation_id, agenda))
    else:
        connection.execute(
            "DELETE FROM agendas WHERE partition = ? AND conversation_id = ?", (partition, conversation_id)
        )


def find_agenda(connection: sqlite3.Connection, partition: int, conversation_id: str) -> bytes:
    """Empty where there is none."""
    found = connection.execute(
        "SELECT payload FROM agendas WHERE partition = ? AND conversation_id = ?", (partition, conversation_id)
    ).fetchone()
    return b"" if found is None else bytes(found[0])


def agendas(connection: sqlite3.Connection, partition: int) -> dict[str, bytes]:
    """By conversation."""
    return dict(
        connection.execute("SELECT conversation_id, payload FROM agendas WHERE partition = ?", (partition,)).fetchall()
    )


def erase_before(connection: sqlite3.Connection, conversation_id: str, turn_number: int) -> None:
    """Delete what was said before this turn. The ids stay: a message sent again is still the same message."""
    connection.execute(
        "DELETE FROM turns WHERE conversation_id = ? AND turn_number < ?", (conversation_id, turn_number)
    )
    connection.execute(
        "UPDATE inbox SET record = NULL WHERE conversation_id = ? AND turn_number < ?", (conversation_id, turn_number)
    )
    connection.execute(
        "DELETE FROM snapshots WHERE conversation_id = ? AND turn_number < ?", (conversation_id, turn_number)
    )


def last_turn(connection: sqlite3.Connection, conversation_id: str) -> int:
    found = connection.execute("SELECT max(turn_number) FROM turns WHERE conversation_id = ?", (conversation_id,))
    return int(found.fetchone()[0] or 0)


def find_turn(connection: sqlite3.Connection, conversation_id: str, message_id: str) -> Row | None:
    """The turn that answers a message; None where there is none yet. Raises Erased."""
    answered = connection.execute(
        "SELECT turn_number FROM inbox WHERE conversation_id = ? AND message_id = ?", (conversation_id, message_id)
    ).fetchone()
    if answered is None or answered[0] is None:
        return None
    for row in turns_of(connection, conversation_id, answered[0], limit=1):
        if row.message_id == message_id:
            return row
    raise Erased(f"the turn of message '{message_id}' was deleted with its conversation")


def turns_of(connection: sqlite3.Connection, conversation_id: str, from_turn: int, limit: int = -1) -> list[Row]:
    return [
        Row(*found)
        for found in connection.execute(
            f"SELECT {_ROW} FROM turns WHERE conversation_id = ? AND turn_number >= ? ORDER BY turn_number LIMIT ?",
            (conversation_id, from_turn, limit),
        )
    ]


def find_snapshot(connection: sqlite3.Connection, conversation_id: str) -> Snapshot | None:
    found = connection.execute(
        "SELECT turn_number, payload FROM snapshots WHERE conversation_id = ?", (conversation_id,)
    ).fetchone()
    return None if found is None else Snapshot(*found)


def turns_since(connection: sqlite3.Connection, position: int) -> list[tuple[int, str, str]]:
    """Position, conversation and message of the turns committed after `position`."""
    return connection.execute(
        "SELECT position, conversation_id, message_id FROM turns WHERE position > ? ORDER BY position", (position,)
    ).fetchall()


def newest_turn(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(position), 0) FROM turns").fetchone()[0])


def unanswered(connection: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    """Waiting messages after a position, oldest first. The index makes it cost what waits, not what ever came."""
    return [
        Row(*found)
        for found in connection.execute(
            f"SELECT {_ROW} FROM inbox INDEXED BY inbox_waiting "
            "WHERE turn_number IS NULL AND position > ? ORDER BY position LIMIT ?",
            (after, limit),
        )
    ]


def newest_message(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(position), 0) FROM inbox").fetchone()[0])


def read_rows(
    connection: sqlite3.Connection, table: str, partition: int | None, after: int, until: int, chunk: int = 500
) -> Iterator[list[Row]]:
    """All records of a table (`inbox` or `turns`) in chunks, those that were erased left out."""
    in_partition = "partition = :partition AND" if partition is not None else ""
    query = (
        f"SELECT {_ROW} FROM {table} WHERE {in_partition} position > :after AND position <= :until "
        "AND record IS NOT NULL ORDER BY position LIMIT :chunk"
    )
    while True:
        values = {"partition": partition, "after": after, "until": until, "chunk": chunk}
        rows = [Row(*found) for found in connection.execute(query, values)]
        if not rows:
            return
        yield rows
        after = rows[-1].position


def owners(connection: sqlite3.Connection) -> list[Ownership]:
    found = connection.execute("SELECT partition, epoch, worker FROM partitions ORDER BY partition")
    return [Ownership(*row) for row in found]


def owner_of(connection: sqlite3.Connection, partition: int) -> str | None:
    """The name of the worker that has claimed it; it need not live any more."""
    found = connection.execute("SELECT worker FROM partitions WHERE partition = ?", (partition,)).fetchone()
    if found is None:
        return None
    worker: str | None = found[0]
    return worker


def claim(connection: sqlite3.Connection, seen: list[Ownership], worker: str) -> list[Lease]:
    """Take the partitions that still have the owner in which they were seen."""
    leases = []
    for partition, epoch, owner in seen:
        taken = connection.execute(
            "UPDATE partitions SET epoch = epoch + 1, worker = ? WHERE partition = ? AND epoch = ? AND worker IS ?",
            (worker, partition, epoch, owner),
        )
        if taken.rowcount:
            leases.append(Lease(partition, epoch + 1))
    return leases


def release(connection: sqlite3.Connection, lease: Lease, worker: str) -> None:
    connection.execute(
        "UPDATE partitions SET worker = NULL WHERE partition = ? AND epoch = ? AND worker = ?",
        (lease.partition, lease.epoch, worker),
    )
