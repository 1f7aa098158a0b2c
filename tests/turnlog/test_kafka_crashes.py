"""Processes and the broker die, pause and come back: every accepted message has exactly one turn, in order."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from support.kafka import NOTICED_SOON_S, kafka_settings
from turnstream.conversation.crashpoints import VARIABLE
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.testing.turnlog_contract import PATIENCE_S, Running, a_message, everything, soon
from turnstream.turnlog.checker import check_log
from turnstream.turnlog.errors import Fenced, LogUnavailable
from turnstream.turnlog.interface import Delivery, Entry
from turnstream.turnlog.kafka.index import ConversationIndex
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.records import Progress
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.kafka.transactor import Plan, PlannedTurn, Transactor


class Processes:
    """Worker processes on one log."""

    def __init__(self, settings: KafkaSettings, folder: Path) -> None:
        self.calls_file = folder / "calls"
        self._where = json.dumps(asdict(settings))
        self._started: list[asyncio.subprocess.Process] = []

    async def start(self, crash_at: str = "") -> asyncio.subprocess.Process:
        environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "turnstream.testing.conversation_process"),
            *(self._where, str(self.calls_file)),
            env=environment | ({VARIABLE: crash_at} if crash_at else {}),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._started.append(process)
        assert process.stdout is not None
        assert await soon(process.stdout.readline()) == b"ready\n"
        return process

    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    async def stop(self) -> None:
        for process in self._started:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGKILL)
            await soon(process.wait())


@pytest.fixture
def settings(kafka_broker: KafkaBroker) -> KafkaSettings:
    return kafka_settings(kafka_broker, NOTICED_SOON_S)


@pytest.fixture
async def processes(settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[Processes]:
    started = Processes(settings, tmp_path)
    yield started
    await started.stop()


@pytest.fixture
async def gateway(settings: KafkaSettings) -> AsyncIterator[KafkaTurnLog]:
    log = KafkaTurnLog(settings)
    yield log
    await log.close()


async def ask(log: KafkaTurnLog, text: str, conversation_id: str = "c") -> list[str]:
    await log.accept(a_message(conversation_id, f"id-{text}", text))
    record = await log.wait_for(conversation_id, f"id-{text}", PATIENCE_S)
    return [reply.text for reply in record.replies]


@pytest.mark.parametrize("point", ["after_action", "before_commit", "after_commit"])
async def test_a_kill_at_this_point_loses_and_doubles_nothing(
    point: str, processes: Processes, gateway: KafkaTurnLog
) -> None:
    # The first turn, which also starts the session, gives the conversation a past; the second one dies.
    dying = await processes.start(crash_at=f"{point}:{4 if point == 'after_action' else 2}")
    assert await ask(gateway, "one") == ["counted one", "utter_done"]
    await gateway.accept(a_message("c", "id-two", "two"))
    await gateway.accept(a_message("c", "id-three", "three"))
    assert await soon(dying.wait()) == -signal.SIGKILL
    await processes.start()
    assert await ask(gateway, "two") == ["counted two", "utter_done"]
    assert await ask(gateway, "three") == ["counted three", "utter_done"]
    assert await check_log(gateway) == []
    keys = [key for key in processes.calls() if "id-two" in key]
    assert 1 <= len(keys) <= 2
    assert len(set(keys)) == 1


async def test_a_paused_worker_that_wakes_after_its_partition_has_moved_commits_nothing(
    processes: Processes, gateway: KafkaTurnLog
) -> None:
    paused = await processes.start()
    await gateway.accept(a_message("c", "id-wait", "wait"))
    waiting = asyncio.create_task(gateway.wait_for("c", "id-wait", PATIENCE_S))
    await asyncio.sleep(0)
    await _until_it_holds(processes, gateway)
    paused.send_signal(signal.SIGSTOP)
    other = await processes.start()
    # Another conversation is answered by the other one only once all partitions are its own.
    assert await ask(gateway, "hello", "d") == ["counted hello", "utter_done"]
    processes.calls_file.with_suffix(".go").touch()
    assert [r.text for r in (await soon(waiting)).replies] == ["counted wait", "utter_done"]
    paused.send_signal(signal.SIGCONT)
    # It finds out, joins again, and answers alone once the other one has left.
    other.send_signal(signal.SIGTERM)
    assert await soon(other.wait()) == 0
    assert await ask(gateway, "more") == ["counted more", "utter_done"]
    assert await check_log(gateway) == []
    assert len(await everything(gateway.read_turns())) == 4


async def _until_it_holds(processes: Processes, gateway: KafkaTurnLog) -> None:
    """A turn of another conversation shows that the worker has its partitions and has taken what came before."""
    assert await ask(gateway, "first", "e") == ["counted first", "utter_done"]


async def test_a_worker_that_is_told_to_stop_hands_over_at_once(settings: KafkaSettings, tmp_path: Path) -> None:
    # With a session this long nobody would take over in time, were it not told.
    patient = replace(settings, session_timeout_s=PATIENCE_S * 2)
    processes, gateway = Processes(patient, tmp_path), KafkaTurnLog(patient)
    leaving = await processes.start()
    assert await ask(gateway, "one") == ["counted one", "utter_done"]
    staying = await processes.start()
    leaving.send_signal(signal.SIGTERM)
    assert await soon(leaving.wait()) == 0
    assert await ask(gateway, "two") == ["counted two", "utter_done"]
    staying.send_signal(signal.SIGTERM)
    assert await soon(staying.wait()) == 0
    assert await check_log(gateway) == []
    await gateway.close()
    await processes.stop()


async def test_an_open_transaction_of_a_dead_worker_is_ended_by_the_next_owner(settings: KafkaSettings) -> None:
    log = KafkaTurnLog(replace(settings, transaction_timeout_s=600.0))
    partition = log.partition_of("c")
    accepted = await log.accept(a_message("c", "m1"))
    dead = _DyingTransactor(
        replace(settings, transaction_timeout_s=600.0), f"{settings.prefix}worker-dead", lambda leases: None
    )
    turn = PlannedTurn(partition, "c", "m1", 1, b"never committed", ConversationIndex())
    with pytest.raises(_Died):
        await asyncio.to_thread(
            dead.commit, Plan([turn], [], {partition: Progress(accepted.position.offset + 1)}, frozenset())
        )
    running = Running(log)
    delivery = await running.worker.next()
    await running.answer(delivery, "after it")
    assert (await log.wait_for("c", "m1", PATIENCE_S)).replies[0].text == "after it"
    assert await check_log(log) == []
    await log.close()
    await asyncio.to_thread(dead.close)


class _Died(BaseException):
    pass


class _DyingTransactor(Transactor):
    """Writes its records and goes no further."""

    def _write(self, producer: object, plan: Plan) -> object:  # type: ignore[override]
        super()._write(producer, plan)
        raise _Died

    def _recover(self) -> None:
        pass


async def test_a_broker_that_is_away_for_a_while_loses_nothing(
    kafka_broker: KafkaBroker, settings: KafkaSettings
) -> None:
    log = KafkaTurnLog(replace(settings, accept_timeout_s=1.0))
    try:
        await _outlive_the_broker(log, kafka_broker)
    finally:
        await log.close()


async def _outlive_the_broker(log: KafkaTurnLog, broker: KafkaBroker) -> None:
    running = Running(log)
    await _insist(log, "c", "m1")
    held = await running.worker.next()
    await _insist(log, "d", "m1")
    await asyncio.to_thread(broker.kill)
    serving = asyncio.create_task(_answer_everything(running, held))
    try:
        with pytest.raises(LogUnavailable):
            await log.accept(a_message("c", "m2"))
    finally:
        await asyncio.to_thread(broker.launch)
    await _insist(log, "c", "m2")
    for conversation_id, message_id in (("c", "m1"), ("d", "m1"), ("c", "m2")):
        await log.wait_for(conversation_id, message_id, PATIENCE_S)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert await check_log(log) == []
    turns = [e.record for e in await everything(log.read_turns()) if isinstance(e, Entry)]
    assert sorted((t.conversation_id, t.turn_number) for t in turns) == [("c", 1), ("c", 2), ("d", 1)]


async def _answer_everything(running: Running, first: Delivery) -> None:
    """Also what is delivered again because its partition went away and came back."""
    delivery = first
    while True:
        with suppress(Fenced):
            await running.answer(delivery)
        delivery = await running.worker.deliveries.get()


async def _insist(log: KafkaTurnLog, conversation_id: str, message_id: str) -> None:
    """As a client does: the same id again, until it is accepted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await log.accept(a_message(conversation_id, message_id))
            except LogUnavailable:
                continue
            return
