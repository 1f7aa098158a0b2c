"""The judge of crash tests finds what was made wrong on purpose, and nothing in a log that is right."""

from collections.abc import Sequence

import pytest
from support.written_logs import WRONG, WrittenLog, a_good_log, message, turn, what_clients_saw
from turnstream.api.v1.conversations_pb2 import Turn
from turnstream.api.v1.events_pb2 import Event
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.turnlog.checker import Witness, check_log
from turnstream.turnlog.interface import Entry, Position, Undecodable


async def kinds(log: WrittenLog, witness: Witness | None = None) -> set[str]:
    return {fault.kind for fault in await check_log(log, witness=witness)}


async def test_a_log_that_is_right_has_no_faults() -> None:
    assert await check_log(a_good_log(), witness=what_clients_saw(a_good_log())) == []


@pytest.mark.parametrize("what", WRONG)
async def test_what_was_made_wrong_is_found(what: str) -> None:
    spoil, expected = WRONG[what]
    log = a_good_log()
    spoil(log)
    assert await kinds(log, what_clients_saw(a_good_log())) == expected


async def test_a_message_that_still_waits_is_lost_only_once_all_should_be_answered() -> None:
    log = a_good_log()
    del log.turns[3]
    assert await kinds(log) == {"lost"}
    assert await check_log(log, settled=False) == []


async def test_a_record_that_cannot_be_read_is_found() -> None:
    log = a_good_log()
    log.turns.append(Undecodable("turns", Position(0, 15), "damaged", "c"))
    assert await kinds(log) == {"unreadable"}


async def test_the_turns_before_an_erasure_are_not_missed() -> None:
    log = WrittenLog([message(0), message(1)], [turn(4, 0), turn(5, 1)])
    assert await kinds(log) == {"lost"}
    log.record(0).events.add().conversation_erased.SetInParent()
    assert await check_log(log) == []


async def test_a_turn_that_says_one_event_in_several_paragraphs_is_whole() -> None:
    log = a_good_log()
    log.record(2).events[1].bot_uttered.text = "hi 2\n\nand more"
    log.record(2).replies.add(text="and more")
    assert await check_log(log) == []


async def test_a_reader_that_missed_a_turn_is_found() -> None:
    seen = what_clients_saw(a_good_log())
    read = {"c": [seen.read["c"][0], seen.read["c"][2]]}
    assert await kinds(a_good_log(), Witness(read=read)) == {"contradicted"}


async def test_a_reader_that_is_behind_is_wrong_only_once_all_should_be_heard() -> None:
    behind = Witness(read={"c": what_clients_saw(a_good_log()).read["c"][:2]})
    assert await kinds(a_good_log(), behind) == {"contradicted"}
    assert await check_log(a_good_log(), witness=behind, settled=False) == []


async def test_an_answer_without_a_turn_is_found() -> None:
    assert await kinds(a_good_log(), Witness(answers={"e": [Turn(number=1, message_id="m9")]})) == {"contradicted"}


async def test_a_tracker_that_is_not_the_fold_of_its_events_is_found() -> None:
    def fold(conversation_id: str, events: Sequence[Event]) -> Tracker:
        return Tracker(conversation_id=conversation_id, latest_action_name=f"{len(events)} events")

    log = a_good_log()
    assert all(isinstance(entry, Entry) for entry in log.turns)
    served = {"c": fold("c", [Event()] * 6), "d": fold("d", [Event()] * 2)}
    assert await check_log(log, fold=fold, served=served) == []
    served["d"] = fold("d", [Event()])
    assert {(f.kind, f.conversation_id) for f in await check_log(log, fold=fold, served=served)} == {("diverged", "d")}
