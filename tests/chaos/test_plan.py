"""A seed says all that happens in a run."""

from turnstream.conversation.crashpoints import POINTS, VARIABLE, crash_point_from
from turnstream.testing.chaos.plan import FaultKind, Odds, draw


def test_the_same_seed_gives_the_same_plan() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_five_hundred_plans_have_every_fault_and_every_point() -> None:
    plans = [draw(seed) for seed in range(500)]
    faults = [fault for plan in plans for fault in plan.faults]
    texts = {message.text.split()[0] for plan in plans for c in plan.conversations for message in c.messages}
    assert {fault.kind for fault in faults} == set(FaultKind)
    assert {fault.point.partition(":")[0] for fault in faults if fault.point} == set(POINTS)
    assert texts == {"text", "slow", "never"}


def test_points_of_plans_are_known_to_the_process_that_dies_there() -> None:
    points = {fault.point for seed in range(200) for fault in draw(seed).faults if fault.point}
    assert all(callable(crash_point_from({VARIABLE: point})) for point in points)
    assert any("+" in point for point in points)


def test_pauses_outlast_the_session() -> None:
    odds = Odds(session_timeout_s=2.0)
    pauses = [fault for seed in range(200) for fault in draw(seed, odds).faults if fault.kind.startswith("pause")]
    assert pauses
    assert min(fault.lasts_s for fault in pauses) > 2.0


def test_a_log_without_a_broker_has_none_that_breaks() -> None:
    assert not any(draw(seed, Odds(has_broker=False)).breaks_broker for seed in range(500))
