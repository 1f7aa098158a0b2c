"""What the recorded conversations do not show of forms: failures on the way, and the narrow view that they need."""

from collections.abc import Callable
from typing import Any

import pytest
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.forms import FormLoop, question_for
from turnstream.action.loops import run_loop
from turnstream.action.scene import Scene
from turnstream.assistant.domain import REQUESTED_SLOT, Domain, Form, Slot
from turnstream.dialogue.events import (
    ActionExecuted,
    ActiveLoopChanged,
    BotUttered,
    Event,
    LoopInterrupted,
    SlotSet,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue

FORM = Form("trip_form", ("city", "day"))
DOMAIN = Domain(
    slots={name: Slot(name, "text") for name in ("city", "day", REQUESTED_SLOT)},
    actions=("validate_trip_form", "action_ask_city"),
    responses={"utter_ask_day": (), "utter_ask_city": ()},
    forms={"trip_form": FORM},
)
LISTEN = ActionExecuted(name="action_listen")

Answer = Callable[[Scene], list[Event]]


class FakeActions:
    """Runs what a test gives; anything else says its own name."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.seen: list[tuple[str, Scene]] = []

    async def run(self, name: str, scene: Scene) -> list[Event]:
        self.seen.append((name, scene))
        answer = self.answers.get(name)
        return answer(scene) if answer else [BotUttered(text=name)]

    async def extract(self, scene: Scene) -> list[Event]:
        return self.answers["extract"](scene) if "extract" in self.answers else []


def down(scene: Scene) -> list[Event]:
    raise ActionFailed("validate_trip_form", "the server is down")


def nothing(scene: Scene) -> list[Event]:
    return []


async def run_form(actions: FakeActions, *events: Event) -> tuple[list[Any], Scene]:
    dialogue = Dialogue("c", DOMAIN, events)
    scene = Scene(DOMAIN, dialogue.tracker, dialogue.events)
    done = await run_loop(FormLoop(FORM, run=actions.run, extract=actions.extract), scene)
    return [shown(e) for e in done], scene


def shown(event: Event) -> Any:
    if isinstance(event, SlotSet):
        return (event.name, event.value)
    if isinstance(event, ActiveLoopChanged):
        return f"loop {event.name}"
    return event.text if isinstance(event, BotUttered) else event.type_name


ASKED_FOR_DAY = (
    LISTEN,
    UserUttered(text="book"),
    ActionExecuted(name="trip_form"),
    ActiveLoopChanged(name="trip_form"),
    SlotSet(name="city", value="Rome"),
    SlotSet(name=REQUESTED_SLOT, value="day"),
    LISTEN,
)


async def test_a_validator_that_fails_empties_its_slots_and_asks_again() -> None:
    answer = (UserUttered(text="monday"), SlotSet(name="day", value="monday"))
    events, scene = await run_form(FakeActions(validate_trip_form=down), *ASKED_FOR_DAY, *answer)
    assert events == [("day", None), (REQUESTED_SLOT, "day"), "utter_ask_day"]
    assert [str(f) for f in scene.failures] == ["validate_trip_form: the server is down"]


async def test_a_validator_that_fails_at_activation_does_not_let_filled_slots_pass() -> None:
    filled = (SlotSet(name="city", value="Rome"), SlotSet(name="day", value="monday"))
    events, _ = await run_form(FakeActions(validate_trip_form=down), LISTEN, UserUttered(text="book"), *filled)
    assert events == ["loop trip_form", ("city", None), ("day", None), (REQUESTED_SLOT, "city"), "action_ask_city"]


async def test_a_form_that_only_its_validator_could_end_stays_open_while_that_fails() -> None:
    interrupted = (
        UserUttered(text="chat"),
        SlotSet(name="day", value="monday"),
        LoopInterrupted(is_interrupted=True),
    )
    events, _ = await run_form(FakeActions(validate_trip_form=down), *ASKED_FOR_DAY, *interrupted)
    assert events == []


async def test_what_the_extraction_says_when_a_form_starts_is_not_said_again() -> None:
    def extract(scene: Scene) -> list[Event]:
        return [BotUttered(text="I checked the city"), SlotSet(name="city", value="Rome")]

    actions = FakeActions(extract=extract, validate_trip_form=nothing)
    events, _ = await run_form(actions, LISTEN, UserUttered(text="book"))
    assert events == ["loop trip_form", ("city", "Rome"), (REQUESTED_SLOT, "day"), "utter_ask_day"]


async def test_a_question_that_fails_leaves_the_slot_requested() -> None:
    def fail(scene: Scene) -> list[Event]:
        raise ActionFailed("action_ask_city", "it broke")

    actions = FakeActions(action_ask_city=fail, validate_trip_form=nothing)
    events, scene = await run_form(actions, LISTEN, UserUttered(text="book"))
    assert events == ["loop trip_form", (REQUESTED_SLOT, "city")]
    assert [f.action for f in scene.failures] == ["action_ask_city"]


async def test_an_unanswered_question_rejects() -> None:
    actions = FakeActions(validate_trip_form=nothing)
    with pytest.raises(ActionRejected, match="'day'") as caught:
        await run_form(actions, *ASKED_FOR_DAY, UserUttered(text="what?"))
    assert caught.value.action == "trip_form"


async def test_the_validator_gets_its_candidates_after_the_form_and_the_slot_of_this_form() -> None:
    actions = FakeActions(validate_trip_form=nothing)
    answer = (UserUttered(text="monday"), SlotSet(name="day", value="monday"))
    await run_form(actions, *ASKED_FOR_DAY, *answer)
    name, scene = actions.seen[0]
    assert name == "validate_trip_form"
    assert [shown(e) for e in scene.events[-3:]] == [(REQUESTED_SLOT, "day"), "action", ("day", "monday")]
    assert scene.tracker.latest_action_name == "trip_form"


async def test_what_asks_is_sent_the_forms_run_so_far_after_its_execution() -> None:
    answer = (UserUttered(text="moonday"), SlotSet(name="day", value="moonday"))
    actions = FakeActions(validate_trip_form=lambda _: [SlotSet(name="day", value=None)])

    await run_form(actions, *ASKED_FOR_DAY, *answer)

    asked = actions.seen[-1][1]
    assert actions.seen[-1][0] == "utter_ask_day"
    assert asked.tracker.latest_action_name == "trip_form"
    assert [shown(e) for e in asked.events[-4:]] == [
        ("day", "moonday"),
        (REQUESTED_SLOT, "day"),
        "action",
        ("day", None),
    ]


async def test_what_asks_first_is_sent_that_nothing_was_requested_before() -> None:
    actions = FakeActions(validate_trip_form=nothing)

    await run_form(actions, LISTEN, UserUttered(text="book"), SlotSet(name=REQUESTED_SLOT, value="of another form"))

    asked = actions.seen[-1][1]
    assert actions.seen[-1][0] == "action_ask_city"
    assert (asked.active_loop, asked.tracker.slots[REQUESTED_SLOT]) == ("trip_form", None)
    assert [shown(e) for e in asked.events[-3:]] == [(REQUESTED_SLOT, None), "action", "loop trip_form"]


async def test_the_answer_alone_is_enough_history_for_a_form() -> None:
    dialogue = Dialogue("c", DOMAIN, ASKED_FOR_DAY)
    answer = (UserUttered(text="monday"), SlotSet(name="day", value="monday"))
    dialogue.extend(answer)
    actions = FakeActions(validate_trip_form=nothing)
    scene = Scene(DOMAIN, dialogue.tracker, answer)
    events = await run_loop(FormLoop(FORM, run=actions.run, extract=actions.extract), scene)
    assert [shown(e) for e in events] == [(REQUESTED_SLOT, None), "loop None"]


def test_the_forms_own_question_comes_first_and_an_action_before_a_response() -> None:
    scene = Scene(DOMAIN, Dialogue("c", DOMAIN).tracker)
    assert question_for("city", "trip_form", scene) == "action_ask_city"
    assert question_for("day", "trip_form", scene) == "utter_ask_day"
    assert question_for("nothing", "trip_form", scene) is None
