"""Answering recorded messages again with another model, and telling what is different."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.assistant.domain import ACTION_LISTEN, Domain
from turnstream.dialogue.events import ActionExecuted, BotUttered, Event, UserUttered
from turnstream.dialogue.fold import Dialogue
from turnstream.replay.recorded import RecordedTurn, recorded_turns

KINDS = ("intent", "entities", "actions", "texts", "custom action", "error")


@dataclass(frozen=True, slots=True)
class Answer:
    """What counts of a turn. `entities` are name, value, role and group; `texts` what the bot said, in order."""

    intent: str | None
    confidence: float | None
    entities: tuple[tuple[str, str, str | None, str | None], ...]
    actions: tuple[str, ...]
    texts: tuple[str, ...]
    responses: tuple[str | None, ...] = field(default=(), repr=False)
    """The response that each text was worded from."""

    @classmethod
    def of(cls, message: UserUttered, events: Iterable[Event]) -> "Answer":
        parse = message.parse_data
        executed: list[str] = []
        said: list[BotUttered] = []
        for event in events:
            if isinstance(event, ActionExecuted):
                executed.append(event.name or event.action_text or "")
            elif isinstance(event, BotUttered):
                said.append(event)
        if executed and executed[-1] == ACTION_LISTEN:
            executed.pop()
        return cls(
            intent=parse.full_retrieval_intent_name or parse.intent.name,
            confidence=parse.intent.confidence,
            entities=tuple(sorted((e.entity, _text(e.value), e.role, e.group) for e in parse.entities)),
            actions=tuple(executed),
            texts=tuple(_said(event) for event in said),
            responses=tuple(event.metadata.get("utter_action") for event in said),
        )


def _said(event: BotUttered) -> str:
    more = {key: value for key, value in event.data.items() if value}
    return " ".join(part for part in (event.text, _text(more) if more else None) if part)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


Variations = Mapping[str, frozenset[str]]
"""The texts among which chance picks, by response."""


def variations_of(domain: Domain) -> Variations:
    """Of the responses that have more than one variation."""
    texts = {name: frozenset(v.text for v in found if v.text) for name, found in domain.responses.items()}
    return {name: found for name, found in texts.items() if len(found) > 1}


@dataclass(frozen=True, slots=True)
class TurnComparison:
    """`differences` are of KINDS; `would_call` are custom actions that the recorded turn did not run there."""

    conversation_id: str
    turn: int
    message_id: str | None
    text: str | None
    timestamp: float
    recorded: Answer
    replayed: Answer | None
    would_call: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        return not self.differences


def compared(
    turn: RecordedTurn, replayed: Sequence[Event], would_call: Sequence[str], errors: Sequence[str], chance: Variations
) -> TurnComparison:
    """`replayed` are all events of the turn that was answered again."""
    recorded = Answer.of(turn.message, turn.answer)
    place = next((n for n, event in enumerate(replayed) if isinstance(event, UserUttered)), None)
    again = None
    if place is not None:
        message = replayed[place]
        assert isinstance(message, UserUttered)
        again = Answer.of(message, replayed[place + 1 :])
    return TurnComparison(
        conversation_id=turn.conversation_id,
        turn=turn.number,
        message_id=turn.message.message_id,
        text=turn.message.text,
        timestamp=turn.message.timestamp,
        recorded=recorded,
        replayed=again,
        would_call=tuple(would_call),
        errors=tuple(errors),
        differences=tuple(_differences(recorded, again, would_call, errors, chance)),
    )


def _differences(
    recorded: Answer, again: Answer | None, would_call: Sequence[str], errors: Sequence[str], chance: Variations
) -> list[str]:
    if again is None:
        return ["error"]
    differs = {
        "intent": recorded.intent != again.intent,
        "entities": recorded.entities != again.entities,
        "actions": recorded.actions != again.actions,
        "texts": not _say_the_same(recorded, again, chance),
        "custom action": bool(would_call),
        "error": bool(errors),
    }
    return [kind for kind in KINDS if differs[kind]]


def _say_the_same(recorded: Answer, again: Answer, chance: Variations) -> bool:
    """Two variations of one response are the same: chance picked another one."""
    if len(recorded.texts) != len(again.texts):
        return False
    pairs = zip(recorded.texts, again.texts, recorded.responses, again.responses, strict=True)
    return all(
        one == two or (response is not None and response == other and {one, two} <= chance.get(response, frozenset()))
        for one, two, response, other in pairs
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn that was answered again, and the conversation after it."""

    events: Sequence[Event]
    dialogue: Dialogue
    would_call: Sequence[str] = ()
    errors: Sequence[str] = ()


class Answerer(Protocol):
    """The other model."""

    async def answer(self, turn: RecordedTurn, message: InboxMessage, dialogue: Dialogue) -> Answered:
        """Answer a message as at the time when it was sent. `dialogue` is left as it is."""
        ...


async def compare_conversation(
    conversation_id: str, events: Sequence[Event], domain: Domain, answerer: Answerer, *, free: bool = False
) -> AsyncIterator[TurnComparison]:
    """Each message is answered after the recorded conversation up to it: one difference does not lead to others.

    `free`: after the conversation as the other model has led it; what others appended between turns is kept.
    """
    chance = variations_of(domain)
    dialogue = Dialogue(conversation_id, domain)
    done = 0
    for turn in recorded_turns(conversation_id, events):
        if free:
            dialogue.extend(turn.between())
        else:
            dialogue.extend(events[done : turn.start])
            done = turn.start
        answered = await answerer.answer(turn, turn.inbox_message(), dialogue)
        if free:
            dialogue = answered.dialogue.branch()
        yield compared(turn, answered.events, answered.would_call, answered.errors, chance)


@dataclass(slots=True)
class Summary:
    """Counts of turns; `by_kind` of those that differ, which may differ in several kinds."""

    conversations: int = 0
    turns: int = 0
    agree: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)

    def add(self, turns: Sequence[TurnComparison]) -> None:
        """A conversation."""
        self.conversations += 1
        self.turns += len(turns)
        self.agree += sum(turn.agrees for turn in turns)
        self.by_kind.update(kind for turn in turns for kind in turn.differences)

    @property
    def differ(self) -> int:
        return self.turns - self.agree

    def as_json(self) -> dict[str, Any]:
        counts = {"conversations": self.conversations, "turns": self.turns, "agree": self.agree, "differ": self.differ}
        return counts | {"by_kind": {kind: self.by_kind[kind] for kind in KINDS}}


def comparison_as_json(turn: TurnComparison) -> dict[str, Any]:
    """Everything of a comparison; entities as objects."""
    return asdict(turn) | {"recorded": _answer_as_json(turn.recorded), "replayed": _answer_as_json(turn.replayed)}


def _answer_as_json(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    entities = [dict(zip(("entity", "value", "role", "group"), entity, strict=True)) for entity in answer.entities]
    return {
        "intent": answer.intent,
        "confidence": answer.confidence,
        "entities": entities,
        "actions": list(answer.actions),
        "texts": list(answer.texts),
    }
