"""Whole dialogues of the test conversation format, replayed step by step.

Each action is predicted after what the test says has happened, not after what was predicted: one mistake is counted
once. Format: https://rasa.com/docs/rasa/testing-your-assistant#writing-test-stories.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from turnstream.assistant.annotations import annotated
from turnstream.assistant.domain import ACTION_LISTEN, RETRIEVAL_SEPARATOR, Domain
from turnstream.assistant.nlu_data import EntityAnnotation
from turnstream.assistant.stories import TestStory, UserStep
from turnstream.dialogue.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActiveLoopChanged,
    Event,
    ExtractedEntity,
    ParseData,
    SlotSet,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.evaluation.entities import NO_ENTITY, token_labels
from turnstream.evaluation.labels import LabelReport, label_report

UNLIKELY_INTENT = "action_unlikely_intent"
NOT_ANNOTATED = "None"
NOT_FOUND = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An action's name, or with `is_text` the text of an end-to-end utterance. `by_text`: what decided was the text of
    the message, and not its intent.
    """

    action: str
    policy: str
    confidence: float
    is_text: bool = False
    by_text: bool = False


Predict = Callable[[Dialogue], Awaitable[Prediction]]
Parse = Callable[[str], Awaitable[ParseData]]


@dataclass(frozen=True, slots=True)
class ActionResult:
    """`warned`: the policies found the message before it unlikely, which fails no test. `is_text`: of an utterance."""

    right: str
    prediction: Prediction
    warned: bool = False
    is_text: bool = False

    @property
    def is_right(self) -> bool:
        return self.right == self.prediction.action

    @property
    def told(self) -> str:
        return f"{self.right} was expected, {self.prediction.policy} predicted {self.prediction.action}"


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What a message was understood as, beside what the test says. `has_values`: those that the test writes out."""

    step: UserStep
    intent: str
    right_entities: tuple[ExtractedEntity, ...]
    entities: tuple[ExtractedEntity, ...]
    right_labels: tuple[str, ...]
    labels: tuple[str, ...]
    has_values: bool = True

    @property
    def text(self) -> str:
        return self.step.text or ""

    @property
    def right_intent(self) -> str:
        return self.step.intent or ""

    @property
    def is_right(self) -> bool:
        return self.right_intent == self.intent and self.has_entities

    @property
    def has_entities(self) -> bool:
        return self.right_labels == self.labels and self.has_values

    @property
    def told(self) -> str:
        if self.right_intent != self.intent:
            return f"'{self.text}' is {self.right_intent}, and was understood as {self.intent or 'nothing'}"
        return f"'{self.text}' has other entities than were found"


@dataclass(frozen=True, slots=True)
class GivenStep:
    """What the test says, and nothing predicts: a slot, a loop, a message that is taken by its intent."""

    said: UserStep | SlotSet | ActiveLoopChanged


@dataclass(frozen=True, slots=True)
class DialogueResult:
    """`steps` are in the order of the story."""

    story: TestStory
    steps: tuple[ActionResult | MessageResult | GivenStep, ...]

    @property
    def wrong(self) -> tuple[ActionResult | MessageResult, ...]:
        return tuple(step for step in self.steps if not isinstance(step, GivenStep) and not step.is_right)

    @property
    def is_right(self) -> bool:
        return not self.wrong

    @property
    def has_warnings(self) -> bool:
        return any(step.warned for step in self.actions)

    @property
    def actions(self) -> Iterator[ActionResult]:
        return (step for step in self.steps if isinstance(step, ActionResult))


@dataclass(frozen=True, slots=True)
class DialogueReports:
    """`actions` with `action_listen`; `labels` are those, and intents and entities where messages were understood: the
    peer reports all together. None where there are none.
    """

    results: tuple[DialogueResult, ...]
    actions: LabelReport | None = field(default=None)
    labels: LabelReport | None = field(default=None)

    @property
    def right(self) -> int:
        return sum(result.is_right for result in self.results)

    @property
    def with_warnings(self) -> int:
        return sum(result.has_warnings for result in self.results)


async def replay(
    story: TestStory,
    events: Sequence[Event],
    domain: Domain,
    predict: Predict,
    parse: Parse | None,
) -> DialogueResult:
    """`events` are the story written out. Without `parse` messages are taken as the test names their intents; with it
    policies see their texts, too.

    The first action is the listen that a conversation begins with: nothing could predict it. A loop that a policy
    wants to run although the test says otherwise is told that it refused, once, as forms do.
    """
    dialogue = Dialogue(story.name, domain)
    steps: list[ActionResult | MessageResult | GivenStep] = []
    texts = iter(step for step in story.steps if isinstance(step, UserStep))
    has_begun = False
    for event in events:
        if isinstance(event, UserUttered):
            step = next(texts)
            if parse is not None and step.text and step.intent:
                steps.append(_message_result(step, event, await parse(step.text)))
                event = replace(event, text=step.text)
            else:
                steps.append(GivenStep(step))
        elif isinstance(event, ActionExecuted):
            if has_begun:
                result, event = await _action_result(dialogue, event, predict)
                steps.append(result)
            has_begun = True
        elif isinstance(event, SlotSet | ActiveLoopChanged):
            steps.append(GivenStep(event))
        dialogue.append(event)
    return DialogueResult(story, tuple(steps))


async def _action_result(
    dialogue: Dialogue, event: ActionExecuted, predict: Predict
) -> tuple[ActionResult, ActionExecuted]:
    right = event.name or event.action_text or ""
    is_open = _is_open(dialogue)
    prediction = await predict(dialogue)
    if is_open:
        dialogue.append(UserFeaturized(use_text_for_featurization=prediction.by_text))
    warned = False
    if prediction.action == UNLIKELY_INTENT != right:
        warned = True
        dialogue.append(ActionExecuted(name=UNLIKELY_INTENT, policy=prediction.policy))
        prediction = await predict(dialogue)
    loop = dialogue.tracker.active_loop
    if prediction.action != right and loop is not None and prediction.action == loop.name:
        dialogue.append(ActionExecutionRejected(name=prediction.action))
        prediction = await predict(dialogue)
    is_right = prediction.action == right
    event = replace(event, policy=prediction.policy, confidence=prediction.confidence) if is_right else event
    return ActionResult(right, prediction, warned, event.name is None), event


def _is_open(dialogue: Dialogue) -> bool:
    """Whether the latest message has both intent and text, and no prediction has decided which of them counts."""
    message = dialogue.tracker.latest_message
    if message is None or dialogue.tracker.latest_action_name != ACTION_LISTEN:
        return False
    return bool(message.text and message.parse_data.intent.name)


def _message_result(step: UserStep, event: UserUttered, parse: ParseData) -> MessageResult:
    right = event.parse_data
    tokens = parse.text_tokens
    labels = tuple(token_labels(tokens, parse.entities))
    placed = _placed(step)
    # What has no place in the text cannot be compared by its tokens.
    right_labels = labels if placed is None else tuple(token_labels(tokens, placed))
    return MessageResult(
        step=step,
        intent=_intent(step, parse),
        right_entities=right.entities,
        entities=parse.entities,
        right_labels=right_labels,
        labels=labels,
        has_values=all(_has_value(entity, step.text or "", parse.entities) for entity in placed or ()),
    )


def _intent(step: UserStep, parse: ParseData) -> str:
    """In full where the test names a retrieval intent in full; without a selector its base is all there is to know."""
    name, wanted = parse.intent.name or "", step.intent or ""
    if RETRIEVAL_SEPARATOR not in wanted:
        return name
    is_base = wanted.split(RETRIEVAL_SEPARATOR)[0] == name
    return parse.full_retrieval_intent_name or (wanted if is_base else name)


def _has_value(entity: EntityAnnotation, text: str, found: Iterable[ExtractedEntity]) -> bool:
    """A value that is the text itself may have become another by its synonyms."""
    wanted = str(entity.value).casefold()
    if wanted == text[entity.start : entity.end].casefold():
        return True
    values = [str(one.value).casefold() for one in found if (one.start, one.end) == (entity.start, entity.end)]
    return not values or wanted in values


def _placed(step: UserStep) -> Sequence[EntityAnnotation] | None:
    """The entities that are marked in the text, or those listed beside it where their values stand in it."""
    if not step.entities:
        return step.annotations
    text, found = (step.text or "").lower(), []
    for entity in step.entities:
        value = str(entity.value).lower()
        start = text.find(value)
        if entity.value is None or not value or start < 0:
            return None
        found.append(EntityAnnotation(start, start + len(value), entity.entity, value, entity.role, entity.group))
    return found


def reports(results: Iterable[DialogueResult]) -> DialogueReports:
    results = tuple(results)
    actions = [action for result in results for action in result.actions]
    decisions = [(action.right, action.prediction.action) for action in actions]
    messages = [step for result in results for step in result.steps if isinstance(step, MessageResult)]
    understood = [pair for message in messages for pair in _understood(message)]
    return DialogueReports(results, _report(decisions), _report([*decisions, *understood]))


def _report(decisions: Sequence[tuple[str, str]]) -> LabelReport | None:
    return label_report([right for right, _ in decisions], [found for _, found in decisions]) if decisions else None


def _understood(message: MessageResult) -> Iterator[tuple[str, str]]:
    """Right and predicted: the intent, and each entity as it is written."""
    yield message.right_intent, message.intent
    placed = _placed(message.step)
    if placed is None:
        return
    right, found = (
        {(one.start, one.end): _written(message.text, one) for one in entities if one.end is not None}
        for entities in (placed, message.entities)
    )
    for place in sorted({*right, *found}):
        yield right.get(place, NOT_ANNOTATED), found.get(place, NOT_FOUND)


def _written(text: str, entity: EntityAnnotation | ExtractedEntity) -> str:
    """Without its role and group."""
    piece = text[entity.start : entity.end]
    marked = ExtractedEntity(entity=entity.entity, value=entity.value, start=0, end=len(piece))
    return annotated(piece, [marked])


def entity_report(results: Iterable[DialogueResult]) -> LabelReport | None:
    """Over the tokens of all messages; None where no test marks an entity."""
    messages = [step for result in results for step in result.steps if isinstance(step, MessageResult)]
    if not any(label != NO_ENTITY for message in messages for label in message.right_labels):
        return None
    right = [label for message in messages for label in message.right_labels]
    return label_report(right, [label for message in messages for label in message.labels], without=NO_ENTITY)
