"""`replay`, `export` and `import` on a turn log in a file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.commands import Running
from support.records import load_record
from support.shared import GOLDEN

Call = Callable[..., Result]
LOG = ("--log", "turns.db")


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def trackers() -> list[dict[str, Any]]:
    recorded = load_record(GOLDEN / "formbot.json")["conversations"]
    return [c["final_tracker"] | {"events": c["tracker_events"]} for c in recorded]


@pytest.fixture
def imported(call: Call, project: Path) -> list[dict[str, Any]]:
    """Trackers of Rasa, in the log."""
    given = trackers()
    (project / "trackers.json").write_text(json.dumps(given))
    result = call("import", "trackers.json", *LOG)
    assert result.exit_code == 0, result.stderr
    events = sum(len(tracker["events"]) for tracker in given)
    assert result.stdout == f"{len(given)} conversations with {events} events imported; 0 were there already.\n"
    return given


def test_what_is_exported_and_imported_again_is_the_same(
    call: Call, project: Path, imported: list[dict[str, Any]]
) -> None:
    assert call("export", *LOG, "--output", "first.jsonl").exit_code == 0
    assert call("import", "first.jsonl", "--log", "other.db").exit_code == 0
    assert call("export", "--log", "other.db", "--output", "second.jsonl").exit_code == 0
    assert (project / "first.jsonl").read_text() == (project / "second.jsonl").read_text()
    exported = lines(project / "first.jsonl")
    for tracker in imported:
        of_sender = [{k: v for k, v in e.items() if k != "sender_id"} for e in exported
                     if e["sender_id"] == tracker["sender_id"]]  # fmt: skip
        assert of_sender == tracker["events"]


def test_replay_gives_trackers_as_the_http_api_does(call: Call, project: Path, imported: list[dict[str, Any]]) -> None:
    result = call("replay", *LOG, "-o", "trackers.jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
    found = {tracker["sender_id"]: tracker for tracker in lines(project / "trackers.jsonl")}
    for tracker in imported:
        assert found[tracker["sender_id"]]["events"] == tracker["events"]
        assert found[tracker["sender_id"]]["latest_message"] == tracker["latest_message"]
        assert found[tracker["sender_id"]]["latest_event_time"] == tracker["latest_event_time"]


def test_replay_of_one_conversation_up_to_a_moment(call: Call, imported: list[dict[str, Any]]) -> None:
    sender, events = imported[0]["sender_id"], imported[0]["events"]
    until = events[9]["timestamp"]
    result = call("replay", *LOG, "--conversation", sender, "--until", str(until))
    (tracker,) = map(json.loads, result.stdout.splitlines())
    assert tracker["events"] == [event for event in events if event["timestamp"] <= until]
    assert 10 <= len(tracker["events"]) < len(events)


def test_replay_as_a_table(call: Call, imported: list[dict[str, Any]]) -> None:
    result = call("replay", *LOG, "--summary")
    assert len(result.stdout.splitlines()) == 1 + len(imported) + 1
    events = sum(len(tracker["events"]) for tracker in imported)
    assert f"{len(imported)} conversations, {len(imported)} turns, {events} events" in result.stdout


def test_check(call: Call, imported: list[dict[str, Any]]) -> None:
    result = call("replay", *LOG, "--check")
    assert (result.exit_code, result.stdout[:9]) == (0, "No faults")


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.output
    for word in words:
        assert word in result.stderr


def test_refusals_of_replay(call: Call, project: Path, imported: list[dict[str, Any]]) -> None:
    refused(call("replay", "--log", "nowhere.db"), "nowhere.db: no turn log here")
    assert not (project / "nowhere.db").exists()
    refused(call("replay", *LOG, "--conversation", "nobody", "-o", "out"), "nothing of 'nobody'")
    refused(call("replay", *LOG, "--until-offset", "99:1", "-o", "out"), "no partition 99")
    refused(call("replay", *LOG, "-o", "no/such/folder"), "no/such is no folder")
    refused(call("replay", *LOG, "--bundles", "nothing"), "no trained model here", "--bundles")
    assert call("replay", *LOG, "--until", "noon").exit_code == 2
    assert not [path for path in project.iterdir() if "out" in path.name], "nothing half-written stays"


def test_export_goes_on_where_it_ended(call: Call, project: Path, imported: list[dict[str, Any]]) -> None:
    first = call("export", *LOG, "--position-file", "place")
    assert len(first.stdout.splitlines()) == sum(len(tracker["events"]) for tracker in imported)
    place = first.stderr.split("--from ")[1].strip()
    assert call("export", *LOG, "--position-file", "place").stdout == ""
    assert call("export", *LOG, "--from", place).stdout == ""
    (project / "more.json").write_text(json.dumps({"sender_id": "ada", "event": "restart", "timestamp": 5}))
    assert call("import", "more.json", *LOG).exit_code == 0
    (event,) = map(json.loads, call("export", *LOG, "--position-file", "place").stdout.splitlines())
    assert (event["sender_id"], event["event"], event["timestamp"]) == ("ada", "restart", 5.0)


def test_export_filters(call: Call, imported: list[dict[str, Any]]) -> None:
    first, second = imported[:2]
    chosen = call("export", *LOG, "--conversation-ids", f"{first['sender_id']},{second['sender_id']}")
    assert len(chosen.stdout.splitlines()) == len(first["events"]) + len(second["events"])
    times = [event["timestamp"] for event in first["events"]]
    between = call(
        "export", *LOG, "--conversation-ids", first["sender_id"],
        "--minimum-timestamp", str(times[3]), "--maximum-timestamp", str(times[6]),
    )  # fmt: skip
    found = [json.loads(line)["timestamp"] for line in between.stdout.splitlines()]
    assert found == [time for time in times if times[3] <= time < times[6]]


def test_export_follows_what_is_committed(call: Call, project: Path, imported: list[dict[str, Any]]) -> None:
    assert call("export", *LOG, "--position-file", "place").exit_code == 0
    following = Running(
        "export", *LOG, "--position-file", "place", "--follow", "--follow-interval", "0.05", cwd=project
    )  # fmt: skip
    with following:
        (project / "more.json").write_text(json.dumps({"sender_id": "ada", "event": "restart", "timestamp": 5}))
        assert call("import", "more.json", *LOG).exit_code == 0
        following.until('"sender_id": "ada", "event": "restart"')
        assert following.stop() == 0
    assert len(following.lines) == 1
    assert call("export", *LOG, "--position-file", "place").stdout == ""


def test_refusals_of_export(call: Call, imported: list[dict[str, Any]]) -> None:
    refused(call("export", *LOG, "-o", "a", "--to-topic", "b"), "not both")
    refused(call("export", *LOG, "--from", "0:1", "--position-file", "b"), "leave --from out")
    refused(call("export", *LOG, "--from", "99:1"), "no partition 99")


def test_a_bad_record_is_named_and_keeps_its_conversation_out(call: Call, project: Path) -> None:
    events = [
        {"sender_id": "ada", "event": "restart", "timestamp": 1},
        {"sender_id": "ada", "event": "slott", "timestamp": 2},
        {"sender_id": "bob", "event": "restart", "timestamp": 3},
    ]
    (project / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    dry = call("import", "events.jsonl", *LOG, "--dry-run")
    refused(dry, "events.jsonl:2", "'ada'", "unknown event 'slott'. Did you mean 'slot'?", "1 conversations were left")
    assert "1 conversation with 1 event would be imported" in dry.stdout
    refused(call("import", "events.jsonl", *LOG), "events.jsonl:2")
    assert [json.loads(line)["sender_id"] for line in call("export", *LOG).stdout.splitlines()] == ["bob"]
    assert call("import", "events.jsonl", *LOG, "--keep-unknown").exit_code == 0


def test_nothing_is_imported_where_a_record_may_be_anybodys(call: Call, project: Path) -> None:
    (project / "events.jsonl").write_text('{"sender_id": "ada", "event": "restart", "timestamp": 1}\n{"event":\n')
    refused(call("import", "events.jsonl", *LOG), "events.jsonl:2: no JSON", "Nothing was imported")
    assert not (project / "turns.db").exists()
    (project / "a.json").write_text('{"sender_id": "ada", "event": "restart", "timestamp": 1}')
    (project / "b.json").write_text('{"sender_id": "ada", "event": "restart", "timestamp": 1}')
    refused(call("import", "a.json", "b.json", *LOG), "conversation 'ada' is in a.json too")
