"""The Kafka log's own records: what is answered, where its turn is, what of the inbox is done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turnstream.turnlog.interface import Lease
from turnstream.turnlog.kafka.archive import bucket_of, idle_by_bucket, place_in, with_entries
from turnstream.turnlog.kafka.index import (
    SEGMENT_TURNS,
    ConversationIndex,
    PartitionState,
    digest_of,
    index_of_whole,
    segment_value,
)
from turnstream.turnlog.kafka.partitions import HeldPartition
from turnstream.turnlog.kafka.questions import (
    AFTER_SNAPSHOT,
    Places,
    Question,
    answer,
    decode_places,
    decode_question,
    encode_places,
    encode_question,
    question_key,
    question_name,
)
from turnstream.turnlog.kafka.records import (
    ERASED,
    HEAD,
    PROGRESS_KEY,
    Progress,
    backlog_of,
    bucket_key,
    check_ids,
    decode_progress,
    encode_bucket_place,
    encode_progress,
    note_of,
    partition_of,
    segment_key,
    split_key,
    turn_key,
    turn_number_of,
)
from turnstream.turnlog.kafka.tail import Heard, RecentTurns
from turnstream.turnlog.sqlite_store import partition_of as sqlite_partition_of


def index_with(turns: int) -> ConversationIndex:
    index = ConversationIndex()
    for n in range(1, turns + 1):
        index = index.extended(f"m{n}", 1000 + n, now_s=n)
    return index


@given(st.integers(0, 2**60), st.lists(st.integers(0, 2**60)))
def test_progress_reads_back(position: int, waiting: list[int]) -> None:
    progress = Progress(position, tuple(waiting))
    assert decode_progress(encode_progress(progress)) == progress


@pytest.mark.parametrize("data", [b"", b"\x07" + bytes(8), b"\x01"])
def test_a_state_record_of_another_version_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="version"):
        decode_progress(data)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), st.integers(1, 10**9))
def test_keys_read_back(conversation_id: str, number: int) -> None:
    key = turn_key(conversation_id, number)
    assert split_key(key)[0] == conversation_id
    assert turn_number_of(key) == number


def test_an_id_that_cannot_be_part_of_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="message_id"):
        check_ids("c", "a\0b")


@given(st.text(st.characters(codec="utf-8")))
def test_a_conversation_has_the_same_partition_in_every_log(conversation_id: str) -> None:
    assert partition_of(conversation_id, 7) == sqlite_partition_of(conversation_id, 7)


@pytest.mark.parametrize("turns", [0, 1, SEGMENT_TURNS, SEGMENT_TURNS + 1, 3 * SEGMENT_TURNS])
def test_an_index_knows_every_turn(turns: int) -> None:
    index = index_with(turns)
    assert index.last_turn == turns
    assert index.offsets() == [(n, 1000 + n) for n in range(1, turns + 1)]
    assert [index.find(f"m{n}") for n in range(1, turns + 1)] == [1000 + n for n in range(1, turns + 1)]
    assert index.find("another") is None


def test_a_turn_writes_one_segment_however_long_the_conversation_is() -> None:
    short, long = index_with(10), index_with(2000 + 10 - 2000 % SEGMENT_TURNS)
    assert len(short.extended("new", 1, 0).head()) == len(long.extended("new", 1, 0).head())


def test_an_erased_index_knows_what_was_answered_and_nothing_of_where() -> None:
    index = index_with(70).with_snapshot(64, 5).erased()
    assert index.find("m5") == ERASED
    assert (index.last_turn, index.offsets()) == (70, [])
    assert index.erased_turns() == frozenset(range(1, 71))
    assert answer(index, Question(AFTER_SNAPSHOT, 9)).snapshot is None


def state_records(conversation: bytes, index: ConversationIndex) -> list[tuple[bytes, bytes]]:
    segments = [(segment_key(conversation, n), segment_value(data)) for n, data in enumerate(index.segments)]
    return [*segments, (HEAD + conversation, index.head())]


@pytest.mark.parametrize("turns", [1, 64, 65, 200])
def test_a_partitions_state_is_what_its_records_say(turns: int) -> None:
    state, index = PartitionState(), index_with(turns).with_snapshot(3, 77)
    for key, value in state_records(b"c", index):
        state.apply(key, value)
    state.apply(PROGRESS_KEY, encode_progress(Progress(9, (3, 5))))
    state.apply(bucket_key(7), encode_bucket_place(55))
    assert state.index("c") == index
    assert state.progress.low == 3
    assert state.buckets == {7: 55}
    assert state.index("unknown") is None


def test_a_state_that_a_turn_changes_is_what_its_records_say() -> None:
    committed, restored = PartitionState(), PartitionState()
    index = ConversationIndex()
    for n in range(1, 131):
        known = len(index.segments)
        index = index.extended(f"m{n}", n, now_s=n)
        committed.put("c", index, range(known, len(index.segments)))
    for key, value in state_records(b"c", index):
        restored.apply(key, value)
    assert committed == restored


def test_an_archived_conversation_leaves_the_state_and_comes_back_as_it_was() -> None:
    state, index = PartitionState(), index_with(130).with_snapshot(128, 77)
    for key, value in state_records(b"c", index):
        state.apply(key, value)
    assert idle_by_bucket(state.heads, before_s=130) == {}
    assert idle_by_bucket(state.heads, before_s=131) == {bucket_of(digest_of("c")): [b"c"]}
    state.drop([b"c"])
    assert state == PartitionState()
    revived = index_of_whole(index.whole())
    assert revived.is_archived
    assert (revived.offsets(), revived.last_turn) == (index.offsets(), 130)
    assert (revived.find("m7"), revived.snapshot_turn, revived.active_s) == (1007, 128, 130)
    assert revived.extended("m131", 1131, 131) == index.extended("m131", 1131, 131)


@given(
    st.dictionaries(st.text(max_size=5), st.integers(0, 2**47)), st.dictionaries(st.text(max_size=5), st.integers(0, 9))
)
def test_a_bucket_knows_the_newest_place_of_each_conversation(first: dict[str, int], second: dict[str, int]) -> None:
    bucket = with_entries(b"\x02", {digest_of(name): place for name, place in first.items()})
    bucket = with_entries(bucket, {digest_of(name): place for name, place in second.items()})
    known = first | second
    assert {name: place_in(bucket, digest_of(name)) for name in known} == known
    assert place_in(bucket, digest_of("longer than the others")) is None
    assert len(bucket) == 1 + 14 * len(known)


def test_an_index_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        PartitionState().apply(HEAD + b"c", b"\x09" + bytes(32))


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(min_size=8, max_size=8).filter(any))
def test_questions_read_back(from_turn: int, count: int, digest: bytes) -> None:
    question = Question(from_turn, count, digest)
    assert decode_question(encode_question(question)) == question


@pytest.mark.parametrize(
    "places",
    [Places(), Places(3, ERASED), Places(70, 5, (64, 900), ((65, 1), (66, 2**40)))],
)
def test_places_read_back(places: Places) -> None:
    assert decode_places(encode_places(places)) == places


def test_a_question_is_no_message_and_a_message_no_question() -> None:
    conversation_id, message_id = split_key(question_key("c", "n1"))
    assert (conversation_id, question_name(message_id)) == ("c", "n1")
    assert question_name("n1") == ""


def test_an_answer_holds_what_was_asked_for_and_no_more() -> None:
    index = index_with(2000)
    assert answer(index, Question(1999, 100)).turns == ((1999, 2999), (2000, 3000))
    assert len(answer(index, Question(5, 100)).turns) == 100
    assert answer(index, Question.about("m700")) == Places(2000, 1700)
    assert answer(index, Question.about("never sent")).found is None
    after = answer(index.with_snapshot(1990, 4), Question(AFTER_SNAPSHOT, 100))
    assert (after.snapshot, [number for number, _ in after.turns]) == ((1990, 4), list(range(1991, 2001)))


@pytest.mark.parametrize(
    ("note", "expected"), [(note_of(Progress(10, (3, 7))), 7), ("", 12), ("of another client", 12), ("x 2", 12)]
)
def test_a_backlog_is_what_waits_in_any_order(note: str, expected: int) -> None:
    assert backlog_of(end=15, committed=3, note=note) == expected


def restored(position: int, waiting: tuple[int, ...]) -> HeldPartition:
    held = HeldPartition(Lease(0, 1))
    held.begin(PartitionState(Progress(position, waiting)))
    return held


def test_a_restart_takes_up_what_was_accepted_and_not_answered_and_nothing_else() -> None:
    held = restored(10, (3, 7))
    wanted = []
    for offset in range(3, 14):
        if held.wants(offset):
            wanted.append(offset)
            held.passed(offset)
    assert wanted == [3, 7, 10, 11, 12, 13]


def test_what_retention_took_away_unanswered_is_waited_for_no_longer() -> None:
    held = restored(10, (3, 7))
    assert held.wants(7)
    assert held.progress_without({7}) == Progress(10, ())


def test_the_oldest_turns_are_forgotten_where_there_are_too_many_bytes() -> None:
    recent = RecentTurns(max_bytes=10_000)
    for n in range(1, 6):
        recent.add(Heard("c", f"m{n}", n, bytes(2500)))
    assert recent.of_message("c", "m1") is None
    assert recent.of_number("c", 1) is None
    assert recent.of_message("c", "m5") is not None
    assert recent.last_turn("c") == 5


def test_an_erased_turn_is_remembered_without_its_words() -> None:
    recent = RecentTurns()
    recent.add(Heard("c", "m1", 1, b"secret"))
    recent.erase("c", 1)
    heard = recent.of_message("c", "m1")
    assert heard is not None
    assert heard.data is None
    assert recent.of_number("c", 1) is None


def test_a_message_that_came_again_waits_at_both_places_until_it_has_its_turn() -> None:
    held = HeldPartition(Lease(0, 1))
    held.taken(("c", "m"), 3, None)
    assert held.came_again(("c", "m"), 8)
    assert not held.came_again(("c", "other"), 9)
    held.passed(9)
    assert held.progress_without(set()) == Progress(10, (3, 8))
    assert held.delivered_at(("c", "m")) == 3
    held.settled(("c", "m"))
    assert held.progress_without(set()) == Progress(10, ())


def test_a_conversation_that_goes_on_while_it_is_archived_is_kept_at_hand() -> None:
    held = HeldPartition(Lease(0, 1))
    for name in (b"resting", b"going on"):
        for key, value in state_records(name, index_with(2)):
            held.state.apply(key, value)
    held.taken(("going on", "m3"), 0, None)
    held.archived([b"resting", b"going on"])
    assert held.index("resting") is None
    going_on = held.index("going on")
    assert going_on is not None
    assert (going_on.last_turn, going_on.is_archived) == (2, True)
    held.settled(("going on", "m3"))
    assert held.index("going on") is None
