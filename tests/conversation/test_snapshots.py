"""A conversation that goes on elsewhere is read back from its snapshot, and is what it would have been."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.turns import a_domain, names
from support.workers import PATIENCE_S, Assistant
from turnstream.api.v1.conversations_pb2 import EventVerbosity
from turnstream.api.v1.trackers_pb2 import PreviewNextActionRequest, ReadTrackerRequest
from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.assistant.domain import SessionConfig, Slot
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.restoring import events_of
from turnstream.conversation.trackers import TrackersService
from turnstream.dialogue.events import UserUtteranceReverted
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_to_proto, tracker_to_proto
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.turnlog.checker import check_log

EVERY = 4
TURNS = 30
NO_ACTION_SERVER = LoadedAssistant("v1", a_domain(actions=()), policy_window=3)


def opened(path: Path, **settings: object) -> Assistant:
    return Assistant(path, ScriptedServices(), **{"snapshot_every_turns": EVERY, **settings})  # type: ignore[arg-type]


async def talked(path: Path, turns: int = TURNS, **settings: object) -> None:
    """A worker answers so many messages, and is gone."""
    first = opened(path, **settings)
    for n in range(turns):
        await first.ask(f'/greet{{"city": "c{n}"}}' if n % 3 else "/order", message_id=f"m{n}")
    await first.stop()


@pytest.fixture
async def again(tmp_path: Path) -> AsyncIterator[Assistant]:
    """The worker that takes over."""
    await talked(tmp_path / "turns.db", assistant=NO_ACTION_SERVER)
    second = opened(tmp_path / "turns.db", assistant=NO_ACTION_SERVER)
    yield await second.holding()
    await second.stop()


async def folded(assistant: Assistant) -> Dialogue:
    """From all its turns."""
    state = await assistant.log.conversation("c", from_turn=1)
    return Dialogue("c", assistant.domain, events_of(state.turns))


async def test_only_the_turns_after_the_snapshot_are_read(again: Assistant) -> None:
    record = await again.ask("/greet", message_id="next")
    assert (record.turn_number, names(record)[0]) == (TURNS + 1, "user")
    assert again.writer.reads == [(None, TURNS % EVERY)]
    assert (await again.live()).dialogue.tracker == (await folded(again)).tracker


async def test_events_that_an_action_is_sent_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    await talked(tmp_path / "turns.db", max_events_for_actions=20)
    second = opened(tmp_path / "turns.db", max_events_for_actions=20)
    await second.ask("/order", message_id="next")
    sent = [r for r in second.services.action.requests if r.action == "action_order"][-1].tracker.events
    events = (await folded(second)).events
    before = next(i for i in range(len(events)) if getattr(events[i], "message_id", None) == "next")
    assert [*sent[:-1]] == [event_to_proto(event) for event in events[: before + 1][-19:]]
    assert sent[-1].WhichOneof("body") == "user_featurized"
    assert second.writer.reads[0] == (None, TURNS % EVERY)
    assert second.writer.reads[1][1] < TURNS
    await second.stop()


async def test_what_lies_before_the_snapshot_is_read_when_it_is_asked_for(again: Assistant) -> None:
    service = TrackersService(again.worker, again.handler)
    request = ReadTrackerRequest(conversation_id="c", events=EventVerbosity.EVENT_VERBOSITY_ALL)
    tracker = (await service.ReadTracker(request, None)).tracker
    whole = await folded(again)
    assert tracker == tracker_to_proto(whole.tracker, whole.events, TURNS)
    assert again.writer.reads == [(None, TURNS % EVERY), (1, TURNS)]
    latest = ReadTrackerRequest(conversation_id="c")
    assert (await service.ReadTracker(latest, None)).tracker.turn_number == TURNS
    assert len(again.writer.reads) == 2


async def test_a_preview_needs_no_more_than_the_snapshot(again: Assistant) -> None:
    service = TrackersService(again.worker, again.handler)
    await service.PreviewNextAction(PreviewNextActionRequest(conversation_id="c"), None)
    assert again.writer.reads == [(None, TURNS % EVERY)]


async def test_taking_back_more_than_the_snapshot_holds_reads_the_whole_log_and_is_right(again: Assistant) -> None:
    message = InboxMessage(conversation_id="c", message_id="back", channel="")
    rewinds = [event_to_proto(UserUtteranceReverted()) for _ in range(TURNS - 5)]
    message.events_to_append.events.extend(rewinds)
    await again.log.accept(message)
    record = await again.log.wait_for("c", "back", PATIENCE_S)
    assert not record.errors
    live = (await again.live()).dialogue
    whole = await folded(again)
    assert (live.tracker, live.applied_events()) == (whole.tracker, whole.applied_events())
    assert again.writer.reads[1] == (1, TURNS)


async def test_a_snapshot_of_other_slots_is_left_alone_and_a_new_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "turns.db"
    await talked(path, assistant=NO_ACTION_SERVER)
    domain = NO_ACTION_SERVER.domain
    other = replace(domain, slots={**domain.slots, "more": Slot("more", "text")})
    second = opened(path, assistant=replace(NO_ACTION_SERVER, domain=other))
    await second.ask("/greet", message_id="next")
    assert second.writer.reads == [(None, TURNS % EVERY), (1, TURNS)]
    state = await second.log.conversation("c")
    assert (state.snapshot.turn_number if state.snapshot else 0, state.turns) == (TURNS + 1, ())
    await second.stop()


async def test_policies_that_look_at_everything_get_all_of_it(tmp_path: Path) -> None:
    unlimited = replace(NO_ACTION_SERVER, policy_window=None)
    await talked(tmp_path / "turns.db", assistant=unlimited)
    second = opened(tmp_path / "turns.db", assistant=unlimited)
    await second.ask("/greet", message_id="next")
    assert second.writer.reads == [(None, TURNS)]
    assert len(second.services.policy.requests[-1].history.states) > TURNS
    await second.stop()


async def test_a_window_that_grew_reads_the_whole_log(tmp_path: Path) -> None:
    await talked(tmp_path / "turns.db", assistant=NO_ACTION_SERVER)
    second = opened(tmp_path / "turns.db", assistant=replace(NO_ACTION_SERVER, policy_window=50))
    await second.ask("/greet", message_id="next")
    assert second.writer.reads == [(None, TURNS % EVERY), (1, TURNS)]
    assert len(second.services.policy.requests[-1].history.states) == 50
    await second.stop()


async def test_a_conversation_in_memory_is_trimmed_and_answers_the_same(tmp_path: Path) -> None:
    assistant = opened(tmp_path / "turns.db", max_events_for_actions=10)
    for n in range(TURNS):
        await assistant.ask("/order", message_id=f"m{n}")
    live = await assistant.live()
    whole = await folded(assistant)
    assert 0 < live.dialogue.held_from < live.dialogue.event_count
    assert live.dialogue.tracker == whole.tracker
    assert live.dialogue.history(5) == whole.history(5)
    assert all(len(r.tracker.events) <= 10 for r in assistant.services.action.requests)
    assert assistant.writer.reads == [(None, 0)]
    assert await check_log(assistant.log) == []
    await assistant.stop()


async def test_a_session_carries_over_the_slots_that_were_set_before_the_snapshot(tmp_path: Path) -> None:
    domain = a_domain(actions=(), session=SessionConfig(expiration_minutes=60, carry_over_slots=True))
    loaded = replace(NO_ACTION_SERVER, domain=domain)
    await talked(tmp_path / "turns.db", assistant=loaded)
    second = opened(tmp_path / "turns.db", assistant=loaded)
    second.ahead_s = 7200.0
    await second.ask("/greet", message_id="next")
    (request,) = [r for r in second.services.action.requests if r.action == "action_session_start"]
    assert [event.WhichOneof("body") for event in request.tracker.events] == ["slot_set"] * len(request.tracker.events)
    assert second.writer.reads[0] == (None, TURNS % EVERY)
    assert len(second.writer.reads) == 1
    await second.stop()


async def test_an_erased_conversation_keeps_no_snapshot(tmp_path: Path) -> None:
    await talked(tmp_path / "turns.db", turns=TURNS - TURNS % EVERY)
    second = opened(tmp_path / "turns.db")
    message = InboxMessage(conversation_id="c", message_id="erase")
    message.erasure.reason = "asked for"
    await second.log.accept(message)
    await second.log.wait_for("c", "erase", PATIENCE_S)
    assert (await second.log.conversation("c")).snapshot is None
    record = await second.ask("/greet", message_id="next")
    assert names(record)[0] == "action action_session_start"
    await second.stop()
