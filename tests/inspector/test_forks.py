"""What an author makes of a conversation: a fork, a story, a comparison."""

from pathlib import Path
from typing import Any

import pytest
from support.bundle_folder import derive_bundle
from support.inspected import Inspected
from turnstream.assistant.problems import Problems
from turnstream.assistant.reader import read_test_stories
from turnstream.cli.examining import examined
from turnstream.runtime.settings import load_settings


async def ordered(scene: Inspected) -> None:
    await scene.say("hello")
    await scene.say("order")
    await scene.say('/inform{"city": "Berlin"}')


def told(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key != "timestamp"} for event in events]


async def test_a_fork_has_the_same_history_and_goes_on_by_itself(scene: Inspected) -> None:
    await ordered(scene)
    source = (await scene.get("conversations/ada/turns"))["turns"]
    fork = (await scene.post("conversations/ada/fork", {"turn": 2}, 201))["id"]
    copied = (await scene.get(f"conversations/{fork}/turns"))["turns"]
    assert [told(turn["events"]) for turn in copied] == [told(turn["events"]) for turn in source[:2]]
    assert [turn["replies"] for turn in copied] == [turn["replies"] for turn in source[:2]]
    then = (await scene.get("conversations/ada/tracker?turn=2"))["slots"]
    assert (await scene.get(f"conversations/{fork}/tracker"))["slots"] == then
    assert [reply["text"] for reply in await scene.say('/inform{"city": "Bonn"}', fork)] == ["It comes to Bonn."]
    assert (await scene.get("conversations/ada/turns"))["turns"] == source


async def test_a_fork_of_long_ago_goes_on_in_the_same_session(scene: Inspected) -> None:
    """Verbatim history of another year: its session would be over."""
    old = [
        {"event": "action", "name": "action_session_start", "timestamp": 1_600_000_000.0},
        {"event": "session_started", "timestamp": 1_600_000_000.1},
        {"event": "action", "name": "action_listen", "timestamp": 1_600_000_000.2},
        {"event": "user", "text": "order", "timestamp": 1_600_000_001.0, "parse_data": {"intent": {"name": "order"}}},
        {"event": "action", "name": "order_form", "timestamp": 1_600_000_001.1},
        {"event": "active_loop", "name": "order_form", "timestamp": 1_600_000_001.2},
        {"event": "slot", "name": "requested_slot", "value": "city", "timestamp": 1_600_000_001.3},
        {"event": "action", "name": "action_listen", "timestamp": 1_600_000_001.4},
    ]
    async with scene.http.post("/conversations/old/tracker/events", json=old) as response:
        assert response.status == 200
    fork = (await scene.post("conversations/old/fork", {"turn": 1, "new_id": "old/again"}, 201))["id"]
    assert fork == "old/again"
    assert [reply["text"] for reply in await scene.say('/inform{"city": "Bonn"}', fork)] == ["It comes to Bonn."]


async def test_a_fork_needs_a_name_that_is_free_and_a_turn_that_is_there(scene: Inspected) -> None:
    await scene.say("hello")
    await scene.say("hello", "bob")
    taken = await scene.post("conversations/ada/fork", {"turn": 1, "new_id": "bob"}, 409)
    assert taken["message"] == "There is a conversation 'bob' already."
    for body, status in (
        ({"turn": 2}, 404),
        ({"turn": 0}, 400),
        ({"turn": "1"}, 400),
        ({}, 400),
        ({"turn": 1, "new_id": "a" * 513}, 400),
        ({"turn": 1, "new_id": "a\nb"}, 400),
        ([], 400),
    ):
        await scene.post("conversations/ada/fork", body, status)


async def test_a_saved_story_passes_the_test(scene: Inspected, orders: Path) -> None:
    """As `turnstream test` plays it, messages understood again."""
    await ordered(scene)
    await scene.say("gibberish")
    preview = await scene.post("conversations/ada/story", {"turn": 4, "name": "to Berlin"})
    assert (preview["file"], preview["saved"]) == ("tests/test_stories.yml", False)
    assert not (scene.project / "tests").exists()
    saved = await scene.post("conversations/ada/story", {"turn": 4, "name": "to Berlin", "save": True})
    assert saved == {**preview, "saved": True}
    assert (scene.project / "tests/test_stories.yml").read_text(encoding="utf-8") == preview["yaml"]
    problems = Problems()
    (test,) = read_test_stories(scene.project, [scene.project / "tests"], problems)
    async with examined(orders / "models", load_settings(environment={})) as subject:
        (result,) = await subject.play(test, end_to_end=True)
    assert (problems.errors, result.is_right) == ([], True)


async def test_a_second_story_leaves_the_first_as_its_author_wrote_it(scene: Inspected) -> None:
    await ordered(scene)
    file = scene.project / "data" / "stories.yml"
    mine = (
        'version: "3.1"\n\nstories:\n  # Mine.\n  - story: mine\n    steps:\n'
        "      - intent: greet   # hello\n      - action: utter_greet\n"
    )
    file.write_text(mine, encoding="utf-8")
    body = {"turn": 1, "name": "hello", "kind": "story", "save": True}
    saved = await scene.post("conversations/ada/story", body)
    assert file.read_text(encoding="utf-8").startswith(mine)
    assert "- story: hello" in file.read_text(encoding="utf-8")
    assert saved["diff"].startswith("--- a/data/stories.yml\n+++ b/data/stories.yml\n")
    refused = await scene.post("conversations/ada/story", body, 409)
    assert refused["message"] == "data/stories.yml has a story 'hello' already: choose another name"


@pytest.mark.parametrize(
    ("file", "status"),
    [
        ("../test_other.yml", 403),
        ("tests/../../test_other.yml", 403),
        ("/tmp/test_other.yml", 403),
        ("out/test_other.yml", 403),
        ("tests/stories.yml", 400),
        ("tests/test_stories.py", 400),
        (".git/test_x.yml", 400),
        ("tests/test_\0.yml", 400),
        ("folder.yml", 400),
    ],
)
async def test_stories_go_to_test_files_of_the_project_alone(scene: Inspected, file: str, status: int) -> None:
    await scene.say("hello")
    (scene.project / "folder.yml").mkdir()
    (scene.project / "out").symlink_to(scene.project.parent, target_is_directory=True)
    body = {"turn": 1, "name": "hello", "file": file, "save": True}
    await scene.post("conversations/ada/story", body, status)
    assert not list(scene.project.parent.glob("*other*"))


async def test_what_is_no_story_is_refused(scene: Inspected) -> None:
    event = {"event": "slot", "name": "city", "value": "Bonn"}
    async with scene.http.post("/conversations/silent/tracker/events", json=event) as response:
        assert response.status == 200
    refused = await scene.post("conversations/silent/story", {"turn": 1, "name": "nothing"}, 400)
    assert refused["message"] == "nobody has said anything up to this turn: there is no story to tell"
    for body in (
        {"turn": 1},
        {"turn": 1, "name": " "},
        {"turn": 1, "name": "a", "kind": "rule"},
        {"turn": 1, "name": "a", "kind": {}},
        {"name": "a"},
    ):
        await scene.post("conversations/silent/story", body, 400)
    await scene.post("conversations/silent/story", {"turn": 1, "name": "a", "save": "yes"}, 400)


async def test_a_page_of_another_origin_may_not_write(scene: Inspected) -> None:
    await scene.say("hello")
    body = {"turn": 1, "name": "hello", "save": True}
    for origin in ("https://elsewhere.example", "null", "http://[", f"{scene.served.url}.elsewhere.example"):
        refused = await scene.post("conversations/ada/story", body, 403, Origin=origin)
        assert refused["message"] == f"pages of {origin} may not do this; --cors names those that may"
    assert not (scene.project / "tests").exists()
    own = scene.served.url
    assert (await scene.post("conversations/ada/story", body, 200, Origin=own))["saved"]


async def test_the_same_messages_with_another_bundle(scene: Inspected, orders: Path, tmp_path: Path) -> None:
    await ordered(scene)
    own = next(iter((orders / "models").iterdir()))
    other = derive_bundle(own, tmp_path / "others", "polite", {"Hello.": "Good day."})
    body = {"bundle": str(other), "turn": 2}
    first, second = (await scene.post("conversations/ada/compare", body))["turns"]
    assert (first["number"], first["differs"], first["differences"]) == (1, True, ["texts"])
    assert (first["before"]["intent"], first["before"]["actions"]) == ("greet", ["utter_greet"])
    assert "Good day." in first["after"]["texts"][0]
    assert (second["number"], second["text"], second["differs"]) == (2, "order", False)


async def test_what_is_no_bundle_is_refused(scene: Inspected) -> None:
    await scene.say("hello")
    refused = await scene.post("conversations/ada/compare", {"bundle": "no-such"}, 400)
    assert refused["message"] == "'no-such' is neither a version nor the path of a bundle on the server"
    await scene.post("conversations/ada/compare", {"turn": 1}, 400)
    own = (await scene.get("assistant"))["bundle"]
    await scene.post("conversations/nobody/compare", {"bundle": own}, 404)


async def test_a_name_that_only_leads_here_opens_nothing(scene: Inspected) -> None:
    """A page whose own name was made to mean this machine sends its name as host."""
    await scene.say("hello")
    for host in ("rebound.example:5005", "127.0.0.1.rebound.example", "8.8.8.8", "["):
        elsewhere = {"Host": host, "Origin": f"http://{host}"}
        for method, path in (("GET", "conversations"), ("POST", "examples")):
            async with scene.http.request(method, f"/inspector/api/{path}", json={}, headers=elsewhere) as refused:
                assert refused.status == 403, host
    for host in ("localhost:5005", "127.0.0.1", "[::1]:5005", "a.localhost"):
        async with scene.http.get("/inspector/api/conversations", headers={"Host": host}) as allowed:
            assert allowed.status == 200, host


async def test_text_that_is_no_unicode_is_refused(scene: Inspected) -> None:
    await scene.say("hello")
    for path, body in (
        ("examples", b'{"text": "a", "intent": "\\ud800"}'),
        ("examples", b'{"text": "\\ud800", "intent": "greet"}'),
        ("examples", b'{"text": "a", "intent": "greet", "entities": [{"start": 0, "end": 1, "entity": "\\ud800"}]}'),
        ("conversations/ada/compare", b'{"bundle": "\\ud800"}'),
        ("conversations/ada/story", b'{"turn": 1, "name": "\\ud800"}'),
        ("conversations/ada/story", b'{"turn": 1, "name": "a", "kind": "\\ud800"}'),
        ("conversations/ada/story", b'{"turn": 1, "name": "a", "file": "\\ud800.yml"}'),
        ("conversations/ada/fork", b'{"turn": 1, "new_id": "\\ud800"}'),
    ):
        async with scene.http.post(f"/inspector/api/{path}", data=body) as refused:
            assert refused.status in (400, 404), (path, body)
            assert refused.content_type == "application/json"
