"""Talking to an assistant one step at a time, each confirmed or corrected by its author."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, Protocol

import click

from turnstream.api.v1.policy_pb2 import PredictNextActionResponse
from turnstream.api.v1.turnlog_pb2 import InboxMessage, MessageToAdd
from turnstream.assistant.annotations import AnnotatedText, annotated, parse_annotations
from turnstream.assistant.domain import (
    ACTION_LISTEN,
    DEFAULT_ACTIONS,
    DEFAULT_INTENTS,
    RESPONSE_PREFIX,
    RETRIEVAL_SEPARATOR,
)
from turnstream.assistant.location import NOWHERE
from turnstream.assistant.problems import Problems, closest
from turnstream.cli.asked import AskedAssistant
from turnstream.cli.shell import CHANNEL, STOP, print_reply
from turnstream.conversation.draft import Turn
from turnstream.conversation.services import ServiceFailedError
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    Event,
    ExtractedEntity,
    IntentScore,
    ParseData,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.parse_proto import parse_to_proto
from turnstream.runtime.errors import TurnstreamError

NEW, UNDO = "/new", "/undo"
MOST_ACTIONS = 20
"""In one turn; an assistant that would go on without end is stopped."""
CHOICES = 10
FOLLOWUP = "followup_action"


class Answers(Protocol):
    async def next(self, prompt: str) -> str | None:
        """What the author says to this; None where nothing more comes."""


class Ended(Exception):
    """The author has said enough, or the input has ended."""


class TakenBack(Exception):
    """The author takes the latest message back."""


class Teacher:
    """`conversations` are those that came to an end, as the events that count; `heard` has all of their events, those
    that a form or a fallback takes out of sight too; `responses` are the texts of new ones by name.
    """

    def __init__(self, asked: AskedAssistant, answers: Answers) -> None:
        self.conversations: list[Sequence[Event]] = []
        self.heard: list[Sequence[Event]] = []
        self.responses: dict[str, str] = {}
        self._asked = asked
        self._domain = asked.bundle.domain
        self._answers = answers
        self._begin()

    def _begin(self) -> None:
        self._dialogue = Dialogue(uuid.uuid4().hex, self._domain)
        self._earlier: list[Dialogue] = []
        """The conversation before each of its messages."""

    async def talk(self) -> None:
        """Until the author ends it. A turn that was not finished is left out."""
        try:
            while True:
                await self._say(await self._ask("you > "))
        except Ended:
            self._keep()

    def _keep(self) -> None:
        if self._earlier:
            self.conversations.append(self._dialogue.applied_events())
            self.heard.append(self._dialogue.events)

    async def _say(self, text: str) -> None:
        if text == STOP:
            raise Ended
        if text == NEW:
            self._keep()
            self._begin()
            click.echo("A new conversation begins.")
        elif text == UNDO:
            if self._earlier:
                self._dialogue = self._earlier.pop()
                click.echo("The latest message is taken back.")
            else:
                click.echo("There is no message to take back.")
        elif text:
            await self._turn(text)

    async def _turn(self, text: str) -> None:
        before, responses = self._dialogue, dict(self.responses)
        is_done = False
        try:
            await self._hear(text)
            await self._act()
            is_done = True
        except TakenBack:
            click.echo("Taken back.")
        except (ServiceFailedError, TurnstreamError) as error:
            click.secho(f"  ! {error}", fg="red")
        finally:
            if is_done:
                self._earlier.append(before)
            else:
                self._dialogue, self.responses = before, responses

    async def _hear(self, text: str) -> None:
        parse = await self._understand(text)
        request = MessageToAdd(text=text, parse_data=parse_to_proto(parse))
        self._take(await self._asked.handler.hear(self._message(message_to_add=request), self._dialogue))

    async def _understand(self, text: str) -> ParseData:
        parse = await self._asked.parser.parse(text)
        marked = annotated(text, parse.entities)
        click.echo(f"  understood: {_intent_of(parse)}{_percent(parse.intent.confidence)}  {marked}")
        if text.startswith("/") or await self._is_right():
            return parse
        ranking = parse.intent_ranking or (parse.intent,)
        scored = {score.name: score.confidence or 0.0 for score in ranking if score.name}
        intent = await self._choose("intent", scored, _last(DEFAULT_INTENTS, self._domain.intents), _intent_of(parse))
        return _corrected(parse, intent, await self._mark(text, marked))

    async def _mark(self, text: str, marked: str) -> AnnotatedText:
        """The text with its entities as they should be."""
        while True:
            given = await self._ask(f"  entities, as in [Rome](city) (Enter: {marked}): ") or marked
            problems = Problems()
            found = parse_annotations(given, NOWHERE, problems)
            if not problems.errors and found.text == text:
                return found
            wrong = problems.errors[0].message if problems.errors else f"that is another text: {found.text}"
            click.echo(f"  {wrong}")

    async def _act(self) -> None:
        for _ in range(MOST_ACTIONS):
            prediction = await self._predict()
            told = f" by {prediction.policy}" if prediction.policy else ""
            click.echo(f"  next: {prediction.action}{_percent(prediction.confidence)}{told}")
            if not await self._is_right():
                prediction = await self._correct(prediction)
            await self._do(prediction)
            if prediction.action == ACTION_LISTEN:
                return
        click.echo(f"  stopped after {MOST_ACTIONS} actions")

    async def _predict(self) -> PredictNextActionResponse:
        followup = self._dialogue.tracker.followup_action
        if followup in self._domain.action_names:
            return PredictNextActionResponse(action=followup, policy=FOLLOWUP, confidence=1.0)
        return await self._asked.handler.predict_next(self._dialogue)

    async def _correct(self, prediction: PredictNextActionResponse) -> PredictNextActionResponse:
        scored: dict[str, float] = {}
        for policy in prediction.predictions:
            for score in policy.scores:
                scored[score.action] = max(score.confidence, scored.get(score.action, 0.0))
        known = (*self._domain.action_names, *self.responses)
        action = await self._choose("action", scored, _last(DEFAULT_ACTIONS, known), prediction.action)
        if action.startswith(RESPONSE_PREFIX) and action not in (*self._domain.action_names, *self.responses):
            self.responses[action] = await self._ask("  what does it say? ") or action
        loop = self._dialogue.tracker.active_loop
        if loop is not None and prediction.action == loop.name and action not in (loop.name, ACTION_LISTEN):
            self._add(ActionExecutionRejected(name=loop.name))
        return PredictNextActionResponse(action=action, confidence=1.0)

    async def _do(self, prediction: PredictNextActionResponse) -> None:
        if prediction.action in self._domain.action_names:
            self._take(await self._asked.handler.act(self._message(), self._dialogue, prediction))
            if self._dialogue.tracker.rejected_action == prediction.action:
                click.echo(f"  {prediction.action} refused: something else is to follow")
            return
        # It is only about to be written: nothing can run it yet.
        self._add(ActionExecuted(name=prediction.action))
        if prediction.action in self.responses:
            click.echo(f"bot > {self.responses[prediction.action]}")

    def _add(self, event: Event) -> None:
        self._dialogue = self._dialogue.branch()
        self._dialogue.append(event)

    def _take(self, turn: Turn) -> None:
        """Go on from what came of a step, and tell it."""
        _tell_slots(self._dialogue.tracker.slots, turn.dialogue.tracker.slots)
        self._dialogue = turn.dialogue
        for reply in turn.record.replies:
            click.echo("bot > ", nl=False)
            print_reply(reply)
        for error in turn.record.errors:
            click.secho(f"  ! {error.where}: {error.message}", fg="red")

    def _message(self, **request: MessageToAdd) -> InboxMessage:
        return InboxMessage(
            conversation_id=self._dialogue.conversation_id,
            message_id=uuid.uuid4().hex,
            channel=CHANNEL,
            **request,  # type: ignore[arg-type]
        )

    async def _is_right(self) -> bool:
        """Raises Ended, TakenBack."""
        while True:
            match (await self._ask("  right? [Y/n/u/q] ")).lower():
                case "" | "y" | "yes":
                    return True
                case "n" | "no":
                    return False
                case "u" | "/undo":
                    raise TakenBack
                case "q" | "/stop":
                    raise Ended
            click.echo("  Enter: right, n: wrong, u: take the message back, q: end")

    async def _choose(self, kind: str, scored: Mapping[str, float], known: Sequence[str], usual: str) -> str:
        """One of the known names, by number or by name, Enter for the usual one; a new name where it is given twice."""
        best = sorted(scored, key=lambda name: -scored[name])[:CHOICES]
        shown = best + [name for name in known if name not in best][: CHOICES - len(best)]
        for number, name in enumerate(shown, 1):
            click.echo(f"    {number}: {name}{_percent(scored.get(name))}")
        refused = ""
        while True:
            given = await self._ask(f"  which {kind}? (number or name, Enter: {usual}) ") or usual
            if given.isdecimal() and 1 <= int(given) <= len(shown):
                return shown[int(given) - 1]
            if given.split(RETRIEVAL_SEPARATOR, 1)[0] in known or given in known or given in (usual, refused):
                return given
            near = closest(given, known)
            hint = f" Did you mean '{near}'?" if near else ""
            click.echo(f"  There is no {kind} '{given}' yet.{hint} Enter it once more to make it.")
            refused = given

    async def _ask(self, prompt: str) -> str:
        """Raises Ended at the end of the input."""
        answer = await self._answers.next(prompt)
        return answer if answer is not None else _end()


def _last(late: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    """The names, those in `late` at the end."""
    return tuple(sorted(names, key=lambda name: name in late))


def _end() -> NoReturn:
    raise Ended


def _intent_of(parse: ParseData) -> str:
    return parse.full_retrieval_intent_name or parse.intent.name or "nothing"


def _percent(confidence: float | None) -> str:
    return "" if confidence is None else f" ({confidence:.2f})"


def _tell_slots(before: Mapping[str, object], after: Mapping[str, object]) -> None:
    for name, value in after.items():
        if before.get(name) != value:
            click.echo(f"  slot: {name} = {value!r}")


def _corrected(parse: ParseData, intent: str, text: AnnotatedText) -> ParseData:
    base, separator, _ = intent.partition(RETRIEVAL_SEPARATOR)
    entities = tuple(ExtractedEntity(e.entity, e.value, e.start, e.end, e.role, e.group) for e in text.entities)
    others = tuple(score for score in parse.intent_ranking if score.name != base)
    return replace(
        parse,
        intent=IntentScore(base, 1.0),
        intent_ranking=(IntentScore(base, 1.0), *others),
        full_retrieval_intent_name=intent if separator else None,
        has_full_retrieval_intent_name=bool(separator),
        entities=entities,
    )
