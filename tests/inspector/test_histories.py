"""A conversation folded turn by turn, from whatever was kept of it."""

from collections.abc import Iterable

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.assistant.domain import Domain, Slot
from turnstream.dialogue.events import ConversationErased, Event, SlotSet
from turnstream.dialogue.proto import event_to_proto
from turnstream.inspector.histories import AT_ONCE, REMEMBERED, Histories
from turnstream.inspector.turns import turn_json
from turnstream.turnlog.interface import ConversationState

LAST = 3 * AT_ONCE + 50


class Log:
    """Every conversation has as many turns; each counts in a slot. `asked` are the first turns that were read."""

    def __init__(self, last: int = LAST) -> None:
        self.turns = [self._turn(number, SlotSet(name="count", value=number)) for number in range(1, last + 1)]
        self.asked: list[int] = []

    def _turn(self, number: int, *events: Event) -> TurnRecord:
        return TurnRecord(turn_number=number, message_id=f"m{number}", events=map(event_to_proto, events))

    def erase(self) -> None:
        self.turns = [self._turn(len(self.turns) + 1, ConversationErased())]

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState:
        assert from_turn is not None
        self.asked.append(from_turn)
        last = self.turns[-1].turn_number
        return ConversationState(last, tuple(turn for turn in self.turns if turn.turn_number >= from_turn))


def domain() -> Domain:
    return Domain(slots={"count": Slot("count", "float")})


def counts(turns: Iterable[object]) -> list[list[object]]:
    return [[told.before.tracker.slots["count"], told.after.tracker.slots["count"]] for told in turns]  # type: ignore[attr-defined]


async def test_a_page_is_the_same_from_whatever_state_it_begins() -> None:
    known = domain()
    log = Log()
    warm = Histories(log, lambda: known)
    for first in (1, LAST - 5, 2 * AT_ONCE + 7, AT_ONCE, LAST - 9):
        cold = Histories(Log(), lambda: known)
        page, same = await warm.page("a", first, 3), await cold.page("a", first, 3)
        assert counts(page.turns) == counts(same.turns) == [[n - 1 or None, n] for n in range(first, first + 3)]
    # The first page was read from the beginning, the last one from a state of not long before it.
    assert log.asked[0] == 1
    assert LAST - 9 - AT_ONCE <= log.asked[-1] <= LAST - 9


async def test_another_domain_folds_anew() -> None:
    domains = [domain()]
    log = Log()
    histories = Histories(log, lambda: domains[0])
    await histories.page("a", LAST, 1)
    domains[0] = domain()
    assert counts((await histories.page("a", LAST, 1)).turns) == [[LAST - 1, LAST]]
    assert log.asked == [1, 1]


async def test_only_some_conversations_are_kept() -> None:
    known = domain()
    log = Log(5)
    histories = Histories(log, lambda: known)
    for number in range(REMEMBERED + 1):
        await histories.page(f"c{number}", 4, 1)
    await histories.page("c0", 4, 1)
    await histories.page(f"c{REMEMBERED}", 4, 1)
    assert log.asked[-2:] == [1, 4]
    await histories.page("c0", 5, 1)
    assert log.asked[-1] == 5


async def test_what_was_erased_counts_no_longer() -> None:
    known = domain()
    log = Log(5)
    histories = Histories(log, lambda: known)
    await histories.page("a", 5, 1)
    log.erase()
    (told,) = (await histories.page("a", 6, 1)).turns
    assert told.after.tracker.slots == {"count": None}
    assert (await histories.latest("a")).tracker.slots == {"count": None}


async def test_a_turn_of_an_older_version_tells_no_times() -> None:
    known = domain()
    told = await Histories(Log(1), lambda: known).turn("a", 1)
    found = turn_json(told.record, told.before.tracker, told.after.tracker, [])
    assert (found["calls"], found["ms"], found["changes"]["slots"]) == ([], 0.0, {"count": [None, 1.0]})
