"""One turn, from a message of the inbox to the record that is committed: the file to read first.

The order of events is that of recorded conversations with Rasa 3.6.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from turnstream.api.v1.events_pb2 import Event as EventProto
from turnstream.api.v1.policy_pb2 import PredictNextActionResponse
from turnstream.api.v1.turnlog_pb2 import (
    ActionToExecute,
    DueReminder,
    EventsToAppend,
    InboxMessage,
    IntentTrigger,
    MessageToAdd,
    UserMessage,
)
from turnstream.assistant.domain import (
    ACTION_EXTRACT_SLOTS,
    ACTION_LISTEN,
    ACTION_SESSION_START,
    INTENT_RESTART,
)
from turnstream.conversation import sessions
from turnstream.conversation.crashpoints import crash_point
from turnstream.conversation.draft import Turn, TurnDraft
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.requests import EventLimits, action_call, prediction_request
from turnstream.conversation.services import ServiceFailedError, Services
from turnstream.conversation.understanding import external_message, understand, unparsed
from turnstream.dialogue.applied import EarlierEventsNeeded
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ConversationErased,
    Event,
    ParseData,
    ReminderScheduled,
    UserUttered,
)
from turnstream.dialogue.fields import EventError
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.loops import without_unknown_loops
from turnstream.dialogue.parse_json import entity_to_rasa
from turnstream.dialogue.parse_proto import entities_from_proto
from turnstream.dialogue.proto import event_from_proto, parse_from_proto
from turnstream.dialogue.values import map_from_proto
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import Unavailable, UnknownBundle
from turnstream.runtime.settings import ConversationSettings

logger = logging.getLogger(__name__)

FOLLOWUP_POLICY = "followup_action"
_REFUSALS_PER_ACTION = 3
"""Predictions that lead to no action count less than actions do, but they end as well."""


class TurnHandler:
    """Handles messages, each by one version of the assistant from beginning to end. Holds no conversation."""

    def __init__(
        self,
        assistants: Bundles[LoadedAssistant],
        services: Services,
        settings: ConversationSettings | None = None,
        clock: Callable[[], float] = time.time,
        *,
        responses_see_events: bool = False,
    ) -> None:
        """`responses_see_events`: an NLG server words the responses, and is sent the session as actions are."""
        self._assistants = assistants
        self._services = services
        self._settings = settings or ConversationSettings()
        limits = self._settings.max_events_for_actions, self._settings.max_event_bytes_for_actions
        self._limits = EventLimits(*limits, for_responses=responses_see_events)
        self._clock = clock

    def assistant_for(self, version: str) -> LoadedAssistant:
        """The version that a message asks for; the newest where that is gone. Raises UnknownBundle if there is none."""
        return self._assistants.get(version if version in self._assistants else "")

    def loaded(self, version: str) -> LoadedAssistant:
        """This very version; the newest where none is named. Raises UnknownBundle, BundleNotLoaded."""
        return self._assistants.get(version)

    async def obtain(self, version: str) -> LoadedAssistant:
        """The same, once it is there: in place of a version that is gone, or not loaded in time, the one that serves.

        Raises UnknownBundle, BundleNotLoaded while there is none at all.
        """
        if version and version not in self._assistants:
            try:
                async with asyncio.timeout(self._settings.bundle_wait_s):
                    return await self._assistants.obtain(version)
            except (UnknownBundle, Unavailable, TimeoutError) as error:
                logger.warning("bundle '%s' cannot answer a message that names it: %s", version, error)
                version = ""
        return await self._assistants.obtain(version)

    async def handle(self, message: InboxMessage, dialogue: Dialogue, assistant: LoadedAssistant | None = None) -> Turn:
        """The turn that answers a message, with this assistant or the one that it names. `dialogue` is left as it is.

        Whatever goes wrong becomes an error on the turn: the message is kept, and the next one finds a conversation
        that works. Raises UnknownBundle where no assistant is loaded, EarlierEventsNeeded where more of the dialogue's
        past is needed than it has.
        """
        draft = self._begin(message, dialogue, assistant)
        try:
            await self._answer(draft)
        except EarlierEventsNeeded:
            raise
        except ServiceFailedError as error:
            self._cut_short(draft, error.where, error.message)
        except Exception as error:
            logger.exception("conversation '%s', message '%s'", message.conversation_id, message.message_id)
            self._cut_short(draft, "conversation", f"{type(error).__name__}: {error}")
        return draft.finish()

    def pass_over(self, message: InboxMessage, dialogue: Dialogue, assistant: LoadedAssistant) -> Turn:
        """The turn of a reminder that is not wanted any more: nothing happens in it."""
        return self._begin(message, dialogue, assistant).finish()

    def apologize(
        self, message: InboxMessage, dialogue: Dialogue, assistant: LoadedAssistant, where: str, why: str
    ) -> Turn:
        """The turn of a message that is not answered: what was said, and why nothing came of it."""
        draft = self._begin(message, dialogue, assistant)
        self._cut_short(draft, where, why)
        return draft.finish()

    def _begin(self, message: InboxMessage, dialogue: Dialogue, assistant: LoadedAssistant | None = None) -> TurnDraft:
        assistant = assistant or self.assistant_for(message.bundle_version)
        if dialogue.domain is not assistant.domain:
            dialogue = Dialogue(dialogue.conversation_id, assistant.domain, dialogue.events)
        draft = TurnDraft(message, dialogue, assistant, self._clock)
        if message.bundle_version not in ("", assistant.version):
            gone = f"bundle '{message.bundle_version}' is not there; '{assistant.version}' served in its place"
            draft.fail("conversation", gone)
        return draft

    def _cut_short(self, draft: TurnDraft, where: str, why: str) -> None:
        draft.fail(where, why)
        if draft.message.HasField("user_message") and not draft.has_message:
            request = draft.message.user_message
            text, metadata = request.text.strip(), map_from_proto(request.metadata)
            draft.record(_user_message(draft, text, unparsed(draft, text, metadata), metadata))
        draft.listen()

    async def _answer(self, draft: TurnDraft) -> None:
        message = draft.message
        match message.WhichOneof("request"):
            case "user_message":
                await self._user_message(draft, message.user_message)
            case "intent_trigger":
                await self._intent_trigger(draft, message.intent_trigger)
            case "events_to_append":
                await self._append_events(draft, message.events_to_append)
            case "action_to_execute":
                await self._execute(draft, message.action_to_execute)
            case "message_to_add":
                await self._add_message(draft, message.message_to_add)
            case "due_reminder":
                await self._due_reminder(draft, message.due_reminder)
            case "erasure":
                self._erase(draft)
            case other:
                draft.fail("conversation", f"a message with the request '{other}', which this version cannot answer")

    async def _user_message(self, draft: TurnDraft, request: UserMessage) -> None:
        await self._begin_session_if_due(draft, map_from_proto(request.metadata))
        await self._record_message(draft, request.text.strip(), map_from_proto(request.metadata))
        await self._fill_slots(draft)
        await self._act_until_listening(draft)

    async def _record_message(self, draft: TurnDraft, text: str, metadata: Mapping[str, Any]) -> None:
        parse = await understand(draft, self._services, text, metadata)
        draft.record(_user_message(draft, text, parse, metadata))

    async def _begin_session_if_due(self, draft: TurnDraft, metadata: Mapping[str, Any] | None = None) -> None:
        draft.leave_lost_loop()
        if not sessions.session_is_due(draft.dialogue, draft.now()):
            return
        try:
            await self._begin_session(draft, metadata or {})
        except ServiceFailedError as error:
            draft.fail(error.where, error.message)
            if sessions.is_new(draft.dialogue):
                draft.record(*sessions.bare_session())

    async def _begin_session(self, draft: TurnDraft, metadata: Mapping[str, Any]) -> None:
        draft.record(*sessions.metadata_slot(metadata))
        await self._run(draft, PredictNextActionResponse(action=ACTION_SESSION_START, confidence=1.0))
        # A custom session start that failed, or forgot to listen, must not make the conversation deaf.
        draft.listen()

    async def _fill_slots(self, draft: TurnDraft) -> None:
        if not (draft.assistant.extracts_slots and draft.assistant.has_policies):
            return
        prediction = PredictNextActionResponse(action=ACTION_EXTRACT_SLOTS, confidence=1.0)
        call = action_call(draft, draft.dialogue, prediction, self._limits)
        with draft.asking("action", ACTION_EXTRACT_SLOTS):
            response = await self._services.run_action(call)
        if response.HasField("failure"):
            draft.fail(response.failure.action, response.failure.message)
        found = _events(response.events)
        draft.record(*found)
        # An author's own extraction may speak.
        draft.say(found)

    async def _act_until_listening(self, draft: TurnDraft) -> None:
        """Predict and run actions until the policies say listen."""
        if not draft.assistant.has_policies:
            return
        most = self._settings.max_actions
        actions = 0
        for _ in range(most * _REFUSALS_PER_ACTION):
            if actions >= most or _is_silent(draft.dialogue):
                break
            prediction = await self._predict(draft)
            if prediction.is_end_to_end:
                _record_entities(draft, prediction)
                await self._fill_slots(draft)
            was_run = await self._run(draft, prediction)
            if prediction.action in (ACTION_LISTEN, ACTION_SESSION_START) and not prediction.is_text:
                # An author's own listen may have been rejected, an own session start may have forgotten it.
                draft.listen()
                return
            actions = 0 if draft.listens else actions + was_run
        if not _is_silent(draft.dialogue):
            draft.fail("conversation", f"stopped after {actions} actions without listening")
        draft.listen()

    async def _predict(self, draft: TurnDraft) -> PredictNextActionResponse:
        followup = draft.dialogue.tracker.followup_action
        if followup in draft.assistant.domain.action_names:
            is_text = followup in draft.assistant.domain.e2e_actions
            return PredictNextActionResponse(action=followup, is_text=is_text, policy=FOLLOWUP_POLICY, confidence=1.0)
        if followup is not None:
            draft.fail("conversation", f"'{followup}' was to follow, which is no action of the domain")
        request = prediction_request(draft.dialogue, draft.assistant)
        with draft.asking("policy", "PredictNextAction"):
            return await self._services.predict(request)

    async def predict_next(self, dialogue: Dialogue, version: str = "") -> PredictNextActionResponse:
        """What the policies would do next. Raises UnknownBundle, ServiceFailedError."""
        return await self._services.predict(prediction_request(dialogue, self.assistant_for(version), explain=True))

    async def hear(self, message: InboxMessage, dialogue: Dialogue) -> Turn:
        """Add a message (`message_to_add`) and fill slots from it, without acting. Raises ServiceFailedError."""
        draft = self._begin(message, dialogue)
        await self._add_message(draft, message.message_to_add)
        return draft.finish()

    async def act(self, message: InboxMessage, dialogue: Dialogue, prediction: PredictNextActionResponse) -> Turn:
        """Do one action as predicted, and no more. Raises ServiceFailedError."""
        draft = self._begin(message, dialogue)
        await self._run(draft, prediction)
        return draft.finish()

    async def _run(self, draft: TurnDraft, prediction: PredictNextActionResponse) -> bool:
        """Run an action and record what came of it; False where it was rejected."""
        predicted = _events([*prediction.mandatory_events, *prediction.optional_events])
        is_custom = prediction.action in draft.assistant.domain.custom_actions
        if prediction.action == ACTION_LISTEN and not prediction.is_text and not is_custom:
            draft.record(*predicted, _execution(prediction))
            return True
        tentative = draft.dialogue.branch()
        tentative.extend(predicted)
        call = action_call(draft, tentative, prediction, self._limits)
        crash_point("before_action")
        with draft.asking("action", prediction.action):
            response = await self._services.run_action(call)
        crash_point("after_action")
        if response.HasField("failure"):
            draft.fail(response.failure.action, response.failure.message)
        if response.rejected:
            draft.record(_rejection(prediction))
            return False
        returned = _events(response.events)
        if not any(isinstance(event, ActionExecutionRejected) for event in returned):
            draft.record(*predicted, _execution(prediction))
        draft.record(*returned)
        draft.say(returned)
        if any(isinstance(event, UserUttered) for event in returned):
            await self._fill_slots(draft)
        return True

    async def _intent_trigger(self, draft: TurnDraft, request: IntentTrigger) -> None:
        await self._begin_session_if_due(draft)
        if request.intent not in draft.assistant.domain.intents:
            draft.fail("conversation", f"the domain has no intent '{request.intent}'")
            return
        entities = [{"entity": name, "value": value} for name, value in map_from_proto(request.entities).items()]
        full = [entity_to_rasa(entity) for entity in entities_from_proto(request.full_entities)]
        await self._external_message(draft, request.intent, [*entities, *full])

    async def _external_message(self, draft: TurnDraft, intent: str, entities: Any) -> None:
        channel = draft.dialogue.tracker.latest_input_channel
        try:
            said = external_message(intent, entities, channel)
        except EventError as error:
            draft.fail("conversation", f"intent '{intent}' comes without its entities: {error}")
            said = external_message(intent, (), channel)
        draft.record(said)
        await self._fill_slots(draft)
        await self._act_until_listening(draft)

    async def _append_events(self, draft: TurnDraft, request: EventsToAppend) -> None:
        events = _events(request.events)
        if request.verbatim:
            draft.record_verbatim(events)
            return
        if not sessions.begins_with_session(events) and not draft.dialogue.event_count:
            await self._begin_session(draft, {})
        events, wrong = without_unknown_loops(events, draft.assistant.domain)
        for why in wrong:
            draft.fail("conversation", why)
        draft.record_as_they_are(events)
        if request.has_effects:
            draft.say(events)

    async def _execute(self, draft: TurnDraft, request: ActionToExecute) -> None:
        await self._begin_session_if_due(draft)
        if request.action not in draft.assistant.domain.action_names:
            draft.fail("conversation", f"the domain has no action '{request.action}'")
            return
        await self._run(
            draft,
            PredictNextActionResponse(action=request.action, policy=request.policy, confidence=request.confidence),
        )

    async def _add_message(self, draft: TurnDraft, request: MessageToAdd) -> None:
        metadata = map_from_proto(request.metadata)
        await self._begin_session_if_due(draft, metadata)
        if not request.HasField("parse_data"):
            await self._record_message(draft, request.text.strip(), metadata)
        else:
            draft.record(_user_message(draft, request.text.strip(), parse_from_proto(request.parse_data), metadata))
        await self._fill_slots(draft)

    async def _due_reminder(self, draft: TurnDraft, request: DueReminder) -> None:
        await self._begin_session_if_due(draft)
        reminder = event_from_proto(EventProto(reminder_scheduled=request.reminder))
        assert isinstance(reminder, ReminderScheduled)
        await self._external_message(draft, reminder.intent, reminder.entities)

    def _erase(self, draft: TurnDraft) -> None:
        draft.forget()
        draft.record(ConversationErased())


def _events(messages: Sequence[EventProto]) -> list[Event]:
    return [event_from_proto(message) for message in messages]


def _record_entities(draft: TurnDraft, prediction: PredictNextActionResponse) -> None:
    """What a policy found in the text of the message fills slots, as what NLU found does: it is recorded before."""
    found = [event for event in prediction.optional_events if event.HasField("entities_added")]
    others = [event for event in prediction.optional_events if not event.HasField("entities_added")]
    draft.record(*_events(found))
    del prediction.optional_events[:]
    prediction.optional_events.extend(others)


def _user_message(draft: TurnDraft, text: str, parse: ParseData, metadata: Mapping[str, Any]) -> UserUttered:
    return UserUttered(
        text=text,
        parse_data=parse,
        input_channel=draft.message.channel or None,
        message_id=draft.message.message_id,
        metadata=metadata,
    )


def _is_silent(dialogue: Dialogue) -> bool:
    """A paused conversation is not answered; a restart is, and wakes it up."""
    tracker = dialogue.tracker
    message = tracker.latest_message
    return tracker.paused and (message is None or message.parse_data.intent.name != INTENT_RESTART)


def _execution(prediction: PredictNextActionResponse) -> ActionExecuted:
    return ActionExecuted(
        name=None if prediction.is_text else prediction.action,
        action_text=prediction.action if prediction.is_text else None,
        policy=prediction.policy or None,
        confidence=prediction.confidence,
        hide_rule_turn=prediction.hide_rule_turn,
    )


def _rejection(prediction: PredictNextActionResponse) -> ActionExecutionRejected:
    return ActionExecutionRejected(
        name=prediction.action, policy=prediction.policy or None, confidence=prediction.confidence
    )
