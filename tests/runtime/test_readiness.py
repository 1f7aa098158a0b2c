import asyncio
import logging

import pytest
from turnstream.runtime.readiness import Readiness


class Told:
    """Hears what a health check would, and can be waited for."""

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self.changed = asyncio.Event()

    async def __call__(self, ready: bool) -> None:
        self.answers.append(ready)
        self.changed.set()

    async def until(self, ready: bool) -> None:
        async with asyncio.timeout(10):
            while not self.answers or self.answers[-1] is not ready:
                self.changed.clear()
                await self.changed.wait()


class Need:
    def __init__(self, missing: str = "") -> None:
        self.missing = missing

    async def __call__(self) -> str:
        return self.missing


async def test_ready_while_all_needs_are_met(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told, models, log = Told(), Need(), Need("Kafka does not answer")
    async with Readiness({"models": models, "turn log": log}, told, interval_s=0.01):
        assert told.answers == [False]
        log.missing = ""
        await told.until(True)
        models.missing = "model 'diet' version 3 is not available"
        await told.until(False)
    assert [r.message for r in caplog.records] == [
        "not ready: turn log: Kafka does not answer",
        "ready",
        "not ready: models: model 'diet' version 3 is not available",
    ]


async def test_a_need_that_does_not_answer_is_not_met(caplog: pytest.LogCaptureFixture) -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    told = Told()
    assert not await Readiness({"log": never}, told, patience_s=0.01).look()
    assert "not ready: log: no answer within 0.01 s" in caplog.text


async def test_a_need_that_fails_is_not_met(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> str:
        raise OSError("no route")

    assert not await Readiness({"log": fails}, Told()).look()
    assert "not ready: log: OSError: no route" in caplog.text


async def test_a_process_without_needs_is_ready() -> None:
    told = Told()
    async with Readiness({}, told):
        assert told.answers == [True]
