"""JSON from clients and action servers, files to import, and headers."""

import json
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from turnstream.assistant.problems import ProjectError
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.parse_json import parse_from_rasa, parse_result_to_rasa
from turnstream.dialogue.proto import event_from_proto, event_to_proto, parse_from_proto, parse_to_proto
from turnstream.dialogue.rasa_json import EventError, event_to_rasa, events_from_rasa, tracker_to_rasa
from turnstream.gateway.requests import check_nesting
from turnstream.gateway.rest.bodies import parse_json
from turnstream.replay.importing import Present, plan, read_conversation
from turnstream.replay.sources import open_source
from turnstream.runtime.errors import InvalidRequest
from turnstream.runtime.tracing import begin_trace, valid

from fuzz.target import Target, choosing, chosen
from fuzz.wire_readers import domain


def _posted(data: bytes) -> Any:
    body = parse_json(data)
    check_nesting(body, "body")
    return body


def _events(data: bytes) -> None:
    """What was read can be stored, and told again in JSON."""
    events, _ = events_from_rasa(_posted(data), now=1.0)
    stored = [event_from_proto(event_to_proto(event)) for event in events]
    told = [event_to_rasa(event) for event in stored]
    dialogue = Dialogue("ada", domain(), stored)
    dialogue.history()
    json.dumps([told, tracker_to_rasa(dialogue.tracker)], allow_nan=False).encode()


def _parse(data: bytes) -> None:
    parse = parse_from_proto(parse_to_proto(parse_from_rasa(_posted(data))))
    json.dumps(parse_result_to_rasa(parse), allow_nan=False)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    place = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="turnstream-fuzz-", dir=place if place.is_dir() else None)


def _import(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> None:
        file = Path(_folder().name) / name
        file.write_bytes(data)
        source = open_source(file)
        source.conversation_ids()
        for raw in source.conversations():
            conversation = read_conversation(raw, keep_unknown=True)
            if not conversation.problems:
                plan(conversation, Present())

    return read


def _traceparent(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = valid(text)
    assert found in (text, "")
    assert valid(begin_trace(text))


_EVENTS = [
    {"event": "user", "text": "hi", "parse_data": {"intent": {"name": "greet", "confidence": 1.0}, "entities": []}},
    {"event": "slot", "name": "any", "value": {"a": [1, 2.5, None]}, "timestamp": 5},
    {"event": "action", "name": "action_listen", "confidence": 0.5, "policy": "p", "metadata": {"a": 1}},
    {"event": "bot", "text": "x", "data": {"buttons": None}},
    {"event": "active_loop", "name": None},
    {"event": "reminder", "intent": "i", "date_time": "2026-11-22T08:00:00", "entities": [], "name": "r"},
    {"event": "entities", "entities": [{"entity": "city", "value": "Rome", "start": 0, "end": 4}]},
    {"event": "rewind"},
    {"event": "restart", "timestamp": 1e300},
    {"event": "slot", "name": "n", "value": 10**400},
    {"event": "slot", "name": "any", "value": "\ud800"},
]


def _json_seeds() -> Sequence[bytes]:
    parse = {
        "text": "hi",
        "intent": {"name": "greet", "confidence": 0.5},
        "entities": [{"entity": "e", "value": 1, "start": 0, "end": 1, "role": "r", "confidence_entity": 0.2}],
        "intent_ranking": [{"name": "greet", "confidence": 0.5}],
        "response_selector": {"all_retrieval_intents": [], "default": {"response": {"responses": [{"text": "x"}]}}},
        "text_tokens": [[0, 2]],
    }
    events = [chosen(0, json.dumps([event]).encode()) for event in _EVENTS]
    return [*events, chosen(0, json.dumps(_EVENTS).encode()), chosen(1, json.dumps(parse).encode())]


def _import_seeds() -> Sequence[bytes]:
    lines = "\n".join(json.dumps({"sender_id": "ada", **event}) for event in _EVENTS[:8])
    tracker = json.dumps([{"sender_id": "ada", "events": _EVENTS[:8]}])
    row = json.dumps(_EVENTS[0]).replace('"', '""')
    table = f'sender_id,data,timestamp\nada,"{row}",1\nada,"{row}",nan\n'
    parts = [chosen(0, lines.encode()), chosen(0, tracker.encode()), chosen(1, table.encode()), chosen(2, _database())]
    hostile = (
        b"",
        b"[" * 5000,
        b'{"sender_id": "\\ud800", "event": "restart"}',
        b"\xff\xfe",
        b"sender_id,data\n\0,\0\n",
    )
    return [*parts, *(chosen(number, part) for number in range(3) for part in hostile)]


def _database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("CREATE TABLE events (id INTEGER, sender_id, type_name, timestamp, data)")
        connection.execute("INSERT INTO events VALUES (1, 'ada', 'restart', 1.0, '{}')")
        content = connection.serialize()
    connection.close()
    return content


_TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TARGETS = (
    Target("json", choosing(_events, _parse), (InvalidRequest, EventError), _json_seeds),
    Target("imports", choosing(_import("a.json"), _import("a.csv"), _import("a.db")), (ProjectError,), _import_seeds),
    Target("traceparent", _traceparent, (), lambda: [_TRACEPARENT, _TRACEPARENT + b"\n", b"\xff" * 55]),
)
