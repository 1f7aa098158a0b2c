"""What stands in the way of an answer: nothing is lost, nobody waits for ever, and the conversation goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from support.turns import a_domain, names, texts
from support.workers import PATIENCE_S, Assistant, Gate
from turnstream.api.v1.action_pb2 import RunActionRequest, RunActionResponse
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.dialogue.events import BotUttered, SlotSet
from turnstream.dialogue.proto import event_to_proto
from turnstream.runtime.settings import TimeoutSettings
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog


@pytest.fixture
async def assistant(tmp_path: Path) -> AsyncIterator[Assistant]:
    started = Assistant(tmp_path / "turns.db", ScriptedServices(), log={"max_record_bytes": 20_000})
    yield started
    await started.stop()


def says(services: ScriptedServices, text: str) -> None:
    async def act(request: RunActionRequest) -> RunActionResponse:
        said = [SlotSet(name="city", value="Rome"), BotUttered(text=text)]
        return RunActionResponse(custom=True, events=[event_to_proto(event) for event in said])

    services.action.acts["action_order"] = act


async def slot(assistant: Assistant) -> object:
    return (await assistant.live()).dialogue.tracker.slots["city"]


async def test_a_turn_larger_than_the_log_takes_is_answered_with_what_was_said_and_an_error(
    assistant: Assistant,
) -> None:
    await assistant.ask('/greet{"city": "Oslo"}')
    says(assistant.services, "x" * 30_000)
    record = await assistant.ask("/order")
    assert names(record) == ["user"]
    assert not record.replies
    (error,) = record.errors
    assert error.where == "turn log"
    assert "the log takes 20000" in error.message
    assert await slot(assistant) is None
    says(assistant.services, "short")
    assert texts(await assistant.ask("/order", message_id="again")) == ["short", "utter_done"]
    assert await check_log(assistant.log) == []


async def test_where_not_even_the_message_fits_the_error_alone_is_the_turn(tmp_path: Path) -> None:
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices())
    await assistant.ask("/greet")
    small = SqliteTurnLog(tmp_path / "turns.db", SqliteSettings(max_record_bytes=2_000))
    await assistant.stop()
    again = Assistant(tmp_path / "turns.db", ScriptedServices(), log={"max_record_bytes": 2_000})
    big = SqliteTurnLog(tmp_path / "turns.db")
    await Assistant.accept_at(big, "y" * 5_000, message_id="big")
    record = await big.wait_for("c", "big", PATIENCE_S)
    assert (record.turn_number, len(record.events), record.errors[0].where) == (2, 0, "turn log")
    assert names(await again.ask("/greet", message_id="after"))[0] == "user"
    await small.close()
    await big.close()
    await again.stop()


async def test_a_message_for_a_bundle_that_is_gone_is_answered_by_the_one_that_serves(assistant: Assistant) -> None:
    record = await assistant.ask("/greet", bundle_version="v0")
    assert (record.bundle_version, texts(record)) == ("v1", ["utter_greet"])
    assert record.errors[0].message == "bundle 'v0' is not there; 'v1' served in its place"


async def test_a_message_waits_while_no_assistant_is_there_at_all(assistant: Assistant) -> None:
    assistant.bundles.remove("v1")
    await assistant.accept("/greet")
    await assistant.attempted_in_vain("passing")
    assistant.bundles.add("v2", LoadedAssistant("v2", a_domain()))
    assert (await assistant.log.wait_for("c", "/greet", PATIENCE_S)).bundle_version == "v2"


async def test_what_this_service_always_fails_on_becomes_an_error_and_the_conversation_goes_on(
    assistant: Assistant,
) -> None:
    await assistant.ask("/greet")
    assistant.handler.fails_on("/order")
    record = await assistant.ask("/order")
    assert names(record) == ["user"]
    (error,) = record.errors
    assert "given up after 2 attempts" in error.message
    assert "ZeroDivisionError" in error.message
    assert assistant.handler.attempts == 2
    assert texts(await assistant.ask("/greet", message_id="next")) == ["utter_greet"]
    assert await check_log(assistant.log) == []


async def test_a_message_is_answered_with_an_error_alone_where_its_conversation_cannot_be_folded(
    assistant: Assistant,
) -> None:
    await assistant.ask("/greet")
    broken = a_domain()
    object.__setattr__(broken, "slots", {"city": None})
    assistant.bundles.add("v2", LoadedAssistant("v2", broken))
    record = await assistant.ask("/order", bundle_version="v2")
    assert (record.turn_number, len(record.events), record.errors[0].where) == (2, 0, "conversation")
    assert texts(await assistant.ask("/greet", bundle_version="v1", message_id="next")) == ["utter_greet"]


async def test_what_others_fail_on_is_tried_until_they_are_back(assistant: Assistant) -> None:
    assistant.writer.outage = [OSError("the disk is full")] * 3
    record = await assistant.ask("/greet")
    assert texts(record) == ["utter_greet"]
    assert not record.errors
    assert assistant.writer.outage == []


async def test_an_action_that_never_returns_holds_up_its_own_conversation_until_its_time_is_over(
    tmp_path: Path,
) -> None:
    timeouts = TimeoutSettings(action_s=0.5)
    assistant = Assistant(tmp_path / "turns.db", ScriptedServices(), timeouts=timeouts)
    gate = Gate(assistant.services, "action_order")
    await assistant.accept("/order", "hung", "m1")
    await assistant.accept("/greet", "hung", "m2")
    await gate.entered.wait()
    for n in range(4):
        assert texts(await assistant.ask("/greet", f"c{n}")) == ["utter_greet"]
    hung: TurnRecord = await assistant.log.wait_for("hung", "m1", PATIENCE_S)
    (error,) = hung.errors
    assert error.where == "action action_order"
    assert grpc.StatusCode.DEADLINE_EXCEEDED.name in error.message
    assert texts(await assistant.log.wait_for("hung", "m2", PATIENCE_S)) == ["utter_greet"]
    await assistant.stop()


async def test_stopping_waits_so_long_for_a_turn_and_leaves_it_to_the_next_worker(tmp_path: Path) -> None:
    slow = Assistant(tmp_path / "turns.db", ScriptedServices(), drain_s=0.05)
    gate = Gate(slow.services, "action_order")
    await slow.accept("/order", "hung", "m1")
    await gate.entered.wait()
    await slow.stop()
    other = Assistant(tmp_path / "turns.db", ScriptedServices())
    record = await other.log.wait_for("hung", "m1", PATIENCE_S)
    assert (record.turn_number, texts(record)) == (1, ["utter_done"])
    assert other.services.action.keys("action_order") == slow.services.action.keys("action_order")
    await other.stop()


async def test_others_are_answered_while_a_partition_waits_for_its_last_turn(tmp_path: Path) -> None:
    first = Assistant(tmp_path / "turns.db", ScriptedServices(), drain_s=PATIENCE_S)
    gate = Gate(first.services, "action_order")
    conversations = [f"c{n}" for n in range(12)]
    for name in conversations[:6]:
        await first.accept("/order", name, "m1")
    await gate.entered.wait()
    second = Assistant(tmp_path / "turns.db", ScriptedServices())
    # Half of the partitions are to go to the second worker, and some turns of each are under way.
    stays = [n for n in conversations[6:] if first.log.partition_of(n) == 0]
    await asyncio.gather(*(first.ask("/greet", name, "m2") for name in stays))
    gate.opened.set()
    for name in conversations[:6]:
        assert texts(await second.log.wait_for(name, "m1", PATIENCE_S)) == ["utter_done"]
    assert await check_log(first.log) == []
    await first.stop()
    await second.stop()


async def test_a_turn_that_was_committed_without_being_heard_of_is_not_done_again(assistant: Assistant) -> None:
    assistant.writer.forgets_to_answer = True
    await assistant.ask("/greet")
    record = await assistant.ask("/greet", message_id="next")
    assert (record.turn_number, names(record)[0]) == (2, "user")
    assert len(assistant.services.action.keys("utter_greet")) == 2
    assert await check_log(assistant.log) == []


async def test_what_is_in_memory_gives_way_to_what_is_in_the_log(assistant: Assistant) -> None:
    await assistant.ask("/greet")
    stale = await assistant.live()
    await assistant.ask("/greet", message_id="m2")
    assistant.worker.dialogues.put("c", stale)
    record = await assistant.ask("/greet", message_id="m3")
    assert (record.turn_number, texts(record)) == (3, ["utter_greet"])
    assert await check_log(assistant.log) == []
