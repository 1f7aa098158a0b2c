"""Dialogue states as padded rows."""

import json

import pytest
from turnstream.assistant.domain import Domain, Entity, Form, Intent, Slot
from turnstream.dialogue.state import DialogueState, SlotFeature
from turnstream.features.states import StateEncoder
from turnstream.features.store import Attribute

DOMAIN = Domain(
    intents={name: Intent(name) for name in ("greet", "ask_city")},
    entities={"city": Entity("city", roles=("to",), groups=("1",))},
    slots={"seen": Slot("seen", "bool"), "hidden": Slot("hidden", "text", influence_conversation=False)},
    actions=("utter_ask_city", "utter_ask_date"),
    forms={"trip_form": Form("trip_form")},
)
STATE = DialogueState(
    intent="ask_city",
    entities=("city", "city#to"),
    previous_action="action_listen",
    active_loop="trip_form",
    slots=(SlotFeature("seen", (1.0, 0.0)),),
)


def features(encoder: StateEncoder, state: DialogueState) -> dict[str, float]:
    names = ["", *encoder.to_json()["features"]]
    ids, weights = encoder.encode([state])
    return {names[i]: float(w) for i, w in zip(ids[0], weights[0], strict=True) if i}


def test_every_part_of_a_state_counts() -> None:
    found = features(StateEncoder.of(DOMAIN, words=False), STATE)
    assert found == {
        "intent:ask_city": 1.0,
        "entity:city": 1.0,
        "entity:city#to": 1.0,
        "action:action_listen": 1.0,
        "loop:trip_form": 1.0,
        "slot:seen:0": 1.0,
    }


def test_names_share_their_words_within_a_kind() -> None:
    encoder = StateEncoder.of(DOMAIN)
    city = features(encoder, DialogueState(previous_action="utter_ask_city"))
    date = features(encoder, DialogueState(previous_action="utter_ask_date"))
    assert set(city) & set(date) == {"action~utter", "action~ask"}


def test_the_user_message_counts_only_right_after_listening() -> None:
    later = DialogueState(intent="greet", entities=("city",), previous_action="utter_ask_city")
    assert all(name.startswith("action") for name in features(StateEncoder.of(DOMAIN), later))


def test_rows_are_padded_to_the_widest_and_an_empty_state_is_all_padding() -> None:
    ids, weights = StateEncoder.of(DOMAIN).encode([DialogueState(), STATE])
    assert ids.shape == weights.shape
    assert not ids[0].any()
    assert (ids[1] > 0).all()
    assert ids.max() <= StateEncoder.of(DOMAIN).size


def test_unknown_names_and_slots_without_influence_are_left_out() -> None:
    state = DialogueState(intent="unheard_of", previous_action="action_listen", slots=(SlotFeature("hidden", (1.0,)),))
    assert set(features(StateEncoder.of(DOMAIN, words=False), state)) == {"action:action_listen"}


def test_json_round_trip_keeps_the_ids_and_damage_is_refused() -> None:
    encoder = StateEncoder.of(DOMAIN)
    again = StateEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again.encode([STATE])[0].tolist() == encoder.encode([STATE])[0].tolist()
    for data in ({}, {"features": [1]}, {"features": ["a", "a"]}):
        with pytest.raises(ValueError, match="features"):
            StateEncoder.from_json(data)


def test_what_the_assistant_said_in_words_has_an_id_beyond_the_names() -> None:
    plain = StateEncoder.of(DOMAIN, words=False)
    encoder = plain.with_action_texts(["where to?", "bye then"])
    spoken = DialogueState(intent="greet", previous_action_text="bye then")
    assert encoder.encode([spoken])[0].tolist() == [[encoder.size + 2]]
    assert not plain.encode([spoken])[0].any()
    assert StateEncoder.from_json(json.loads(json.dumps(encoder.to_json()))).encode([spoken])[0].tolist() == [
        [plain.size + 2]
    ]


def test_a_growing_conversation_computes_each_name_once() -> None:
    encoder = StateEncoder.of(DOMAIN)
    states = [STATE]
    for _ in range(5):
        encoder.encode(states)
        states = [*states, DialogueState(previous_action="utter_ask_city"), STATE]
    assert encoder.store.values(Attribute.INTENT) == ("ask_city",)
    assert encoder.store.values(Attribute.ACTION_NAME) == ("utter_ask_city", "action_listen")
    assert encoder.store.computed == len(encoder.store)
