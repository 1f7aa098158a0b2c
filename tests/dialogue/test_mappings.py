"""Which slots a message fills: as recorded, and rule by rule."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.records import conversations, load_record, record_files, record_name
from turnstream.assistant.domain import Domain, Entity, Form, Intent, MappingCondition, Slot, SlotMapping
from turnstream.dialogue import events as ev
from turnstream.dialogue import mappings
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.rasa_json import event_from_rasa
from turnstream.dialogue.tracker import ActiveLoop, Tracker

RECORDS = [path for path in record_files() if load_record(path).get("conversations")]

VALIDATED = {
    # action_validate_slot_mappings empties the slot after its mapping has filled it.
    "forms/validate-plain-action": [
        """'/inform{"city": "no"}': [('city', 'no')], recorded [('city', 'no'), ('city', None)]"""
    ]
}


@pytest.mark.parametrize("path", RECORDS, ids=record_name)
def test_a_message_fills_the_slots_that_it_filled_in_rasa(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(path.parent))
    found = []
    for conversation in conversations(path):
        dialogue = Dialogue("c", conversation.domain)
        for turn in conversation.turns:
            # Events that a client appends are not followed by an extraction.
            posted = isinstance(turn.record.get("step"), dict) and "events" in turn.record["step"]
            events = [event_from_rasa(e) for e in turn.events]
            for place, event in enumerate(events):
                dialogue.append(event)
                if isinstance(event, ev.UserUttered) and not posted:
                    found += differences(dialogue, event, events[place + 1 :])
    assert found == VALIDATED.get(record_name(path), [])


def differences(dialogue: Dialogue, message: ev.UserUttered, later: list[ev.Event]) -> list[str]:
    recorded = [(e.name, e.value) for e in leading_slot_sets(later)]
    extraction = mappings.extract(dialogue.domain, dialogue.tracker, message)
    custom = {c.slot for c in extraction.custom}
    expected = [(s.name, s.value) for s in extraction.slot_sets]
    recorded = [pair for pair in recorded if pair[0] not in custom]
    return [] if expected == recorded else [f"{message.text!r}: {expected}, recorded {recorded}"]


def leading_slot_sets(events: list[ev.Event]) -> list[ev.SlotSet]:
    found = []
    for event in events:
        if not isinstance(event, ev.SlotSet):
            break
        found.append(event)
    return found


def at_activation(domain: Domain, tracker: Tracker, form: str) -> list[ev.SlotSet]:
    """What the latest message fills once more as the form starts."""
    said = tracker.latest_message
    if said is None:
        return []
    active = replace(tracker, active_loop=ActiveLoop(form, trigger_message=said.parse_data))
    return mappings.extract(domain, active, said).slot_sets


@pytest.mark.parametrize("path", RECORDS, ids=record_name)
def test_a_form_that_starts_fills_what_it_filled_in_rasa(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a validator the slot events after `active_loop` are those of the second extraction."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(path.parent))
    found = []
    for conversation in conversations(path):
        if (path.parent / "actions.py").exists():
            continue
        dialogue = Dialogue("c", conversation.domain)
        for turn in conversation.turns:
            events = [event_from_rasa(e) for e in turn.events]
            for place, event in enumerate(events):
                started = isinstance(event, ev.ActiveLoopChanged) and event.name in conversation.domain.forms
                if started and isinstance(events[place - 1], ev.ActionExecuted) and event.name is not None:
                    filled = at_activation(dialogue.domain, dialogue.tracker, event.name)
                    recorded = [s for s in leading_slot_sets(events[place + 1 :]) if s.name != "requested_slot"]
                    if [(s.name, s.value) for s in filled] != [(s.name, s.value) for s in recorded]:
                        found.append(f"{event.name}: {filled}, recorded {recorded}")
                dialogue.append(event)
    assert found == []


CITY = SlotMapping("from_entity", entity="city")


def domain(*slots: Slot, required: tuple[str, ...] = (), ignored: tuple[str, ...] = ()) -> Domain:
    return Domain(
        intents={name: Intent(name) for name in ("inform", "greet", "deny", "faq")},
        entities={name: Entity(name) for name in ("city", "town")},
        slots={slot.name: slot for slot in slots},
        forms={"trip_form": Form("trip_form", required, ignored), "other_form": Form("other_form")},
    )


def message(intent: str, *entities: ev.ExtractedEntity, text: str = "text") -> ev.UserUttered:
    return ev.UserUttered(text=text, parse_data=ev.ParseData(text, ev.IntentScore(intent), entities=entities))


def city(value: Any, role: str | None = None, group: str | None = None) -> ev.ExtractedEntity:
    return ev.ExtractedEntity("city", value, role=role, group=group)


def filled(domain: Domain, said: ev.UserUttered, loop: ActiveLoop | None = None, **slots: Any) -> dict[str, Any]:
    tracker = Tracker("c", slots=slots, active_loop=loop, latest_message=said)
    return {s.name: s.value for s in mappings.extract(domain, tracker, said).slot_sets}


IN_FORM = ActiveLoop("trip_form")


def test_the_last_of_several_values_fills_a_slot_and_all_of_them_a_list() -> None:
    both = domain(Slot("one", "text", (CITY,)), Slot("all", "list", (CITY,)))
    assert filled(both, message("inform", city("Rome"), city("Oslo"))) == {"one": "Oslo", "all": ["Rome", "Oslo"]}


def test_role_and_group_must_be_those_of_the_mapping_exactly() -> None:
    to = SlotMapping("from_entity", entity="city", role="to")
    first = SlotMapping("from_entity", entity="city", group="1")
    slots = domain(Slot("plain", "text", (CITY,)), Slot("to", "text", (to,)), Slot("first", "text", (first,)))
    assert filled(slots, message("inform", city("Rome", role="to"))) == {"to": "Rome"}
    assert filled(slots, message("inform", city("Rome", group="1"))) == {"first": "Rome"}
    assert filled(slots, message("inform", city("Rome"))) == {"plain": "Rome"}
    assert filled(slots, message("inform", city("Rome", role="to", group="1"))) == {}


def test_the_first_mapping_that_gives_a_value_wins() -> None:
    town = SlotMapping("from_entity", entity="town")
    slots = domain(Slot("place", "text", (CITY, town, SlotMapping("from_text"))))
    assert filled(slots, message("inform", ev.ExtractedEntity("town", "Ulm"), city("Rome"))) == {"place": "Rome"}
    assert filled(slots, message("inform", ev.ExtractedEntity("town", "Ulm"))) == {"place": "Ulm"}
    assert filled(slots, message("inform", text="here")) == {"place": "here"}


def test_a_null_entity_empties_a_set_slot_and_is_passed_over_otherwise() -> None:
    slots = domain(Slot("place", "text", (CITY, SlotMapping("from_intent", intents=("inform",), value="home"))))
    assert filled(slots, message("inform", city(None)), place="Rome") == {"place": None}
    assert filled(slots, message("inform", city(None)), place=None) == {"place": "home"}


@pytest.mark.parametrize(
    ("mapping", "intent", "fits"),
    [
        (replace(CITY, intents=("inform",)), "inform", True),
        (replace(CITY, intents=("inform", "greet")), "deny", False),
        (replace(CITY, not_intents=("deny",)), "deny", False),
        (replace(CITY, not_intents=("deny",)), "inform", True),
        (replace(CITY, intents=("deny",), not_intents=("deny",)), "deny", True),
        (replace(CITY, intents=("faq",)), "faq", True),
        # From outside, where no selector has split the name.
        (replace(CITY, intents=("faq",)), "faq/ask", False),
        (replace(CITY, intents=("faq/ask",)), "faq/ask", False),
        (replace(CITY, not_intents=("faq/ask",)), "faq/ask", True),
    ],
)
def test_intents_of_a_mapping(mapping: SlotMapping, intent: str, fits: bool) -> None:
    slots = domain(Slot("place", "text", (mapping,)))
    assert bool(filled(slots, message(intent, city("Rome")))) is fits


def test_ignored_intents_count_in_their_form_unless_the_mapping_names_them() -> None:
    named = SlotMapping("from_intent", intents=("deny",), value="no")
    elsewhere = replace(CITY, conditions=(MappingCondition("other_form"), MappingCondition(None)))
    slots = domain(Slot("place", "text", (CITY,)), Slot("said", "text", (named,)), ignored=("deny",))
    said = message("deny", city("Rome"))
    assert filled(slots, said, IN_FORM) == {"said": "no"}
    assert filled(slots, said) == {"place": "Rome", "said": "no"}
    assert filled(domain(Slot("place", "text", (elsewhere,)), ignored=("deny",)), said) == {"place": "Rome"}


@pytest.mark.parametrize(
    ("condition", "loop", "requested", "fits"),
    [
        (MappingCondition(None), None, None, True),
        (MappingCondition(None), IN_FORM, None, False),
        (MappingCondition("trip_form"), IN_FORM, None, True),
        (MappingCondition("trip_form"), None, None, False),
        (MappingCondition("trip_form", "place"), IN_FORM, "place", True),
        (MappingCondition("trip_form", "place"), IN_FORM, "other", False),
        (MappingCondition(None, "place", has_active_loop=False), None, "other", True),
        (MappingCondition(None, "place", has_active_loop=False), IN_FORM, "place", False),
        (MappingCondition("trip_form"), ActiveLoop("trip_form", rejected=True), "place", False),
        (MappingCondition("trip_form"), ActiveLoop("trip_form", rejected=True), "other", True),
    ],
)
def test_conditions(condition: MappingCondition, loop: ActiveLoop | None, requested: str | None, fits: bool) -> None:
    slots = domain(Slot("place", "text", (replace(CITY, conditions=(condition,)),)))
    assert bool(filled(slots, message("inform", city("Rome")), loop, requested_slot=requested)) is fits


def test_a_trigger_intent_fills_in_a_running_form_only_and_where_it_has_conditions_only_in_theirs() -> None:
    trigger = SlotMapping("from_trigger_intent", intents=("inform",), value="v")
    here = replace(trigger, conditions=(MappingCondition("trip_form", "never"),))
    there = replace(trigger, conditions=(MappingCondition("other_form"),))
    slots = domain(Slot("any", "text", (trigger,)), Slot("here", "text", (here,)), Slot("there", "text", (there,)))
    assert filled(slots, message("inform")) == {}
    assert filled(slots, message("greet"), IN_FORM) == {}
    assert filled(slots, message("inform"), IN_FORM) == {"any": "v", "here": "v"}
    assert at_activation(slots, tracker_with(message("inform")), "trip_form") == [
        ev.SlotSet(name="any", value="v"),
        ev.SlotSet(name="here", value="v"),
    ]


def tracker_with(said: ev.UserUttered | None) -> Tracker:
    return Tracker("c", latest_message=said)


def test_an_entity_that_two_slots_of_the_form_want_alike_fills_the_one_that_was_asked() -> None:
    by_intent = replace(CITY, intents=("inform",))
    slots = domain(
        Slot("origin", "text", (CITY,)),
        Slot("target", "text", (CITY,)),
        Slot("via", "text", (by_intent,)),
        Slot("outside", "text", (CITY,)),
        required=("origin", "target", "via"),
    )
    said = message("inform", city("Rome"))
    assert filled(slots, said, IN_FORM, requested_slot="target") == {"target": "Rome", "via": "Rome", "outside": "Rome"}
    assert filled(slots, said, ActiveLoop("other_form")).keys() == {"origin", "target", "via", "outside"}
    assert filled(slots, said).keys() == {"origin", "target", "via", "outside"}


def test_mappings_are_alike_where_they_are_written_alike() -> None:
    """`intent: inform` and `intent: [inform]` say the same, but an entity fills both slots."""
    written = replace(CITY, intents=("inform",), written='{"intent": "inform"}')
    as_a_list = replace(written, written='{"intent": ["inform"]}')
    said = message("inform", city("Rome"))
    different = domain(Slot("a", "text", (written,)), Slot("b", "text", (as_a_list,)), required=("a", "b"))
    assert filled(different, said, IN_FORM) == {"a": "Rome", "b": "Rome"}
    alike = domain(Slot("a", "text", (written,)), Slot("b", "text", (written,)), required=("a", "b"))
    assert filled(alike, said, IN_FORM) == {}


def test_mappings_of_what_the_domain_does_not_have_are_left_out() -> None:
    gone = SlotMapping("from_entity", entity="village")
    unheard = SlotMapping("from_intent", intents=("whisper",), value=1)
    slots = domain(Slot("place", "text", (gone, CITY)), Slot("said", "any", (unheard,)))
    said = message("whisper", ev.ExtractedEntity("village", "X"), city("Rome"))
    assert filled(slots, said) == {"place": "Rome"}


def test_custom_mappings_name_each_action_once_and_only_where_they_apply() -> None:
    custom = SlotMapping("custom", action="action_find")
    in_form = replace(custom, action="action_in_form", conditions=(MappingCondition("trip_form"),))
    slots = domain(
        Slot("a", "any", (custom,)),
        Slot("b", "any", (custom, CITY)),
        Slot("c", "any", (in_form,)),
        Slot("d", "any", (SlotMapping("custom"),)),
    )
    said = message("inform", city("Rome"))
    extraction = mappings.extract(slots, tracker_with(said), said)
    assert extraction.steps == (mappings.CustomExtraction("a", "action_find"), ev.SlotSet(name="b", value="Rome"))
    active = replace(tracker_with(said), active_loop=IN_FORM)
    assert [c.action for c in mappings.extract(slots, active, said).custom] == ["action_find", "action_in_form"]


def test_built_in_slots_are_never_filled() -> None:
    slots = domain(Slot("requested_slot", "any", (CITY,)), Slot("session_started_metadata", "any", (CITY,)))
    assert filled(slots, message("inform", city("Rome"))) == {}
