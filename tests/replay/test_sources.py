"""What Rasa keeps trackers in can be read, and what cannot be is named with its place."""

import csv
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from turnstream.assistant.problems import ProjectError
from turnstream.replay.sources import open_source

Json = dict[str, Any]

HI: Json = {"event": "user", "timestamp": 1.5, "text": "hi"}
LISTEN: Json = {"event": "action", "timestamp": 2.5, "name": "action_listen"}


def sql(path: Path, rows: Sequence[tuple[str | None, str, str]]) -> Path:
    """As Rasa's SQLTrackerStore makes it."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE events (id INTEGER NOT NULL PRIMARY KEY, sender_id VARCHAR(255), type_name VARCHAR(255),"
            " timestamp FLOAT, intent_name VARCHAR(255), action_name VARCHAR(255), data TEXT)"
        )
        connection.executemany("INSERT INTO events (sender_id, type_name, timestamp, data) VALUES (?, ?, 9.5, ?)", rows)
    connection.close()
    return path


def content(path: Path) -> dict[str, list[Any]]:
    source = open_source(path)
    found = {raw.conversation_id: [event.data for event in raw.events] for raw in source.conversations()}
    assert source.conversation_ids() == frozenset(found)
    return found


def places(path: Path) -> list[str]:
    return [str(event.where) for raw in open_source(path).conversations() for event in raw.events]


def refusal(path: Path) -> str:
    with pytest.raises(ProjectError) as refused:
        open_source(path).conversation_ids()
    return str(refused.value)


def written(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_the_sql_tracker_store_in_order_of_its_ids(tmp_path: Path) -> None:
    rows = [("bob", "user", json.dumps(HI)), ("ada", "user", json.dumps(HI)), ("bob", "action", json.dumps(LISTEN))]
    path = sql(tmp_path / "rasa.db", rows)
    assert content(path) == {"ada": [HI], "bob": [HI, LISTEN]}
    assert places(path)[0] == f"{path}, table events, row 2"


def test_columns_stand_in_for_what_the_data_does_not_say(tmp_path: Path) -> None:
    path = sql(tmp_path / "rasa.db", [("ada", "restart", "{}"), ("ada", "undo", "no json")])
    assert content(path) == {"ada": [{"event": "restart", "timestamp": 9.5}, "no json"]}


def test_a_database_without_events_or_senders(tmp_path: Path) -> None:
    assert "row 1 of table 'events' has no sender_id" in refusal(sql(tmp_path / "rasa.db", [(None, "undo", "{}")]))
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()
    assert "it has no table 'events', so it is no tracker store" in refusal(tmp_path / "other.db")


def test_a_dump_of_sqlite(tmp_path: Path) -> None:
    quoted = {**HI, "text": "it's; two\nlines (here)"}
    with sqlite3.connect(sql(tmp_path / "rasa.db", [("bob", "user", json.dumps(quoted)), ("ada", "undo", "{}")])) as db:
        path = written(tmp_path / "rasa.sql", *db.iterdump())
    db.close()
    assert content(path) == {"bob": [quoted], "ada": [{"event": "undo", "timestamp": 9.5}]}


POSTGRES = r"""--
-- PostgreSQL database dump
--
CREATE TABLE public.events (
    id integer NOT NULL,
    sender_id character varying(255) NOT NULL,
    type_name character varying(255) NOT NULL,
    "timestamp" double precision,
    data text
);
COPY public.other (id, sender_id) FROM stdin;
1	nobody
\.
COPY public.events (id, sender_id, type_name, "timestamp", data) FROM stdin;
2	ada	action	2.5	{"event": "action", "timestamp": 2.5, "name": "action_listen"}
1	ada	user	1.5	{"event": "user", "timestamp": 1.5, "text": "a \\"b\\"\\n\\\\ c"}
3	bob	undo	\N	{}
\.
"""

MYSQL = r"""-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
CREATE TABLE `events` (
  `id` int NOT NULL AUTO_INCREMENT,
  `sender_id` varchar(255) NOT NULL,
  `type_name` varchar(255) NOT NULL,
  `timestamp` float DEFAULT NULL,
  `data` text,
  PRIMARY KEY (`id`),
  KEY `ix_events_sender_id` (`sender_id`,`id`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4;
INSERT INTO `events` VALUES
(1,'ada','user',1.5,'{\"event\": \"user\", \"timestamp\": 1.5, \"text\": \"a \\\"b\\\"\\n\\\\ c\"}'),
(2,'ada','action',2.5,'{\"event\": \"action\", \"timestamp\": 2.5, \"name\": \"action_listen\"}'),
(3,'bob','undo',NULL,'{}');
"""


@pytest.mark.parametrize("dump", [POSTGRES, MYSQL], ids=["pg_dump", "mysqldump"])
def test_dumps_of_servers(tmp_path: Path, dump: str) -> None:
    found = content(written(tmp_path / "rasa.sql", dump))
    assert found == {
        "ada": [{**HI, "text": 'a "b"\n\\ c'}, LISTEN],
        "bob": [{"event": "undo", "timestamp": None}],
    }


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["SELECT 1;"], "no rows of a table 'events' are in it"),
        (["COPY events (id, sender_id, data) FROM stdin;", "1\tada"], "rasa.sql:2: no dump that can be read: 2 values"),
        (["INSERT INTO events (id, sender_id, data) VALUES (1,'ada','{}'"], "the statement does not end"),
        (["INSERT INTO events (id, sender_id) VALUES (1,'ada');"], "has no column 'data'"),
        (["INSERT INTO events (sender_id, data) VALUES (NULL,'{}');"], "rasa.sql:1: the row has no sender_id"),
    ],
)
def test_dumps_that_are_none(tmp_path: Path, lines: list[str], why: str) -> None:
    assert why in refusal(written(tmp_path / "rasa.sql", *lines))


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "sender_id", "type_name", "timestamp", "data"])
        writer.writerow([1, "ada", "user", 1.5, json.dumps({**HI, "text": "two\nlines"})])
        writer.writerow([2, "ada", "action", 2.5, json.dumps(LISTEN)])
    assert content(path) == {"ada": [{**HI, "text": "two\nlines"}, LISTEN]}
    written(path, "sender,data", "ada,{}")
    assert "names no column 'sender_id'" in refusal(path)


@pytest.mark.parametrize("as_lines", [False, True])
def test_trackers(tmp_path: Path, as_lines: bool) -> None:
    trackers = [{"sender_id": "ada", "events": [HI, LISTEN], "slots": {}}, {"sender_id": "bob", "events": [HI]}]
    path = written(tmp_path / "trackers.json", *(trackers if as_lines else [trackers]))
    assert content(path) == {"ada": [HI, LISTEN], "bob": [HI]}
    assert places(path)[1] == (f"{path}:1, event 2" if as_lines else f"{path}, entry 1, event 2")


def test_one_tracker_as_a_document_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "tracker.json"
    path.write_text(json.dumps({"sender_id": "ada", "events": [HI]}, indent=2))
    assert content(path) == {"ada": [HI]}


def test_events_as_brokers_publish_them(tmp_path: Path) -> None:
    lines = [{"sender_id": "ada", **HI}, {"sender_id": "bob", **HI}, {"sender_id": "ada", **LISTEN}]
    path = written(tmp_path / "events.jsonl", *lines)
    assert content(path) == {"ada": [HI, LISTEN], "bob": [HI]}
    assert places(path) == [f"{path}:1", f"{path}:3", f"{path}:2"]


def test_a_tracker_without_events(tmp_path: Path) -> None:
    path = written(tmp_path / "t.json", {"sender_id": "ada", "events": None})
    assert content(path) == {"ada": [None]}


def test_every_line_that_says_nothing_of_its_conversation_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "events.jsonl", {"sender_id": "ada", **HI}, "{", {"event": "user"}, {"sender_id": "a"})
    told = refusal(path)
    assert f"{path}:2: no JSON" in told
    assert f"{path}:3: it has no 'sender_id'" in told
    assert f"{path}:4: it is neither an event" in told


def test_files_that_hold_nothing(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing.json")
    assert "no conversations" in refusal(written(tmp_path / "empty.json", ""))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    assert "UTF-8" in refusal(tmp_path / "bytes.json")
