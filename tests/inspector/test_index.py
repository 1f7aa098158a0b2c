"""The list of conversations: what is flagged, found, and left out; how it follows the log."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from support.inspected import Inspected
from turnstream.api.v1.conversations_pb2 import TurnError
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ConversationErased,
    Event,
    IntentScore,
    ParseData,
    UserUttered,
)
from turnstream.dialogue.proto import event_to_proto, timestamp_to_proto
from turnstream.inspector.flags import flags_of, names_of
from turnstream.inspector.following import IndexFollower
from turnstream.inspector.index import MOST_OF_TEXTS, ConversationIndex, Cursor, page_of
from turnstream.turnlog.interface import Entry, Position, Undecodable


def said(text: str, intent: str = "greet", confidence: float | None = 0.9, **metadata: Any) -> UserUttered:
    return UserUttered(
        text=text, parse_data=ParseData(text=text, intent=IntentScore(intent, confidence)), metadata=metadata
    )


def turn(
    conversation_id: str, *events: Event, number: int = 1, at: float = 0.0, seconds: int = 0, error: str = ""
) -> TurnRecord:
    return TurnRecord(
        conversation_id=conversation_id,
        message_id=f"m{number}",
        turn_number=number,
        bundle_version="v1",
        committed_at=timestamp_to_proto(at),
        events=map(event_to_proto, events),
        errors=[TurnError(where="action", message=error)] if error else [],
        duration=Duration(seconds=seconds),
    )


def index_of(records: Iterable[TurnRecord], most: int = 1000) -> ConversationIndex:
    index = ConversationIndex(most)
    for record in records:
        index.add(record)
    return index


@pytest.mark.parametrize(
    ("record", "flags"),
    [
        (turn("a", said("hello")), []),
        (turn("a", said("hm", "nlu_fallback")), ["fallback"]),
        (turn("a", ActionExecuted(name="action_default_fallback")), ["fallback"]),
        (turn("a", ActionExecuted(name="action_two_stage_fallback")), ["fallback"]),
        (turn("a", said("hm", "greet", 0.49)), ["low_confidence"]),
        (turn("a", said("hm", "greet", 0.5)), []),
        (turn("a", said("EXTERNAL: x", "x", None, is_external=True)), []),
        (turn("a", ActionExecutionRejected(name="form")), ["rejected"]),
        (turn("a", error="it failed"), ["error"]),
        (turn("a", seconds=2), ["slow"]),
        (turn("a", seconds=1), []),
        (turn("a", said("hm", "x", 0.1), seconds=9, error="late"), ["low_confidence", "error", "slow"]),
    ],
)
def test_flags_tell_what_is_worth_a_look(record: TurnRecord, flags: list[str]) -> None:
    assert names_of(flags_of(record)) == flags


def test_a_summary_gathers_what_happened_in_all_turns() -> None:
    records = [
        turn("a", said("first  words\nof it", "greet", 0.1), at=10.0),
        turn("a", said("EXTERNAL: tick", is_external=True), number=2, at=20.0),
        turn("a", said("last"), number=3, at=30.5),
    ]
    (summary,) = index_of(records).all()
    assert summary.as_json() == {
        "id": "a",
        "turns": 3,
        "last_at": "1970-01-01T00:00:30.500+00:00",
        "last_text": "last",
        "flags": ["low_confidence"],
        "bundle_version": "v1",
    }
    assert summary.searched == "a\nfirst words of it\nlast"


def test_however_much_was_said_a_summary_stays_short() -> None:
    index = index_of(turn("a", said(f"{number} " + "word " * 20_000), number=number) for number in range(1, 50))
    (summary,) = index.all()
    assert len(summary.searched) <= MOST_OF_TEXTS + len("a\n")
    assert summary.last_text.startswith("49 word")


def test_the_latest_come_first_and_pages_join() -> None:
    index = index_of(turn(f"c{number:03}", said(f"text {number}"), at=float(number % 50)) for number in range(120))
    whole = [s.conversation_id for s in page_of(index.all(), limit=500).summaries]
    found: list[str] = []
    after: Cursor | None = None
    while True:
        page = page_of(index.all(), limit=7, after=after)
        found += [summary.conversation_id for summary in page.summaries]
        assert page.total == 120
        if page.next is None:
            break
        after = Cursor.read(str(page.next))
    assert found == whole
    assert len(set(found)) == 120
    assert found[0] == "c099"


def test_a_conversation_that_goes_on_moves_up() -> None:
    index = index_of(turn(f"c{number}", said("hello"), at=float(number)) for number in range(10))
    before = index.all()
    index.add(turn("c3", said("again"), number=2, at=99.0))
    index.add(turn("new", said("hi"), at=50.0))
    assert [s.conversation_id for s in page_of(index.all(), limit=3).summaries] == ["c3", "new", "c9"]
    assert [s.conversation_id for s in before] == [f"c{number}" for number in range(10)]
    assert len(index) == 11


def test_ids_and_texts_are_searched_in_any_case() -> None:
    records = [turn("Ada", said("to Köln")), turn("bob", said("KÖLN!"), at=1.0), turn("köln", at=2.0), turn("eve")]
    summaries = index_of(records).all()
    assert [s.conversation_id for s in page_of(summaries, words="köLN").summaries] == ["köln", "bob", "Ada"]
    assert [s.conversation_id for s in page_of(summaries, words="ada").summaries] == ["Ada"]
    assert page_of(summaries, words="nothing").summaries == ()


def test_a_filter_finds_those_with_such_a_turn() -> None:
    records = [
        turn("a", said("hm", "greet", 0.1)),
        turn("a", said("ok"), number=2),
        turn("b", error="x", at=1.0),
        turn("c", at=2.0),
    ]
    summaries = index_of(records).all()
    low, error = flags_of(records[0]), flags_of(records[2])
    assert [s.conversation_id for s in page_of(summaries, flags=low).summaries] == ["a"]
    assert [s.conversation_id for s in page_of(summaries, flags=low | error).summaries] == ["b", "a"]
    assert page_of(summaries, flags=error).total == 1


def test_of_too_many_the_oldest_are_left_out() -> None:
    index = index_of((turn(f"c{number}", said("hi"), at=float(number)) for number in range(1000)), most=100)
    assert 100 <= len(index) <= 105
    assert page_of(index.all(), limit=1).summaries[0].conversation_id == "c999"
    assert index.all()[0].last_at >= 890.0


def test_an_erased_conversation_is_not_listed() -> None:
    index = index_of([turn("a", said("my name")), turn("b", said("hi")), turn("a", ConversationErased(), number=2)])
    assert [summary.conversation_id for summary in index.all()] == ["b"]


@pytest.mark.parametrize("text", ["x", "WzFd", "e30", "Ww", "WyJhIiwgMV0", "\x00", "ä", "W1tb" * 20_000])
def test_a_cursor_that_no_page_gave_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="none that an earlier page gave"):
        Cursor.read(text)


class Log:
    """Two partitions; `reads` are the places that were read from."""

    partitions = 2

    def __init__(self) -> None:
        self.turns: list[list[Entry[TurnRecord] | Undecodable]] = [[], []]
        self.reads: list[tuple[int | None, int]] = []
        self.fails = False

    def put(self, partition: int, record: TurnRecord) -> None:
        self.turns[partition].append(Entry(Position(partition, len(self.turns[partition])), record))

    async def read_turns(self, partition: int, after: int = -1) -> AsyncIterator[Entry[TurnRecord] | Undecodable]:
        self.reads.append((partition, after))
        if self.fails:
            raise OSError("the disk is gone")
        for entry in self.turns[partition][after + 1 :]:
            yield entry


async def test_the_index_reads_on_from_where_it_was() -> None:
    log: Any = Log()
    log.put(0, turn("a", said("hello")))
    log.put(1, turn("b", said("hi"), at=1.0))
    follower = IndexFollower(log, rest_s=0.0, clock=lambda: 0.0)
    assert follower.progress == 0.0
    await follower.catch_up(10.0)
    log.turns[1].append(Undecodable("turns", Position(1, 1), "damaged"))
    log.put(1, turn("b", said("more"), number=2, at=2.0))
    await follower.catch_up(10.0)
    await follower.catch_up(10.0)
    assert log.reads == [(0, -1), (1, -1), (0, 0), (1, 0), (0, 0), (1, 2)]
    assert [(s.conversation_id, s.turns) for s in follower.index.all()] == [("a", 1), ("b", 2)]
    assert follower.progress == 1.0


async def test_a_log_that_was_just_read_is_not_read_again() -> None:
    log: Any = Log()
    now = [0.0]
    follower = IndexFollower(log, rest_s=5.0, clock=lambda: now[0])
    await follower.catch_up(10.0)
    now[0] = 4.9
    await follower.catch_up(10.0)
    assert len(log.reads) == 2
    now[0] = 5.0
    await follower.catch_up(10.0)
    assert len(log.reads) == 4


async def test_how_long_the_first_reading_took_does_not_delay_the_next() -> None:
    log: Any = Log()
    now, step = [0.0], [100.0]

    def clock() -> float:
        now[0] += step[0]
        return now[0]

    follower = IndexFollower(log, rest_s=1.0, clock=clock)
    await follower.catch_up(10.0)
    await follower.catch_up(10.0)
    assert len(log.reads) == 4
    # Reading on took long as well: it rests, but not for ever.
    step[0] = 1.0
    await follower.catch_up(10.0)
    assert len(log.reads) == 4
    for _ in range(5):
        await follower.catch_up(10.0)
    assert len(log.reads) == 6


async def test_a_log_that_cannot_be_read_now_is_read_later() -> None:
    log: Any = Log()
    log.put(0, turn("a", said("hello")))
    log.fails = True
    follower = IndexFollower(log, rest_s=0.0, clock=lambda: 0.0)
    with pytest.raises(OSError, match="the disk is gone"):
        await follower.catch_up(10.0)
    log.fails = False
    await follower.catch_up(10.0)
    assert len(follower.index) == 1
    await follower.close()


async def test_the_list_is_read_from_the_log_and_paged(scene: Inspected) -> None:
    for name in ("ada", "bob", "eve"):
        await scene.say("hello", name)
    await scene.say("gibberish", "bob")
    found = await scene.get("conversations?limit=2")
    assert [c["id"] for c in found["conversations"]] == ["bob", "eve"]
    assert (found["total"], found["reading"]) == (3, 1.0)
    assert (found["conversations"][0]["turns"], found["conversations"][0]["flags"]) == (2, ["fallback"])
    rest = await scene.get(f"conversations?limit=2&cursor={found['next']}")
    assert ([c["id"] for c in rest["conversations"]], rest["next"]) == (["ada"], None)
    flagged = await scene.get("conversations?flag=fallback&q=GIBBER")
    assert [c["id"] for c in flagged["conversations"]] == ["bob"]
    assert (await scene.get("conversations?flag=slow"))["total"] == 0
