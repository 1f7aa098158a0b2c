"""A conversation worker as a process of its own, on scripted services, for tests that kill it.

    python -m turnstream.testing.conversation_process LOG CALLS_FILE

LOG is the file of an SQLite log, or the settings of a Kafka log as a JSON object (of an SQLite log, with its `path`).
It prints `ready` when it begins, and appends the idempotency key of each custom action to CALLS_FILE, as an action
server that has effects would. What the action does, the text of the message says (see `CountingActions`). SIGTERM
makes the process hand over and stop. The environment's AHEAD_S puts its clock ahead by so many seconds.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from turnstream.api.v1.action_pb2 import RunActionRequest, RunActionResponse
from turnstream.api.v1.tracker_pb2 import Tracker
from turnstream.assistant.domain import Domain, Intent, Slot
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.services import Services
from turnstream.conversation.turn import TurnHandler
from turnstream.conversation.worker import ConversationWorker
from turnstream.dialogue.events import BotUttered, Event, ReminderScheduled, SlotSet
from turnstream.dialogue.proto import event_to_proto
from turnstream.dialogue.values import value_from_proto
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.settings import TimeoutSettings, load_settings
from turnstream.testing.scripted_services import ScriptedActions, ScriptedNlu, ScriptedPolicy, ScriptedServices
from turnstream.turnlog.interface import TurnLog
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.settings import KafkaSettings
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog

ACTION = "action_count"
AHEAD_S = "AHEAD_S"
COUNT = "count"
"""The slot that counts the turns in which the action was run, and the intent of every text."""
DOMAIN = Domain(
    intents={COUNT: Intent(COUNT)},
    slots={COUNT: Slot(COUNT, "any"), "last": Slot("last", "text")},
    actions=(ACTION,),
    responses={"utter_done": ()},
)


class EveryTextCounts(dict[str, str]):
    """Each text has the intent `count`, so that each turn runs the custom action."""

    def get(self, key: str, default: object = None) -> str:
        return COUNT


class CountingActions(ScriptedActions):
    """The action counts in a slot and tells what it heard: at once, or as the first word of the text says.

    `slow 0.5 ...`: after half a second. `never ...`: never. `wait`: once there is a file beside the file of calls with
    the suffix `.go`. `remind 0.5 ...`: it sets a reminder that is due half a second later.
    """

    def __init__(self, calls: Path) -> None:
        super().__init__()
        self._calls = calls
        self.acts[ACTION] = self._count

    async def _count(self, request: RunActionRequest) -> RunActionResponse:
        with self._calls.open("a") as file:
            file.write(request.idempotency_key + "\n")
        text = request.tracker.latest_message.text
        await self._dawdle(text.split())
        said: list[Event] = [
            BotUttered(text=f"counted {text}"),
            SlotSet(name="last", value=text),
            SlotSet(name=COUNT, value=count_in(request.tracker) + 1),
            *_reminder(text.split()),
        ]
        return RunActionResponse(custom=True, events=[event_to_proto(event) for event in said])

    async def _dawdle(self, words: list[str]) -> None:
        match words:
            case ["slow", seconds, *_]:
                await asyncio.sleep(float(seconds))
            case ["never", *_]:
                await asyncio.Event().wait()
            case ["wait"]:
                while not self._calls.with_suffix(".go").exists():  # noqa: ASYNC110 (another process makes it)
                    await asyncio.sleep(0.02)


def _reminder(words: list[str]) -> list[Event]:
    match words:
        case ["remind", seconds, *_]:
            due = datetime.now(UTC) + timedelta(seconds=float(seconds))
            return [ReminderScheduled(intent=COUNT, trigger_date_time=due.isoformat(), name="r")]
        case _:
            return []


def count_in(tracker: Tracker) -> int:
    """The value of the slot that counts."""
    return next((value_from_proto(slot.value) or 0 for slot in tracker.slots if slot.name == COUNT), 0)


def open_log(where: str) -> TurnLog:
    """The log that LOG names (see above)."""
    if not where.startswith("{"):
        return SqliteTurnLog(Path(where), SqliteSettings(partitions=4))
    settings = json.loads(where)
    if "path" in settings:
        return SqliteTurnLog(Path(settings.pop("path")), SqliteSettings(**settings))
    return KafkaTurnLog(KafkaSettings(**settings))


@dataclass(frozen=True, slots=True)
class Replica:
    """A worker that runs on a log."""

    worker: ConversationWorker
    handler: TurnHandler
    running: "asyncio.Task[None]"


@asynccontextmanager
async def replica(
    where: str, calls: Path, timeouts: TimeoutSettings | None = None, ahead_s: float = 0.0
) -> AsyncIterator[Replica]:
    """Joins the workers, with a clock that is ahead; hands over and leaves at the end."""
    log = open_log(where)
    nlu, policy = ScriptedNlu(), ScriptedPolicy({COUNT: [ACTION, "utter_done"]})
    nlu.intents = EveryTextCounts()
    services = ScriptedServices(nlu, policy, CountingActions(calls))
    assistant = LoadedAssistant("v1", DOMAIN, policy_window=5)
    settings = load_settings().conversation

    def clock() -> float:
        return time.time() + ahead_s

    handler = TurnHandler(Bundles({"v1": assistant}), Services(services.channels(), timeouts), settings, clock)
    worker = ConversationWorker(log, handler, settings, partition_of=log.partition_of, clock=clock)
    running = asyncio.create_task(worker.run())
    yield Replica(worker, handler, running)
    await worker.stop()
    await running
    await log.close()


async def serve(where: str, calls: Path) -> None:
    """Until SIGTERM."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with replica(where, calls, ahead_s=float(os.environ.get(AHEAD_S, "0"))):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stopping.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
