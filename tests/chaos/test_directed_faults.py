"""Each kind of fault once, at a moment that is chosen: every message has one turn, and clients are told the truth."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from turnstream.conversation.crashpoints import POINTS
from turnstream.testing.chaos.plan import FaultKind, Manner, Plan, PlannedConversation, PlannedFault, PlannedMessage
from turnstream.testing.chaos.run import run
from turnstream.testing.chaos.stage import KafkaStage

pytestmark = pytest.mark.timeout(900)


def conversation(name: str, *texts: str, pause_s: float = 0.0) -> PlannedConversation:
    """Says one after the other, and asks each gateway in turn, giving it five seconds."""
    messages = tuple(
        PlannedMessage(
            message_id=f"m{number}",
            text=text,
            pause_s=pause_s,
            manner=Manner.STREAM,
            is_hurried=False,
            repeats=0,
            gateways=(0, 1),
            patience_s=5.0,
        )
        for number, text in enumerate(texts)
    )
    return PlannedConversation(name, messages, reads_from=(0, 1))


def plan(
    *conversations: PlannedConversation, faults: Sequence[PlannedFault], replicas: int = 2, gateways: int = 1
) -> Plan:
    return Plan(0, replicas, gateways, conversations, tuple(faults))


def under_load(pause_s: float) -> list[PlannedConversation]:
    """Six conversations of twelve messages each."""
    return [conversation(f"c{n}", *(f"text {k}" for k in range(12)), pause_s=pause_s) for n in range(6)]


async def test_a_replica_that_is_killed_at_a_named_point_loses_and_doubles_nothing(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    # Every replica that is there is armed, so that it does not matter which one has the conversation.
    at_each = {
        point: plan(
            conversation("c", *(f"text {n}" for n in range(6)), pause_s=0.3),
            faults=[PlannedFault(FaultKind.CRASH_POINT, 0.5, target, 0.2, point) for target in range(2)],
        )
        for point in (*POINTS, "before_commit:1+4")
    }
    room = asyncio.Semaphore(3)

    async def alone(point: str) -> tuple[Sequence[str], bool]:
        async with room:
            outcome = await run(at_each[point], kafka_stage, tmp_path / point)
        return outcome.faults, any(line.endswith(f"ended with -9 at {point}") for line in outcome.done)

    found = await asyncio.gather(*(alone(point) for point in at_each))
    assert dict(zip(at_each, found, strict=True)) == dict.fromkeys(at_each, ([], True))


async def test_a_replica_that_is_paused_in_the_midst_of_a_commit_and_wakes_too_late_commits_nothing(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    # Both replicas that are there are paused, one after the other, so that somebody takes over.
    faults = [PlannedFault(FaultKind.PAUSE_REPLICA, 4.0 * n, n, 3.0, f"before_commit:1+{4 * n + 1}") for n in range(2)]
    outcome = await run(plan(*under_load(0.6), faults=faults), kafka_stage, tmp_path / "run")
    assert outcome.faults == []
    assert sum(" at before_commit" in line for line in outcome.done) == 2


async def test_a_gateway_that_is_killed_while_a_client_waits_has_lost_nothing(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    told = conversation("c", "text 0", "slow 2 1", "text 2")
    killed = PlannedFault(FaultKind.KILL_GATEWAY, 0.5, 0, 0.5)
    outcome = await run(plan(told, faults=[killed], gateways=2), kafka_stage, tmp_path / "run")
    assert outcome.faults == []
    assert any(line.endswith("where a client waits") for line in outcome.done)
    assert outcome.failures["UNAVAILABLE"] >= 1


async def test_conversations_go_on_while_two_replicas_join_and_two_leave(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    kinds = (FaultKind.JOIN, FaultKind.JOIN, FaultKind.LEAVE, FaultKind.LEAVE)
    faults = [PlannedFault(kind, 0.3 + 0.6 * n, n) for n, kind in enumerate(kinds)]
    outcome = await run(plan(*under_load(0.25), faults=faults), kafka_stage, tmp_path / "run")
    assert outcome.faults == []
    assert [line.rpartition("with ")[2] for line in outcome.done if "ended" in line] == ["0", "0"]


async def test_all_replicas_are_exchanged_under_load(kafka_stage: KafkaStage, tmp_path: Path) -> None:
    """As in a rolling update in a hurry: both leave at once."""
    faults = [PlannedFault(FaultKind.LEAVE, 1.0, 0), PlannedFault(FaultKind.LEAVE, 1.0, 0)]
    outcome = await run(plan(*under_load(0.25), faults=faults), kafka_stage, tmp_path / "run")
    assert outcome.faults == []
    assert [line.rpartition("with ")[2] for line in outcome.done if "ended" in line] == ["0", "0"]


async def test_a_broker_that_is_killed_and_comes_back_has_lost_nothing(kafka_stage: KafkaStage, tmp_path: Path) -> None:
    faults = [PlannedFault(FaultKind.RESTART_BROKER, 1.0, 0, 0.5)]
    outcome = await run(plan(*under_load(0.2), faults=faults, gateways=2), kafka_stage, tmp_path / "run")
    assert outcome.faults == []
    assert any(line.endswith("the broker serves again") for line in outcome.done)


async def test_an_action_that_never_returns_holds_up_its_own_conversation_only(
    kafka_stage: KafkaStage, tmp_path: Path
) -> None:
    silent = conversation("silent", "text 0", "never 1", "text 2")
    others = [conversation(f"c{n}", *(f"text {k}" for k in range(4)), pause_s=0.1) for n in range(3)]
    outcome = await run(plan(silent, *others, faults=(), replicas=1), kafka_stage, tmp_path / "run")
    assert outcome.faults == []
    assert outcome.heard[-2:] == ["silent/m1", "silent/m2"]
    assert len(outcome.heard) == 15
