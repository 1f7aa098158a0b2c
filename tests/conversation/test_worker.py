"""The worker: order within a conversation, concurrency across conversations, recovery, and handing over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.turns import a_domain, names, texts
from support.workers import PATIENCE_S, Assistant, Gate
from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.api.v1.trackers_pb2 import PreviewNextActionRequest, ReadTrackerRequest
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.restoring import events_of
from turnstream.conversation.trackers import TrackersService
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import timestamp_to_proto, tracker_to_proto
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.interface import Entry
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog


@pytest.fixture
async def assistant(tmp_path: Path) -> AsyncIterator[Assistant]:
    started = Assistant(tmp_path / "turns.db", ScriptedServices())
    yield started
    await started.stop()


async def test_turns_are_numbered_and_committed_in_the_order_of_the_messages(assistant: Assistant) -> None:
    for n in range(5):
        await assistant.accept("/greet", message_id=f"m{n}")
    last = await assistant.log.wait_for("c", "m4", PATIENCE_S)
    assert last.turn_number == 5
    turns = [e.record async for e in assistant.log.read_turns() if isinstance(e, Entry)]
    assert [turn.message_id for turn in turns] == [f"m{n}" for n in range(5)]
    assert await check_log(assistant.log) == []


async def test_a_slow_action_delays_its_own_conversation_only(assistant: Assistant) -> None:
    gate = Gate(assistant.services, "action_order")
    await assistant.accept("/order", "slow", "m1")
    await assistant.accept("/greet", "slow", "m2")
    await gate.entered.wait()
    for n in range(6):
        assert texts(await assistant.ask("/greet", f"c{n}")) == ["utter_greet"]
    assert assistant.worker.in_flight >= 2
    gate.opened.set()
    assert texts(await assistant.log.wait_for("slow", "m1", PATIENCE_S)) == ["utter_done"]
    assert (await assistant.log.wait_for("slow", "m2", PATIENCE_S)).turn_number == 2


async def test_only_so_many_messages_are_taken_at_once(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices(), max_turns_in_flight=2)
    gate = Gate(assistant.services, "action_order")
    for n in range(4):
        await assistant.accept("/order", f"c{n}")
    await gate.entered.wait()
    assert assistant.worker.in_flight <= 2
    gate.opened.set()
    for n in range(4):
        assert texts(await assistant.log.wait_for(f"c{n}", "/order", PATIENCE_S)) == ["utter_done"]
    assert len(assistant.services.action.keys("action_order")) == 4
    await assistant.stop()


async def test_a_conversation_goes_on_where_it_was_after_a_restart_of_the_service(tmp_path: Path) -> None:
    first = Assistant(tmp_path / "turns.db", ScriptedServices())
    await first.ask('/greet{"city": "Rome"}')
    await first.stop()
    second = Assistant(tmp_path / "turns.db", ScriptedServices())
    record = await second.ask("/order")
    assert record.turn_number == 2
    assert names(record)[0] == "user"
    await second.stop()


async def test_conversations_that_left_memory_are_read_back(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices(), max_live_conversations=1)
    for turn in (1, 2, 3):
        for conversation_id in ("a", "b", "c"):
            record = await assistant.ask("/greet", conversation_id, f"m{turn}")
            assert record.turn_number == turn
            assert names(record)[0] == ("action action_session_start" if turn == 1 else "user")
    assert len(assistant.worker.dialogues) == 1
    await assistant.stop()


async def test_the_tracker_that_is_served_is_the_fold_of_the_log(assistant: Assistant) -> None:
    await assistant.ask("/greet")
    await assistant.ask("/order")
    service = TrackersService(assistant.worker, assistant.handler)
    served = (await service.ReadTracker(ReadTrackerRequest(conversation_id="c"), None)).tracker
    assert served.turn_number == 2
    faults = await check_log(
        assistant.log,
        fold=lambda name, events: tracker_to_proto(
            Dialogue(name, assistant.domain, events_of([TurnRecord(events=events)])).tracker
        ),
        served={"c": served},
    )
    assert faults == []


async def test_a_turn_uses_the_version_that_its_message_names_and_a_new_one_sees_the_past(
    assistant: Assistant,
) -> None:
    await assistant.ask("/greet")
    assistant.bundles.add("v2", LoadedAssistant("v2", a_domain(actions=("action_order",))))
    assert (await assistant.ask("/order")).bundle_version == "v2"
    message = InboxMessage(conversation_id="c", message_id="old", bundle_version="v1", channel="rest")
    message.user_message.text = "/greet"
    await assistant.log.accept(message)
    record = await assistant.log.wait_for("c", "old", PATIENCE_S)
    assert (record.bundle_version, record.turn_number, names(record)[0]) == ("v1", 3, "user")


async def test_turns_under_way_are_finished_when_the_service_stops(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices())
    gate = Gate(assistant.services, "action_order")
    await assistant.accept("/order", message_id="m1")
    await assistant.accept("/greet", message_id="m2")
    await gate.entered.wait()
    stopping = asyncio.create_task(assistant.worker.stop())
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait_for(stopping, PATIENCE_S)
    assert (await assistant.log.wait_for("c", "m1", PATIENCE_S)).turn_number == 1
    await assistant.stop()
    await assistant.log.close()
    again = Assistant(tmp_path / "turns.db", ScriptedServices())
    assert (await again.log.wait_for("c", "m2", PATIENCE_S)).turn_number == 2
    await again.stop()


async def test_a_worker_that_is_stopped_before_it_began_does_not_begin(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices())
    await assistant.stop()
    assert assistant.running.done()


async def test_whoever_saw_a_turn_finds_it_in_the_tracker(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices())
    service = TrackersService(assistant.worker, assistant.handler)
    other_process = SqliteTurnLog(tmp_path / "turns.db", SqliteSettings(poll_s=0.0, idle_poll_s=0.0))
    for n in range(1, 30):
        message_id = await assistant.accept("/greet", message_id=f"m{n}")
        await other_process.wait_for("c", message_id, PATIENCE_S)
        served = await service.ReadTracker(ReadTrackerRequest(conversation_id="c"), None)
        assert served.tracker.turn_number == n
    await other_process.close()
    await assistant.stop()


async def test_trackers_are_read_with_as_many_events_as_asked_for(assistant: Assistant) -> None:
    await assistant.ask("/greet")
    service = TrackersService(assistant.worker, assistant.handler)

    async def events(verbosity: EventVerbosity.ValueType) -> int:
        request = ReadTrackerRequest(conversation_id="c", events=verbosity)
        return len((await service.ReadTracker(request, None)).tracker.events)

    assert await events(EventVerbosity.EVENT_VERBOSITY_UNSPECIFIED) == 0
    assert await events(EventVerbosity.EVENT_VERBOSITY_ALL) == 8
    assert await events(EventVerbosity.EVENT_VERBOSITY_AFTER_RESTART) == 8
    assert await events(EventVerbosity.EVENT_VERBOSITY_APPLIED) > 0


async def test_a_tracker_is_read_as_of_a_moment(assistant: Assistant) -> None:
    first = await assistant.ask("/greet")
    await assistant.ask("/order")
    service = TrackersService(assistant.worker, assistant.handler)
    until = events_of([first])[-1].timestamp
    request = ReadTrackerRequest(
        conversation_id="c", events=EventVerbosity.EVENT_VERBOSITY_ALL, until=timestamp_to_proto(until)
    )
    assert len((await service.ReadTracker(request, None)).tracker.events) == len(first.events)


async def test_a_preview_says_what_comes_next_and_changes_nothing(assistant: Assistant) -> None:
    await assistant.ask("/greet")
    service = TrackersService(assistant.worker, assistant.handler)
    response = await service.PreviewNextAction(PreviewNextActionRequest(conversation_id="c"), None)
    assert response.prediction.action == "utter_greet"
    assert (await assistant.ask("/order")).turn_number == 2
