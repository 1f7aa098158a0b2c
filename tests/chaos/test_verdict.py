"""The judge of runs finds what the log alone does not show."""

from collections.abc import Sequence

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.events import ActionExecuted, SlotSet
from turnstream.dialogue.proto import event_to_proto
from turnstream.testing.chaos.verdict import check_calls, check_effects, check_order
from turnstream.testing.conversation_process import ACTION, COUNT


def turn(number: int, counted: int) -> TurnRecord:
    events = [ActionExecuted(name=ACTION), SlotSet(name=COUNT, value=counted)]
    return TurnRecord(
        conversation_id="c",
        message_id=f"m{number}",
        turn_number=number,
        events=[event_to_proto(event) for event in events],
    )


def turns(*counted: int) -> dict[str, Sequence[TurnRecord]]:
    return {"c": [turn(number, count) for number, count in enumerate(counted, 1)]}


def key(number: int, step: int = 1) -> str:
    return f"c/m{number}/{step}/{ACTION}"


def test_turns_that_build_on_each_other_are_right() -> None:
    assert list(check_effects(turns(1, 2, 3))) == []


def test_a_turn_that_did_not_see_the_one_before_is_found() -> None:
    assert [fault.kind for fault in check_effects(turns(1, 1, 2))] == ["diverged"]


def test_calls_again_with_the_same_key_are_right() -> None:
    assert list(check_calls(turns(1, 2), [key(1), key(2), key(1), key(3)])) == []


def test_a_call_again_with_another_key_is_found() -> None:
    assert [fault.kind for fault in check_calls(turns(1), [key(1), key(1, step=2)])] == ["doubled"]


def test_a_turn_whose_action_was_never_called_is_found() -> None:
    assert [fault.kind for fault in check_calls(turns(1, 2), [key(1)])] == ["torn"]


def test_an_answer_before_that_of_an_earlier_message_is_found() -> None:
    assert list(check_order(turns(1, 2), [("c", "m1", "m2")])) == []
    assert [fault.kind for fault in check_order(turns(1, 2), [("c", "m2", "m1")])] == ["reordered"]
