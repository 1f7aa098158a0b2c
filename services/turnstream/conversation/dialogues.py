"""The conversations in memory: the most recently used ones, the others read back from the log when they go on."""

import logging
from collections import OrderedDict
from dataclasses import replace

from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.metrics import CONVERSATIONS_IN_MEMORY, SNAPSHOTS
from turnstream.conversation.reminders import Agenda
from turnstream.conversation.restoring import LiveDialogue, Restorer
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.snapshot import snapshot_of, trimmed
from turnstream.dialogue.values import UnwritableValueError
from turnstream.runtime.settings import ConversationSettings
from turnstream.turnlog.interface import Snapshot, TurnWriter

logger = logging.getLogger(__name__)


class Dialogues:
    """What this worker knows of its conversations; only committed turns are ever in it."""

    def __init__(self, log: TurnWriter, settings: ConversationSettings) -> None:
        self._restorer = Restorer(log, settings.max_events_for_actions)
        self._settings = settings
        self._live: OrderedDict[str, LiveDialogue] = OrderedDict()

    async def get(self, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
        """The conversation folded with the assistant's domain; a new one where nothing was ever committed."""
        while True:
            live = self._live.get(conversation_id)
            if live is not None and live.dialogue.domain is not assistant.domain:
                live = _folded_with(live, assistant)
            if live is None:
                live = await self._restorer.restore(conversation_id, assistant)
                newer = self._live.get(conversation_id)
                if newer is not None and newer.last_turn > live.last_turn:
                    # A turn was committed while the log was read.
                    continue
            self.put(conversation_id, live)
            return live

    async def whole(self, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
        """The same with all its past, read from the log; it does not stay in memory."""
        return await self._restorer.restore_whole(conversation_id, assistant)

    async def committed(self, conversation_id: str, assistant: LoadedAssistant) -> LiveDialogue:
        """As the log has it, for whoever does not hold the conversation; it does not stay in memory."""
        return await self._restorer.restore(conversation_id, assistant)

    def snapshot_due(
        self, before: LiveDialogue, dialogue: Dialogue, turn_number: int, assistant: LoadedAssistant
    ) -> Snapshot | None:
        """A snapshot to commit with this turn; None where one is recent enough, or would be too large."""
        if turn_number - before.snapshot_turn < self._settings.snapshot_every_turns:
            return None
        try:
            payload = snapshot_of(dialogue, assistant.policy_window, before.dialogue.session_start)
        except UnwritableValueError as error:
            logger.warning("conversation '%s' gets no snapshot: %s", dialogue.conversation_id, error)
            payload = None
        if payload is None:
            SNAPSHOTS.labels("left_out").inc()
            return None
        return Snapshot(turn_number, payload)

    def committed_turn(
        self,
        before: LiveDialogue,
        dialogue: Dialogue,
        turn_number: int,
        snapshot: Snapshot | None,
        agenda: Agenda,
        assistant: LoadedAssistant,
    ) -> None:
        """The conversation has one turn more; what is long past is let go where a snapshot was taken."""
        if snapshot is not None:
            SNAPSHOTS.labels("written").inc()
            dialogue = self._trimmed(dialogue, assistant)
        live = LiveDialogue(
            dialogue,
            turn_number,
            last_session_start=before.dialogue.session_start,
            snapshot_turn=before.snapshot_turn if snapshot is None else snapshot.turn_number,
            agenda=agenda,
        )
        self.put(dialogue.conversation_id, live)

    def _trimmed(self, dialogue: Dialogue, assistant: LoadedAssistant) -> Dialogue:
        most = self._settings.max_events_for_actions
        if dialogue.event_count - dialogue.held_from < 2 * most:
            return dialogue
        return trimmed(dialogue, assistant.policy_window, most)

    def put(self, conversation_id: str, live: LiveDialogue) -> None:
        """Keep the conversation as it is now, and let go of the one unused for longest where there are too many."""
        self._live[conversation_id] = live
        self._live.move_to_end(conversation_id)
        while len(self._live) > self._settings.max_live_conversations:
            self._live.popitem(last=False)
        CONVERSATIONS_IN_MEMORY.set(len(self._live))

    def drop(self, conversation_id: str) -> None:
        self._live.pop(conversation_id, None)
        CONVERSATIONS_IN_MEMORY.set(len(self._live))

    def ids(self) -> tuple[str, ...]:
        return tuple(self._live)

    def __len__(self) -> int:
        return len(self._live)


def _folded_with(live: LiveDialogue, assistant: LoadedAssistant) -> LiveDialogue | None:
    """None where the log must be read for it."""
    dialogue = live.dialogue
    if dialogue.held_from:
        return None
    return replace(live, dialogue=Dialogue(dialogue.conversation_id, assistant.domain, dialogue.events))
