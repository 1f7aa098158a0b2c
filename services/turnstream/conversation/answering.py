"""From one delivered message to its committed turn, whatever stands in the way.

What passes (the log or a bundle is away) is waited for, and holds up its own conversation only. What this service
itself fails on is tried a few times and then answered with an error, so that the conversation goes on.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.conversation.crashpoints import crash_point
from turnstream.conversation.dialogues import Dialogues
from turnstream.conversation.draft import Turn
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.metrics import REPEATED_ATTEMPTS, count_reminders, count_turn
from turnstream.conversation.reminders import (
    Agenda,
    agenda_after,
    decode_agenda,
    encode_agenda,
    is_over,
    reminders_taken_back,
)
from turnstream.conversation.restoring import LiveDialogue
from turnstream.conversation.turn import TurnHandler
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.proto import timestamp_to_proto
from turnstream.runtime.deadlines import deadline_in
from turnstream.runtime.errors import TurnstreamError, UnknownBundle
from turnstream.runtime.logs import log_context, texts
from turnstream.runtime.metrics import timed
from turnstream.runtime.settings import ConversationSettings
from turnstream.runtime.tracing import span
from turnstream.turnlog.errors import Fenced, LogClosed, OutOfOrder, TurnLogError, TurnTooLarge
from turnstream.turnlog.interface import Delivery, Snapshot, TurnWriter

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LONGEST_REASON = 1000
"""Characters of an exception that an error on a turn tells."""


class _AnsweredAlready(Exception):
    """The message has its turn in the log."""


class Answering:
    """Answers messages with `handler`, and keeps `dialogues` as the log has them."""

    def __init__(
        self,
        log: TurnWriter,
        handler: TurnHandler,
        dialogues: Dialogues,
        settings: ConversationSettings,
        remind: Callable[[str, Agenda], None] = lambda conversation_id, agenda: None,
    ) -> None:
        """`remind` hears of each conversation's agenda when it is another one."""
        self._log = log
        self._handler = handler
        self._dialogues = dialogues
        self._remind = remind
        self._max_attempts = settings.max_attempts
        self._turn_timeout_s = settings.turn_timeout_s

    async def answer(self, delivery: Delivery, committing: asyncio.Lock) -> None:
        """Until it is answered. `committing` is held from before the commit until memory has caught up with the log.

        Raises Fenced, LogClosed where the turn is somebody else's now.
        """
        message = delivery.message
        ids = {"conversation.id": message.conversation_id, "message.id": message.message_id}
        with (
            log_context(conversation_id=message.conversation_id, turn=message.message_id),
            span("turn", "consumer", message.traceparent, ids),
        ):
            await self._until_answered(delivery, committing)

    async def _until_answered(self, delivery: Delivery, committing: asyncio.Lock) -> None:
        conversation_id, message_id = delivery.message.conversation_id, delivery.message.message_id
        pause_s = _FIRST_PAUSE_S
        failures: list[Exception] = []
        while True:
            try:
                await self._attempt(delivery, committing, failures)
                return
            except (Fenced, LogClosed):
                raise
            except _AnsweredAlready:
                return
            except Exception as error:
                logger.exception("message '%s' of '%s' is not answered yet", message_id, conversation_id)
                if not _passes(error):
                    failures.append(error)
                REPEATED_ATTEMPTS.labels("passing" if _passes(error) else "own").inc()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _attempt(self, delivery: Delivery, committing: asyncio.Lock, failures: list[Exception]) -> None:
        if len(failures) < self._max_attempts:
            await self._answer_once(delivery, committing)
            return
        reason = f"{type(failures[0]).__name__}: {failures[0]}"[:_LONGEST_REASON]
        why = f"given up after {self._max_attempts} attempts; the service's log says more: {reason}"
        if len(failures) == self._max_attempts:
            await self._apologize(delivery, committing, why)
        else:
            await self._note_failure(delivery, committing, why)

    async def _answer_once(self, delivery: Delivery, committing: asyncio.Lock) -> None:
        message = delivery.message
        assistant = await self._handler.obtain(message.bundle_version)
        live = await self._dialogues.get(message.conversation_id, assistant)
        try:
            turn = await self._handle(delivery, live, assistant)
        except EarlierEventsNeeded:
            logger.info("conversation '%s' is read back from all its turns", message.conversation_id)
            live = await self._dialogues.whole(message.conversation_id, assistant)
            turn = await self._handle(delivery, live, assistant)
        async with committing:
            await self._conclude(turn, delivery, live, assistant)
        crash_point("before_reply")

    async def _handle(self, delivery: Delivery, live: LiveDialogue, assistant: LoadedAssistant) -> Turn:
        if is_over(live.agenda, delivery.message):
            return self._handler.pass_over(delivery.message, live.dialogue, assistant)
        with timed("conversation.turn"), deadline_in(self._turn_timeout_s):
            return await self._handler.handle(delivery.message, live.dialogue, assistant)

    async def _apologize(self, delivery: Delivery, committing: asyncio.Lock, why: str) -> None:
        """Answer with what was said and an error: more attempts would come to the same."""
        message = delivery.message
        assistant = await self._handler.obtain(message.bundle_version)
        live = await self._dialogues.get(message.conversation_id, assistant)
        turn = self._handler.apologize(message, live.dialogue, assistant, "conversation", why)
        async with committing:
            await self._conclude(turn, delivery, live, assistant, outcome="gave_up")

    async def _note_failure(self, delivery: Delivery, committing: asyncio.Lock, why: str) -> None:
        """Answer with an error alone, where not even the conversation can be folded."""
        conversation_id = delivery.message.conversation_id
        self._dialogues.drop(conversation_id)
        async with committing:
            state = await self._log.conversation(conversation_id)
            record = _error_record(delivery, "", "conversation", why)
            before = decode_agenda(state.agenda, conversation_id)
            after = agenda_after(before, delivery.message, record)
            await self._commit(delivery, record, state.last_turn + 1, (before, after))
        count_turn(record, "gave_up")

    async def _conclude(
        self, turn: Turn, delivery: Delivery, live: LiveDialogue, assistant: LoadedAssistant, outcome: str = ""
    ) -> None:
        """Commit, or less of it where that is more than the log takes."""
        number = live.last_turn + 1
        for damaged in live.damaged:
            turn.record.errors.add(where="turn log", message=str(damaged))
        snapshot = self._dialogues.snapshot_due(live, turn.dialogue, number, assistant)
        crash_point("before_commit")
        try:
            agenda = await self._commit_turn(delivery, turn, live, snapshot)
        except TurnTooLarge as error:
            logger.error("%s", error)
            snapshot = None
            turn, agenda = await self._commit_less(error, turn, delivery, live, assistant)
            outcome = "too_large"
        crash_point("after_commit")
        self._dialogues.committed_turn(live, turn.dialogue, number, snapshot, agenda, assistant)
        count_turn(turn.record, outcome)
        said = texts(user=delivery.message.user_message.text, bot=[reply.text for reply in turn.record.replies])
        logger.info("turn %d: %d events", number, len(turn.record.events), extra=said)

    async def _commit_less(
        self, error: TurnTooLarge, turn: Turn, delivery: Delivery, live: LiveDialogue, assistant: LoadedAssistant
    ) -> tuple[Turn, Agenda]:
        """The first that fits: the turn without a snapshot, what was said with an error, an error alone."""
        why = f"{error}. What came of the message was dropped: let actions return less, or raise the limit."
        said = self._handler.apologize(delivery.message, live.dialogue, assistant, "turn log", why)
        nothing = Turn(_error_record(delivery, assistant.version, "turn log", why), live.dialogue)
        for smaller in (turn, said):
            try:
                return smaller, await self._commit_turn(delivery, smaller, live)
            except TurnTooLarge:
                continue
        return nothing, await self._commit_turn(delivery, nothing, live)

    async def _commit_turn(
        self, delivery: Delivery, turn: Turn, live: LiveDialogue, snapshot: Snapshot | None = None
    ) -> Agenda:
        """The conversation's agenda after the turn."""
        taken_back = reminders_taken_back(live.dialogue, turn.dialogue, turn.record)
        agenda = agenda_after(live.agenda, delivery.message, turn.record, taken_back)
        await self._commit(delivery, turn.record, live.last_turn + 1, (live.agenda, agenda), snapshot)
        return agenda

    async def _commit(
        self,
        delivery: Delivery,
        record: TurnRecord,
        turn_number: int,
        agendas: tuple[Agenda, Agenda],
        snapshot: Snapshot | None = None,
    ) -> None:
        """Until it is committed: a log that fails for a while (a full disk, a broker that is away) loses no turn.

        `agendas` are the conversation's before and after it.
        """
        before, agenda = agendas
        changed = None if agenda == before else encode_agenda(agenda)
        record.turn_number = turn_number
        record.inbox_partition = delivery.position.partition
        record.inbox_offset = delivery.position.offset
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                with timed("conversation.commit"), span("commit"):
                    await self._log.commit(delivery.lease, record, snapshot, changed)
                if changed is not None:
                    self._remind(record.conversation_id, agenda)
                count_reminders([r.message_id for r in before], [r.message_id for r in agenda], delivery.message)
                return
            except OutOfOrder:
                await self._forget(record)
                raise
            except (Fenced, LogClosed, TurnTooLarge, ValueError, TypeError):
                raise
            except Exception:
                logger.exception("turn %d of '%s' is not committed yet", turn_number, record.conversation_id)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _forget(self, record: TurnRecord) -> None:
        """What is in memory is not what is in the log. Raises _AnsweredAlready where the message has its turn there."""
        self._dialogues.drop(record.conversation_id)
        later = await self._log.conversation(record.conversation_id, from_turn=record.turn_number)
        self._remind(record.conversation_id, decode_agenda(later.agenda, record.conversation_id))
        if any(turn.message_id == record.message_id for turn in later.turns):
            logger.warning("message '%s' of '%s' has its turn already", record.message_id, record.conversation_id)
            raise _AnsweredAlready


def _passes(error: Exception) -> bool:
    """Whether it is for others to put right, and worth waiting for."""
    if isinstance(error, TurnstreamError):
        return error.retriable or isinstance(error, UnknownBundle)
    return isinstance(error, TurnLogError | OSError) and not isinstance(error, ValueError | TurnTooLarge | OutOfOrder)


def _error_record(delivery: Delivery, bundle_version: str, where: str, why: str) -> TurnRecord:
    message = delivery.message
    record = TurnRecord(
        conversation_id=message.conversation_id,
        message_id=message.message_id,
        bundle_version=bundle_version,
        committed_at=timestamp_to_proto(time.time()),
        channel=message.channel,
    )
    record.errors.add(where=where, message=why)
    return record
