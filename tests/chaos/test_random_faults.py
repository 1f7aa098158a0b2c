"""Runs with random faults, drawn from seeds that cover every kind of fault and every point: the short set.

The long one is `make chaos`.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from turnstream.conversation.crashpoints import POINTS
from turnstream.testing.chaos.plan import FaultKind, Plan, draw
from turnstream.testing.chaos.run import run
from turnstream.testing.chaos.stage import KafkaStage, SqliteStage, Stage

SEEDS = (36, 74, 146, 287, 397, 2, 4, 9)
SQLITE_SEEDS = (1, 2, 3, 4, 5, 6)
AT_A_TIME = 4

pytestmark = pytest.mark.timeout(900)


def test_the_seeds_cover_every_fault_and_every_point() -> None:
    faults = [fault for seed in SEEDS for fault in draw(seed, KafkaStage.odds).faults]
    assert {fault.kind for fault in faults} == set(FaultKind) - {FaultKind.RESTART_BROKER}
    assert {fault.point.partition(":")[0] for fault in faults if fault.point} == set(POINTS)


async def test_random_faults_on_kafka_lose_double_and_reorder_nothing(kafka_stage: KafkaStage, tmp_path: Path) -> None:
    found = await faults_of(kafka_stage, [draw(seed, kafka_stage.odds) for seed in SEEDS], tmp_path)
    assert found == {seed: [] for seed in SEEDS}


async def test_random_faults_on_one_file_lose_double_and_reorder_nothing(tmp_path: Path) -> None:
    stage = SqliteStage()
    found = await faults_of(stage, [draw(seed, stage.odds) for seed in SQLITE_SEEDS], tmp_path)
    assert found == {seed: [] for seed in SQLITE_SEEDS}


async def faults_of(stage: Stage, plans: Sequence[Plan], folder: Path) -> dict[int, Sequence[str]]:
    """What was wrong, by seed."""
    room = asyncio.Semaphore(AT_A_TIME)

    async def alone(plan: Plan) -> Sequence[str]:
        async with room:
            return (await run(plan, stage, folder / f"seed-{plan.seed}")).faults

    found = await asyncio.gather(*(alone(plan) for plan in plans))
    return {plan.seed: faults for plan, faults in zip(plans, found, strict=True)}
