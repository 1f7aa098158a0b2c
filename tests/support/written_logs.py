"""Logs that a test writes record by record: a right one, and ways to make it wrong that the checker must find."""

from collections.abc import AsyncIterator, Callable, Sequence

from turnstream.api.v1.conversations_pb2 import Turn
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.gateway.conversations import turn_of
from turnstream.turnlog.checker import Witness
from turnstream.turnlog.interface import Entry, Position, Undecodable


class WrittenLog:
    """A `LogReader` that holds what a test wrote, in one partition. None in the inbox is a record that is not there."""

    partitions = 1

    def __init__(
        self, inbox: Sequence[Entry[InboxMessage] | None], turns: Sequence[Entry[TurnRecord] | Undecodable]
    ) -> None:
        self.inbox = list(inbox)
        self.turns = list(turns)

    def partition_of(self, conversation_id: str) -> int:
        return 0

    def record(self, index: int) -> TurnRecord:
        entry = self.turns[index]
        assert isinstance(entry, Entry)
        return entry.record

    async def read_inbox(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[InboxMessage] | Undecodable]:
        for entry in self.inbox:
            if entry is not None:
                yield entry

    async def read_turns(
        self, partition: int | None = None, after_offset: int = -1
    ) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
        for entry in self.turns:
            yield entry


def message(offset: int, conversation_id: str = "c") -> Entry[InboxMessage]:
    written = InboxMessage(format_version=1, conversation_id=conversation_id, message_id=f"m{offset}")
    written.user_message.text = f"text {offset}"
    return Entry(Position(0, offset), written)


def turn(number: int, answers: int, conversation_id: str = "c") -> Entry[TurnRecord]:
    """`answers` is the offset of its message."""
    record = TurnRecord(
        format_version=1,
        conversation_id=conversation_id,
        message_id=f"m{answers}",
        turn_number=number,
        inbox_offset=answers,
    )
    record.events.add().user_uttered.text = f"text {answers}"
    record.events.add().bot_uttered.text = f"hi {answers}"
    record.replies.add(text=f"hi {answers}")
    return Entry(Position(0, 10 + answers), record)


def a_good_log() -> WrittenLog:
    return WrittenLog(
        [message(0), message(1, "d"), message(2), message(3)],
        [turn(1, 0), turn(1, 1, "d"), turn(2, 2), turn(3, 3)],
    )


def what_clients_saw(log: WrittenLog) -> Witness:
    """Of a log that is right."""
    told: dict[str, list[Turn]] = {}
    for index in range(len(log.turns)):
        record = log.record(index)
        told.setdefault(record.conversation_id, []).append(turn_of(record))
    ids = [(entry.record.conversation_id, entry.record.message_id) for entry in log.inbox if entry is not None]
    return Witness(frozenset(ids), told, told)


def _lose_a_turn(log: WrittenLog) -> None:
    del log.turns[2]


def _lose_the_last_turn(log: WrittenLog) -> None:
    del log.turns[3]


def _lose_a_message_and_its_turn(log: WrittenLog) -> None:
    log.inbox[3] = None
    del log.turns[3]


def _answer_a_message_twice(log: WrittenLog) -> None:
    log.turns.append(turn(4, 3))


def _commit_a_turn_twice(log: WrittenLog) -> None:
    log.turns.append(turn(3, 3))


def _swap_turns(log: WrittenLog) -> None:
    log.turns[2], log.turns[3] = log.turns[3], log.turns[2]


def _answer_in_another_order(log: WrittenLog) -> None:
    log.turns[2], log.turns[3] = turn(2, 3), turn(3, 2)


def _tear_a_reply_from_its_event(log: WrittenLog) -> None:
    del log.record(2).events[1]


def _change_a_reply(log: WrittenLog) -> None:
    log.record(2).replies[0].text = "bye"


def _change_a_turn(log: WrittenLog) -> None:
    log.record(2).replies[0].text = log.record(2).events[1].bot_uttered.text = "bye"


def _empty_a_turn(log: WrittenLog) -> None:
    del log.record(2).events[:]
    del log.record(2).replies[:]


def _name_another_place(log: WrittenLog) -> None:
    log.record(2).inbox_offset = 1


def _answer_what_nobody_asked(log: WrittenLog) -> None:
    log.inbox[2] = None


WRONG: dict[str, tuple[Callable[[WrittenLog], None], set[str]]] = {
    "a lost turn": (_lose_a_turn, {"lost", "contradicted"}),
    "a lost last turn": (_lose_the_last_turn, {"lost", "contradicted"}),
    "a lost message": (_lose_a_message_and_its_turn, {"lost", "contradicted"}),
    "a message answered twice": (_answer_a_message_twice, {"doubled", "contradicted"}),
    "a turn committed twice": (_commit_a_turn_twice, {"doubled"}),
    "turns in another order": (_swap_turns, {"reordered"}),
    "answers in another order": (_answer_in_another_order, {"reordered", "contradicted"}),
    "a torn turn": (_tear_a_reply_from_its_event, {"torn"}),
    "a reply that no event says": (_change_a_reply, {"torn", "contradicted"}),
    "another reply than clients saw": (_change_a_turn, {"contradicted"}),
    "an empty turn": (_empty_a_turn, {"torn", "contradicted"}),
    "another place in the inbox": (_name_another_place, {"torn"}),
    "an unasked turn": (_answer_what_nobody_asked, {"unasked", "lost"}),
}
"""What is done to the good log, and the kinds of faults to be found then, given what clients saw of the good one."""
