"""What `import` reads: the tracker store of Rasa as an SQLite file, as a dump or as CSV, trackers as JSON, events as
JSON lines.

A source gives conversations as they stand there, one after the other, without judging their events; `importing` does.
"""

import csv
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problem, Problems, ProjectError
from turnstream.replay import dumps

SQLITE_MAGIC = b"SQLite format 3\0"
_MOST_PROBLEMS = 20
_UNREADABLE = (sqlite3.Error, UnicodeDecodeError, MemoryError)
"""What SQLite raises for a damaged file: a size in it can be one that no machine has."""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as JSON, and where it stands. `data` may be anything."""

    where: Location
    data: Any


@dataclass(frozen=True, slots=True)
class RawConversation:
    """`events` can be read once."""

    conversation_id: str
    events: Iterable[RawEvent]


class Source(Protocol):
    """One file."""

    def conversation_ids(self) -> frozenset[str]:
        """All that are in it. Raises ProjectError."""
        ...

    def conversations(self) -> Iterator[RawConversation]:
        """Each once. Raises ProjectError where it cannot be said whose a record is."""
        ...


def open_source(path: Path) -> Source:
    """The source that the file's content calls for. Raises ProjectError where it is none."""
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_MAGIC))
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}.") from error
    if head == SQLITE_MAGIC:
        return SqlSource(path)
    if path.suffix.lower() == ".csv":
        return CsvSource(path)
    if path.suffix.lower() == ".sql":
        return DumpSource(path)
    return JsonSource(path)


class SqlSource:
    """The table `events` of Rasa's SQL tracker store, in an SQLite file."""

    def __init__(self, path: Path) -> None:
        """Raises ProjectError where the file has no such table."""
        self._path = path
        try:
            with closing(self._connect()) as connection:
                columns = {row[1] for row in connection.execute("PRAGMA table_info(events)")}
        except _UNREADABLE as error:
            raise _refused(path, f"it is no SQLite database that can be read: {error}.") from error
        if missing := {"id", "sender_id", "data"} - columns:
            what = f"its table 'events' has no column '{min(missing)}'" if columns else "it has no table 'events'"
            raise _refused(path, f"{what}, so it is no tracker store of Rasa.")
        self._columns = [c if c in columns else "NULL" for c in ("id", "sender_id", "type_name", "timestamp", "data")]

    def conversation_ids(self) -> frozenset[str]:
        for row in self._rows("SELECT id FROM events WHERE sender_id IS NULL OR sender_id = '' ORDER BY id LIMIT 1"):
            raise _refused(self._path, f"row {row[0]} of table 'events' has no sender_id.")
        return frozenset(str(row[0]) for row in self._rows("SELECT DISTINCT sender_id FROM events"))

    def conversations(self) -> Iterator[RawConversation]:
        rows = self._rows(f"SELECT {', '.join(self._columns)} FROM events ORDER BY sender_id, id")
        for sender_id, found in groupby(rows, key=lambda row: row[1]):
            yield RawConversation(str(sender_id), map(self._event, found))

    def _event(self, row: tuple[int, str, str | None, float | None, Any]) -> RawEvent:
        row_id, _, type_name, timestamp, data = row
        return _stored_event(Location(f"{self._path}, table events, row {row_id}"), type_name, timestamp, data)

    def _rows(self, query: str) -> Iterator[Any]:
        try:
            with closing(self._connect()) as connection:
                yield from connection.execute(query)
        except _UNREADABLE as error:
            raise _refused(self._path, f"table 'events' cannot be read: {error}.") from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True)


class CsvSource:
    """The same table as CSV with a header, in the order of its ids. Held in memory."""

    def __init__(self, path: Path) -> None:
        """Raises ProjectError where it is no CSV in UTF-8, a column is missing, or a row has no sender."""
        self._path = path
        self._conversations: dict[str, list[RawEvent]] = {}
        csv.field_size_limit(sys.maxsize)
        problems = Problems()
        try:
            self._read(problems)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _refused(path, f"it cannot be read as CSV in UTF-8: {error}.") from error
        problems.raise_if_any()

    def _read(self, problems: Problems) -> None:
        with self._path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if missing := {"sender_id", "data"} - set(rows.fieldnames or ()):
                raise _refused(self._path, f"its first line names no column '{min(missing)}'.")
            for row in rows:
                where = Location(str(self._path), rows.line_num)
                if not row["sender_id"]:
                    problems.error(where, "the row has no sender_id.")
                    continue
                event = _stored_event(where, row.get("type_name"), _number(row.get("timestamp")), row["data"])
                self._conversations.setdefault(row["sender_id"], []).append(event)

    def conversation_ids(self) -> frozenset[str]:
        return frozenset(self._conversations)

    def conversations(self) -> Iterator[RawConversation]:
        for conversation_id, events in self._conversations.items():
            yield RawConversation(conversation_id, events)


class DumpSource:
    """The same table in a dump of SQLite, PostgreSQL or MySQL, in the order of its ids. Held in memory."""

    def __init__(self, path: Path) -> None:
        """Raises ProjectError where it is no dump in UTF-8 that has the table, or a row has no sender."""
        self._path = path
        self._conversations: dict[str, list[tuple[float, RawEvent]]] = {}
        problems = Problems()
        try:
            with path.open(encoding="utf-8", newline="") as file:
                for row in dumps.rows(file, "events"):
                    self._take(row, problems)
        except (OSError, UnicodeDecodeError) as error:
            raise _refused(path, f"it cannot be read as UTF-8: {error}.") from error
        except dumps.NotADump as error:
            where = Location(str(path), error.line)
            raise ProjectError([Problem(where, f"no dump that can be read: {error}.")]) from error
        if problems.errors:
            raise ProjectError(problems.errors[:_MOST_PROBLEMS])
        if not self._conversations:
            raise _refused(path, "no rows of a table 'events' are in it, so it is no tracker store of Rasa.")

    def _take(self, row: dumps.Row, problems: Problems) -> None:
        where = Location(str(self._path), row.line)
        values = row.values
        if missing := {"sender_id", "data"} - values.keys():
            raise _refused(self._path, f"its table 'events' has no column '{min(missing)}'.")
        if not (sender_id := values["sender_id"]):
            problems.error(where, "the row has no sender_id.")
            return
        event = _stored_event(where, values.get("type_name"), _number(values.get("timestamp")), values["data"])
        self._conversations.setdefault(sender_id, []).append((_number(values.get("id")) or 0.0, event))

    def conversation_ids(self) -> frozenset[str]:
        return frozenset(self._conversations)

    def conversations(self) -> Iterator[RawConversation]:
        for conversation_id, events in self._conversations.items():
            yield RawConversation(conversation_id, [event for _, event in sorted(events, key=itemgetter(0))])


class JsonSource:
    """Trackers, as one document (one, or a list) or one a line; or events with `sender_id`, one a line.

    Trackers are as GET /conversations/{id}/tracker gives them. Held in memory as texts.
    """

    def __init__(self, path: Path) -> None:
        """Raises ProjectError with every line that is no JSON, or does not say whose it is."""
        self._path = path
        self._parts: dict[str, list[tuple[int, str]]] = {}
        self._problems = Problems()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _refused(path, f"it cannot be read as UTF-8: {error}.") from error
        if not self._is_document(text):
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip():
                    self._take(Location(str(path), number), number, line)
        if self._problems.errors:
            raise ProjectError(self._problems.errors[:_MOST_PROBLEMS])
        if not self._parts:
            raise _refused(path, "there are no conversations in it.")

    def _is_document(self, text: str) -> bool:
        """Whether all of it is one JSON value, which is then taken in."""
        if not text.lstrip().startswith(("[", "{")):
            return False
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return False
        for number, item in enumerate(content if isinstance(content, list) else [content], 1):
            self._take(Location(f"{self._path}, entry {number}"), -number, json.dumps(item))
        return True

    def _take(self, where: Location, number: int, text: str) -> None:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._problems.error(where, f"no JSON: {error}.")
            return
        if not isinstance(data, dict) or not isinstance(data.get("sender_id"), str) or not data["sender_id"]:
            self._problems.error(where, "it has no 'sender_id' that says whose conversation it is.")
        elif "event" not in data and "events" not in data:
            self._problems.error(where, "it is neither an event (it has no 'event') nor a tracker (no 'events').")
        else:
            self._parts.setdefault(data["sender_id"], []).append((number, text))

    def conversation_ids(self) -> frozenset[str]:
        return frozenset(self._parts)

    def conversations(self) -> Iterator[RawConversation]:
        for conversation_id, parts in self._parts.items():
            yield RawConversation(conversation_id, self._events(parts))

    def _events(self, parts: Iterable[tuple[int, str]]) -> Iterator[RawEvent]:
        for number, text in parts:
            data: dict[str, Any] = json.loads(text)
            where = Location(str(self._path), number) if number > 0 else Location(f"{self._path}, entry {-number}")
            if "event" in data:
                yield RawEvent(where, _without_sender(data))
            elif not isinstance(data["events"], list):
                yield RawEvent(where, None)
            else:
                for place, event in enumerate(data["events"], 1):
                    yield RawEvent(Location(f"{where}, event {place}"), event)


def _stored_event(where: Location, type_name: str | None, timestamp: float | None, data: Any) -> RawEvent:
    """The column `data` has the whole event; the columns beside it stand in for what it does not say."""
    try:
        content = json.loads(data)
    except (TypeError, ValueError, RecursionError):
        return RawEvent(where, data)
    if not isinstance(content, Mapping):
        return RawEvent(where, content)
    return RawEvent(where, {"event": type_name, "timestamp": timestamp, **content})


def _without_sender(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "sender_id"}


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _refused(path: Path, why: str) -> ProjectError:
    return ProjectError([Problem(Location(str(path)), why)])
