"""Reading a conversation back from the log: from its snapshot and the turns after it, or from all its turns."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.metrics import RESTORE_SECONDS, RESTORED_TURNS, SNAPSHOTS
from turnstream.conversation.reminders import Agenda, decode_agenda
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.events import Event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto_late import event_read_late
from turnstream.dialogue.snapshot import SnapshotRefused, restored
from turnstream.turnlog.errors import LogUnavailable, TurnLogError
from turnstream.turnlog.interface import ConversationState, Snapshot, TurnWriter, Undecodable

logger = logging.getLogger(__name__)

_MORE = 1.25
"""How many more turns are read for their events than should be needed: a second round costs more."""


@dataclass(frozen=True, slots=True)
class LiveDialogue:
    """A conversation as committed. `damaged` are records of its past that could not be read back.

    `last_session_start` is the number of the event that began the session in which the last turn began.
    `snapshot_turn` is the turn after which its latest usable snapshot was taken, 0 where there is none.
    `agenda` are the reminders that are still to fire.
    """

    dialogue: Dialogue
    last_turn: int = 0
    damaged: tuple[Undecodable, ...] = ()
    last_session_start: int = 0
    snapshot_turn: int = 0
    agenda: Agenda = ()


class Restorer:
    """`max_events`: how many events of its session an action is sent."""

    def __init__(self, log: TurnWriter, max_events: int) -> None:
        self._log = log
        self._max_events = max_events

    async def restore(self, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
        """From the newest snapshot where it can be used; a new conversation where nothing was ever committed.

        What it cannot answer raises EarlierEventsNeeded when it is asked; `restore_whole` can.
        """
        with RESTORE_SECONDS.time():
            state = await self._read(conversation_id)
            if state.snapshot is not None:
                try:
                    live = _from_snapshot(state.snapshot, state, conversation_id, assistant)
                    live = await self._with_session(live, conversation_id, assistant)
                except SnapshotRefused as refusal:
                    SNAPSHOTS.labels("refused").inc()
                    logger.info("conversation '%s' is read back from all its turns: %s", conversation_id, refusal)
                except EarlierEventsNeeded:
                    SNAPSHOTS.labels("insufficient").inc()
                else:
                    SNAPSHOTS.labels("used").inc()
                    return live
                state = await self._read(conversation_id, from_turn=1)
            return _from_turns(state, conversation_id, assistant)

    async def restore_whole(self, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
        """From all turns: every question has an answer."""
        with RESTORE_SECONDS.time():
            return _from_turns(await self._read(conversation_id, from_turn=1), conversation_id, assistant)

    async def _read(self, conversation_id: str, from_turn: int | None = None) -> ConversationState:
        try:
            state = await self._log.conversation(conversation_id, from_turn=from_turn)
        except TurnLogError:
            raise
        except Exception as error:
            raise LogUnavailable(f"conversation '{conversation_id}' cannot be read back now: {error!r}") from error
        RESTORED_TURNS.inc(len(state.turns))
        return state

    async def _with_session(self, live: LiveDialogue, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
        """With the events of its session that an action is sent: as many turns as it takes, not all there are."""
        dialogue = live.dialogue
        wanted = max(dialogue.session_start, dialogue.event_count - self._max_events)
        first = live.snapshot_turn + 1
        while assistant.sends_events and dialogue.held_from > wanted and first > 1:
            # By what its turns have on average; where these are too few, as many again and more.
            missing = (dialogue.held_from - wanted) * (first - 1) / dialogue.held_from
            count = max(math.ceil(missing * _MORE), live.snapshot_turn + 1 - first)
            first = max(1, first - count)
            state = await self._read(conversation_id, from_turn=first)
            dialogue = dialogue.with_log(events_of(t for t in state.turns if t.turn_number <= live.last_turn))
        return replace(live, dialogue=dialogue)


def _from_snapshot(
    snapshot: Snapshot, state: ConversationState, conversation_id: str, assistant: LoadedAssistant
) -> LiveDialogue:
    """Raises SnapshotRefused, EarlierEventsNeeded."""
    dialogue, last_session_start = restored(snapshot.payload, conversation_id, assistant.domain)
    dialogue.extend(events_of(state.turns[:-1]))
    if state.turns:
        last_session_start = dialogue.session_start
    dialogue.extend(events_of(state.turns[-1:]))
    agenda = decode_agenda(state.agenda, conversation_id)
    return LiveDialogue(dialogue, state.last_turn, state.undecodable, last_session_start, snapshot.turn_number, agenda)


def _from_turns(state: ConversationState, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
    dialogue = Dialogue(conversation_id, assistant.domain, events_of(state.turns[:-1]))
    last_session_start = dialogue.session_start
    dialogue.extend(events_of(state.turns[-1:]))
    agenda = decode_agenda(state.agenda, conversation_id)
    return LiveDialogue(dialogue, state.last_turn, state.undecodable, last_session_start, agenda=agenda)


def events_of(turns: Iterable[TurnRecord]) -> list[Event]:
    return [event_read_late(event) for turn in turns for event in turn.events]
