"""The two-stage fallback beyond its record: earlier turns, disturbed loops, an old fallback that was given up."""

from collections.abc import Sequence
from dataclasses import replace

from turnstream.action.dispatch import Actions
from turnstream.action.responses import DomainResponses
from turnstream.action.scene import Scene
from turnstream.assistant.domain import ACTION_REVERT_FALLBACK_EVENTS, ACTION_TWO_STAGE_FALLBACK, Domain
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    BotUttered,
    Event,
    IntentScore,
    ParseData,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import tracker_from_proto, tracker_to_proto

DOMAIN = Domain()
LISTEN = ActionExecuted(name="action_listen")
FALLBACK = ActionExecuted(name=ACTION_TWO_STAGE_FALLBACK)
STARTED = ActiveLoopChanged(name=ACTION_TWO_STAGE_FALLBACK)


def said(intent: str, *ranking: str) -> UserUttered:
    scores = tuple(IntentScore(name, 0.5) for name in ranking)
    return UserUttered(text=intent, parse_data=ParseData(intent, IntentScore(intent, 0.5), intent_ranking=scores))


async def run(events: Sequence[Event], action: str = ACTION_TWO_STAGE_FALLBACK) -> list[Event]:
    dialogue = Dialogue("c", DOMAIN, events)
    scene = Scene(DOMAIN, dialogue.tracker, dialogue.events)
    return await Actions(DOMAIN, DomainResponses(DOMAIN), {}).run(action, scene)


GREETED = (LISTEN, said("greet"), ActionExecuted(name="utter_greet"), LISTEN)
ASKED = (*GREETED, said("nlu_fallback", "nlu_fallback", "bye"), FALLBACK, STARTED, LISTEN)


async def test_the_best_guess_is_asked_for() -> None:
    events = await run([*GREETED, said("nlu_fallback", "nlu_fallback", "bye")])
    assert events[0] == STARTED
    assert isinstance(events[1], BotUttered)
    assert events[1].text == "Did you mean 'bye'?"
    assert [b["payload"] for b in events[1].data["buttons"]] == ["/bye", "/out_of_scope"]


async def test_a_clear_answer_takes_the_place_of_the_unclear_message_and_earlier_turns_stay() -> None:
    events = [*ASKED, said("bye")]
    made = await run(events)
    dialogue = Dialogue("c", DOMAIN, [*events, FALLBACK, *made])
    told = [e for e in dialogue.applied_events() if isinstance(e, UserUttered)]
    assert [e.parse_data.intent for e in told] == [IntentScore("greet", 0.5), IntentScore("bye", 1.0)]
    assert dialogue.tracker.active_loop is None
    assert dialogue.tracker.latest_action_name == "action_listen"


async def test_a_clear_answer_keeps_what_its_channel_told_of_it() -> None:
    """The tracker that comes with a call does not tell it of the latest message; the events do."""
    events = [*ASKED, replace(said("bye"), metadata={"is_external": True})]
    dialogue = Dialogue("c", DOMAIN, events)
    tracker = tracker_from_proto(tracker_to_proto(dialogue.tracker))
    scene = Scene(DOMAIN, tracker, dialogue.events)
    made = await Actions(DOMAIN, DomainResponses(DOMAIN), {}).run(ACTION_TWO_STAGE_FALLBACK, scene)
    assert made[-1].metadata == {"is_external": True}


async def test_a_disturbed_loop_is_taken_back_whole() -> None:
    disturbed = [*ASKED, said("out_of_scope"), ActionExecuted(name="utter_chat"), FALLBACK, LISTEN, said("bye")]
    made = await run(disturbed)
    told = Dialogue("c", DOMAIN, [*disturbed, FALLBACK, *made]).applied_events()
    intents = [e.parse_data.intent.name for e in told if isinstance(e, UserUttered)]
    assert intents == ["greet", "bye"]


async def test_a_second_wrong_guess_gives_up() -> None:
    turns = [*ASKED, said("out_of_scope"), FALLBACK, LISTEN, said("nlu_fallback"), FALLBACK, LISTEN]
    events = await run([*turns, said("out_of_scope")])
    assert [e.type_name for e in events] == ["active_loop", "rewind"]


async def test_an_earlier_fallback_does_not_count_against_a_new_one() -> None:
    given_up = [*ASKED, said("nlu_fallback"), FALLBACK, ActiveLoopChanged(name=None), UserUtteranceReverted(), LISTEN]
    events = await run([*given_up, said("nlu_fallback")])
    assert [e.type_name for e in events] == ["active_loop", "bot"]
    assert events[0] == STARTED


async def test_a_message_that_a_form_took_unclear_is_the_first_of_two() -> None:
    """As Rasa records it: the second unclear message in a row gives up at once, also where no question was asked."""
    in_form = [*GREETED, ActiveLoopChanged(name="f"), said("nlu_fallback"), ActionExecuted(name="f"), LISTEN]
    events = await run([*in_form, said("nlu_fallback")])
    assert [e.type_name for e in events] == ["active_loop", "active_loop", "rewind"]


async def test_messages_before_a_restart_do_not_count() -> None:
    events = await run([LISTEN, said("nlu_fallback"), Restarted(), LISTEN, said("nlu_fallback")])
    assert [e.type_name for e in events] == ["active_loop", "bot"]


async def test_fallback_events_are_reverted_without_the_loop_too() -> None:
    events = [*GREETED, said("nlu_fallback"), ActionExecuted(name="action_default_ask_rephrase"), LISTEN, said("bye")]
    made = await run(events, ACTION_REVERT_FALLBACK_EVENTS)
    executed = ActionExecuted(name=ACTION_REVERT_FALLBACK_EVENTS)
    told = Dialogue("c", DOMAIN, [*events, executed, *made]).applied_events()
    assert [e.parse_data.intent.name for e in told if isinstance(e, UserUttered)] == ["greet", "bye"]


async def test_nothing_is_reverted_after_a_message_that_was_understood() -> None:
    assert await run([*GREETED, said("bye")], ACTION_REVERT_FALLBACK_EVENTS) == []
    assert await run([LISTEN, said("greet")], ACTION_REVERT_FALLBACK_EVENTS) == []
