"""A conversation worker on a log of its own, scripted services around it, and a client that talks through the log."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from support.turns import PLANS, a_domain
from turnstream.api.v1.action_pb2 import RunActionRequest, RunActionResponse
from turnstream.api.v1.turnlog_pb2 import InboxMessage, TurnRecord
from turnstream.conversation.draft import Turn
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.metrics import REPEATED_ATTEMPTS
from turnstream.conversation.restoring import LiveDialogue
from turnstream.conversation.services import Services
from turnstream.conversation.turn import TurnHandler
from turnstream.conversation.worker import ConversationWorker
from turnstream.dialogue.fold import Dialogue
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.settings import ConversationSettings, TimeoutSettings
from turnstream.testing.scripted_services import ScriptedServices
from turnstream.turnlog.interface import Assignee, ConversationState, Lease, Position, Snapshot, TurnLog
from turnstream.turnlog.sqlite import SqliteSettings, SqliteTurnLog

PATIENCE_S = 30.0


class FailingHandler(TurnHandler):
    """Fails on a text whenever it is asked, as a mistake in the service's own code would."""

    attempts = 0
    _bad = ""

    def fails_on(self, text: str) -> None:
        self._bad = text

    async def handle(self, message: InboxMessage, dialogue: Dialogue, assistant: LoadedAssistant | None = None) -> Turn:
        if self._bad and message.user_message.text == self._bad:
            self.attempts += 1
            raise ZeroDivisionError("our own mistake")
        return await super().handle(message, dialogue, assistant)


class Writer:
    """The log as the worker has it: what is read is counted, and commits fail with what is in `outage` first."""

    def __init__(self, log: TurnLog) -> None:
        self.outage: list[Exception] = []
        self.put_outage: list[Exception] = []
        self.forgets_to_answer = False
        """Once: what was committed is told as an error."""
        self.reads: list[tuple[int | None, int]] = []
        """For each reading back: from which turn, and how many turns were read."""
        self._log = log

    async def work(self, assignee: Assignee, address: str = "") -> None:
        await self._log.work(assignee, address)

    async def leave(self) -> None:
        await self._log.leave()

    async def conversation(self, conversation_id: str, *, from_turn: int | None = None) -> ConversationState:
        state = await self._log.conversation(conversation_id, from_turn=from_turn)
        self.reads.append((from_turn, len(state.turns)))
        return state

    async def agendas(self, lease: Lease) -> Mapping[str, bytes]:
        return await self._log.agendas(lease)

    async def put(self, message: InboxMessage) -> None:
        if self.put_outage:
            raise self.put_outage.pop()
        await self._log.put(message)

    async def commit(
        self, lease: Lease, record: TurnRecord, snapshot: Snapshot | None = None, agenda: bytes | None = None
    ) -> Position:
        if self.outage:
            raise self.outage.pop()
        position = await self._log.commit(lease, record, snapshot, agenda)
        if self.forgets_to_answer:
            self.forgets_to_answer = False
            raise OSError("the connection was lost")
        return position


class Assistant:
    """`settings` are those of the conversation service, `log` those of its log."""

    def __init__(
        self,
        path: Path,
        services: ScriptedServices,
        *,
        assistant: LoadedAssistant | None = None,
        timeouts: TimeoutSettings | None = None,
        log: dict[str, Any] | None = None,
        works: bool | None = None,
        ahead_s: float = 0.0,
        **settings: Any,
    ) -> None:
        """It begins at once, unless `works` is given: then with `begin`, to which False means nothing.

        Its clock is `ahead_s` seconds ahead.
        """
        self.services = services
        self.services.policy.plans = {intent: list(actions) for intent, actions in PLANS.items()}
        self.log = SqliteTurnLog(path, SqliteSettings(**{"partitions": 2, "heartbeat_s": 0.02} | (log or {})))
        self.writer = Writer(self.log)
        self.assistant = assistant or LoadedAssistant("v1", a_domain(), policy_window=5)
        self.domain = self.assistant.domain
        self.bundles = Bundles({"v1": self.assistant})
        chosen = ConversationSettings(**{"max_attempts": 2, "bundle_wait_s": 0.1} | settings)
        self.ahead_s = ahead_s
        self.handler = FailingHandler(
            self.bundles, Services(services.channels(), timeouts), chosen, lambda: time.time() + self.ahead_s
        )
        self.worker = ConversationWorker(
            self.writer,
            self.handler,
            chosen,
            partition_of=self.log.partition_of,
            clock=lambda: time.time() + self.ahead_s,
        )
        self.running: asyncio.Task[None] | None = None
        self._works = works
        if works is None:
            self.running = asyncio.create_task(self.worker.run())

    def begin(self, address: str) -> None:
        """Join the workers, reachable at this address."""
        if self._works:
            self.worker.address = address
            self.running = asyncio.create_task(self.worker.run())

    async def accept(
        self, text: str, conversation_id: str = "c", message_id: str = "", bundle_version: str = ""
    ) -> str:
        return await self.accept_at(self.log, text, conversation_id, message_id, bundle_version)

    @staticmethod
    async def accept_at(
        log: TurnLog, text: str, conversation_id: str = "c", message_id: str = "", bundle_version: str = ""
    ) -> str:
        message = InboxMessage(
            conversation_id=conversation_id,
            message_id=message_id or text,
            channel="rest",
            bundle_version=bundle_version,
        )
        message.user_message.text = text
        await log.accept(message)
        return message.message_id

    async def ask(
        self, text: str, conversation_id: str = "c", message_id: str = "", bundle_version: str = ""
    ) -> TurnRecord:
        message_id = await self.accept(text, conversation_id, message_id, bundle_version)
        return await self.log.wait_for(conversation_id, message_id, PATIENCE_S)

    async def live(self, conversation_id: str = "c") -> LiveDialogue:
        return await self.worker.read(conversation_id, self.assistant)

    async def holding(self, conversation_id: str = "c") -> "Assistant":
        """Once the conversation is this worker's."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.worker.holds(conversation_id):  # noqa: ASYNC110 (the worker tells nobody)
                await asyncio.sleep(0.005)
        return self

    async def attempted_in_vain(self, cause: str) -> None:
        """Until an attempt at a message has failed for this cause."""
        counter = REPEATED_ATTEMPTS.labels(cause)
        before = counter._value.get()
        async with asyncio.timeout(PATIENCE_S):
            while counter._value.get() == before:  # noqa: ASYNC110 (a counter cannot be awaited)
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.worker.stop()
            if self.running is not None:
                await self.running
            await self.log.close()


class Gate:
    """An action that waits until it is let through."""

    def __init__(self, services: ScriptedServices, action: str) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        services.action.acts[action] = self._act

    async def _act(self, request: RunActionRequest) -> RunActionResponse:
        self.entered.set()
        await self.opened.wait()
        return RunActionResponse(custom=True)


async def started(path: Path, **settings: Any) -> AsyncIterator[Assistant]:
    """For fixtures."""
    assistant = Assistant(path, ScriptedServices(), **settings)
    yield assistant
    await assistant.stop()
