"""One run: processes are started, clients talk, faults strike, and a judge looks at what is left."""

import asyncio
import json
import shutil
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from turnstream.testing.chaos.client import Client, Memory
from turnstream.testing.chaos.cluster import Chronicle, Cluster
from turnstream.testing.chaos.plan import Plan, PlannedFault
from turnstream.testing.chaos.roles import Place
from turnstream.testing.chaos.stage import Stage
from turnstream.testing.chaos.verdict import Judge
from turnstream.testing.conversation_process import open_log
from turnstream.turnlog.interface import LogReader, Undecodable


@dataclass(frozen=True, slots=True)
class Patience:
    """After how long something that does not happen counts as never happening; not how long things should take.

    `clients_s` until every client has its answers, `settle_s` for each step of the judge, `run_s` for all of a run.
    """

    clients_s: float = 90.0
    settle_s: float = 30.0
    run_s: float = 240.0

    def times(self, factor: float) -> "Patience":
        """For a machine that has other things to do."""
        return Patience(self.clients_s * factor, self.settle_s * factor, self.run_s * factor)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`faults` is what is wrong, empty where all is well; `done` is what happened to the processes.

    `heard` are the messages (`conversation/message`) in the order in which their answers came to their clients.
    `folder` keeps the processes' output, the calls and the log as text, where something is wrong.
    """

    plan: Plan
    faults: Sequence[str]
    done: Sequence[str]
    seconds: float
    heard: Sequence[str]
    attempts: int
    failures: dict[str, int]
    folder: Path


async def run(plan: Plan, stage: Stage, folder: Path, patience: Patience | None = None) -> Outcome:
    """Never raises: what goes wrong is in the outcome."""
    patience = patience or Patience()
    loop = asyncio.get_running_loop()
    folder.mkdir(parents=True)  # noqa: ASYNC240 (a moment)
    memory, chronicle, began = Memory(), Chronicle(), loop.time()
    found: list[str] = []
    try:
        async with asyncio.timeout(patience.run_s):
            found = await _perform(plan, stage, folder, memory, chronicle, patience)
    except Exception as error:
        found = [f"failed: {_told(error)}"]
    found += chronicle.wrong
    outcome = Outcome(
        plan=plan,
        faults=found,
        done=chronicle.done,
        seconds=loop.time() - began,
        heard=memory.heard,
        attempts=memory.attempts,
        failures=dict(memory.failures),
        folder=folder,
    )
    if found:
        _write(folder / "outcome.json", [str(plan), *found, *chronicle.done])
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_told(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


async def _perform(
    plan: Plan, stage: Stage, folder: Path, memory: Memory, chronicle: Chronicle, patience: Patience
) -> list[str]:
    async with stage.scene(plan, folder) as scene:
        place = Place(scene.log, folder)
        async with Cluster(plan, place, chronicle, scene.broker) as cluster:
            clients = [Client(conversation, cluster.gateways, memory) for conversation in plan.conversations]
            unanswered = await _live_through(plan, cluster, clients, patience.clients_s)
            cluster.note("the clients have their answers")
            await cluster.quiet()
            cluster.note("all have left who were to leave")
            log = open_log(scene.log)
            try:
                judge = Judge(log, cluster, memory, place.calls, patience.settle_s)
                await judge.settle()
                cluster.note("all is answered")
                cluster.stop_readers()
                unanswered += await _in_time(
                    [client.ask_again() for client in clients], patience.settle_s, "asked again, "
                )
                cluster.note("all was asked again")
                faults = unanswered + [str(fault) for fault in await judge.faults()]
                if faults:
                    await _keep(log, memory, folder)
            finally:
                await log.close()
    return faults


async def _live_through(plan: Plan, cluster: Cluster, clients: Sequence[Client], patience_s: float) -> list[str]:
    """What was not answered in time, in words."""
    cluster.read_along([client.read_along() for client in clients])
    # The clock starts when every conversation was answered once: a fault before that would hit an idle process.
    warm = asyncio.Barrier(len(clients) + len(plan.faults))
    striking = [asyncio.create_task(_strike_in_time(cluster, fault, warm)) for fault in plan.faults]
    try:
        unanswered = await _in_time([client.talk(warm) for client in clients], patience_s)
        await asyncio.gather(*striking)
    finally:
        for task in striking:
            task.cancel()
    return unanswered


async def _in_time(doing: Sequence[Coroutine[Any, Any, None]], timeout_s: float, when: str = "") -> list[str]:
    tasks = [asyncio.create_task(coroutine) for coroutine in doing]
    try:
        _, pending = await asyncio.wait(tasks, timeout=timeout_s)
    finally:
        for task in tasks:
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [
        f"unanswered: client {n}: {when}{'waits still' if task in pending else _told(error)}"
        for n, (task, error) in enumerate(zip(tasks, ended, strict=True))
        if isinstance(error, BaseException)
    ]


async def _strike_in_time(cluster: Cluster, fault: PlannedFault, warm: asyncio.Barrier) -> None:
    await warm.wait()
    await asyncio.sleep(fault.at_s)
    await cluster.strike(fault)


async def _keep(log: LogReader, memory: Memory, folder: Path) -> None:
    """The whole log as text, and what the clients were told."""
    for name, entries in (("inbox", log.read_inbox()), ("turns", log.read_turns())):
        lines = []
        async for entry in entries:
            if isinstance(entry, Undecodable):
                lines.append(str(entry))
            else:
                lines.append(f"{entry.position} {json.dumps(MessageToDict(entry.record))}")
        _write(folder / f"{name}.txt", lines)
    told = [json.dumps({name: [MessageToDict(turn) for turn in turns]}) for name, turns in memory.answers.items()]
    read = [json.dumps({name: [turn.number for turn in turns]}) for name, turns in memory.read.items()]
    _write(folder / "clients.txt", [*told, *read, str(sorted(memory.acknowledged))])


def _write(file: Path, lines: Sequence[str]) -> None:
    file.write_text("\n".join(lines) + "\n")
