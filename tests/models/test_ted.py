"""TED and UnexpecTED on a few dialogues."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from turnstream.assistant.components import TEDPolicyOptions, UnexpecTEDIntentPolicyOptions
from turnstream.dialogue.state import DialogueState
from turnstream.features.states import StateEncoder
from turnstream.models.dialogue_data import dialogue_data, intent_data, padded_dialogues
from turnstream.models.ted import TrainedTed, train_ted
from turnstream.models.unexpected_intent import TrainedUnexpectedIntent, thresholds_of, train_unexpected_intent

LISTEN = "action_listen"
ACTIONS = (LISTEN, "utter_greet", "utter_bye", "utter_again")
INTENTS = ("greet", "bye")
ENCODER = StateEncoder([*(f"intent:{name}" for name in INTENTS), *(f"action:{name}" for name in ACTIONS)])


def dialogue(*intents: str) -> tuple[list[DialogueState], list[str | None]]:
    """Greets once, then says so; the first listening is not to be predicted."""
    states, actions = [DialogueState()], [None]
    greeted = False
    for intent in intents:
        answer = "utter_bye" if intent == "bye" else "utter_again" if greeted else "utter_greet"
        greeted = greeted or intent == "greet"
        states.append(DialogueState(intent=intent, previous_action=LISTEN))
        states.append(DialogueState(intent=intent, previous_action=answer))
        actions += [answer, LISTEN]
    return states, actions


DIALOGUES = [dialogue("greet", "greet", "bye"), dialogue("greet", "bye"), dialogue("bye")]
SMALL = {
    "transformer_size": {"dialogue": 16},
    "number_of_transformer_layers": {"dialogue": 1},
    "number_of_attention_heads": 2,
    "dense_dimension": dict.fromkeys(("intent", "entities", "action_name", "slots", "active_loop"), 4),
    "batch_size": 4,
    "random_seed": 3,
    "learning_rate": 0.01,
}


def ted_options(**changes: object) -> TEDPolicyOptions:
    return TEDPolicyOptions(**{**SMALL, "epochs": 2, "max_history": 4, **changes})  # type: ignore[arg-type]


def examples(window: int | None) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[str]]:
    inputs, wanted = [], []
    for states, actions in DIALOGUES:
        ids, weights = ENCODER.encode(states)
        for i, action in enumerate(actions):
            if action is not None:
                start = 0 if window is None else max(0, i + 1 - window)
                inputs.append((ids[start : i + 1], weights[start : i + 1]))
                wanted.append(action)
    return inputs, wanted


def test_max_history_slices_and_keeps_equal_examples_once() -> None:
    data = dialogue_data(DIALOGUES, ENCODER, ACTIONS, 1)
    assert all(len(sequence) == 1 for sequence in data.sequences)
    assert len(data.sequences) == len(
        {(int(s[0]), int(label[0])) for s, label in zip(data.sequences, data.labels, strict=True)}
    )
    whole = dialogue_data(DIALOGUES, ENCODER, ACTIONS, None)
    assert [len(sequence) for sequence in whole.sequences] == [7, 5, 3]
    assert whole.labels[2].tolist() == [-1, ACTIONS.index("utter_bye"), 0]
    with pytest.raises(ValueError, match="'utter_again', which is not among"):
        dialogue_data(DIALOGUES, ENCODER, ACTIONS[:2], 4)


@pytest.mark.parametrize("window", [4, None])
def test_learns_what_depends_on_the_past_exports_and_comes_back(window: int | None, tmp_path: Path) -> None:
    data = dialogue_data(DIALOGUES, ENCODER, ACTIONS, window)
    model = train_ted(data, ted_options(epochs=80, max_history=window))
    inputs, wanted = examples(window)
    scores = model.predict(inputs)["scores"]
    assert [ACTIONS[i] for i in scores.argmax(1)] == wanted
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=1e-5)
    model.save(tmp_path / "saved")
    np.testing.assert_allclose(TrainedTed.load(tmp_path / "saved").predict(inputs)["scores"], scores, atol=1e-6)
    model.export(tmp_path / "ted" / "1")
    served = tf.saved_model.load(str(tmp_path / "ted" / "1")).signatures["serving_default"]
    # At batch 32 and at batch 1.
    many = [inputs[i % len(inputs)] for i in range(32)]
    expected = model.predict(many, batch_size=5)["scores"]
    padded = {name: tf.constant(value) for name, value in padded_dialogues(many).items()}
    np.testing.assert_allclose(served(**padded)["scores"], expected, atol=1e-5)
    for row in range(len(inputs)):
        one = {name: tf.constant(value) for name, value in padded_dialogues(inputs[row : row + 1]).items()}
        np.testing.assert_allclose(served(**one)["scores"][0], expected[row], atol=1e-5)


def test_same_seed_gives_the_same_weights() -> None:
    data = dialogue_data(DIALOGUES, ENCODER, ACTIONS, 4)
    first, second = (train_ted(data, ted_options()).network.variables for _ in range(2))
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(first, second, strict=True))


def test_ranking_length_leaves_only_the_best() -> None:
    data = dialogue_data(DIALOGUES, ENCODER, ACTIONS, 4)
    model = train_ted(data, ted_options(ranking_length=2, renormalize_confidences=True))
    scores = model.predict(examples(4)[0])["scores"]
    assert ((scores > 0).sum(1) == 2).all()
    np.testing.assert_allclose(scores.sum(1), 1.0, atol=1e-5)


def test_held_out_dialogues_are_evaluated() -> None:
    seen = []
    data = dialogue_data(DIALOGUES, ENCODER, ACTIONS, 4)
    train_ted(data, ted_options(evaluate_on_number_of_examples=2), progress=seen.append)
    assert set(seen[-1].validation) == {"accuracy", "loss"}


def test_intent_data_collects_all_intents_that_follow_the_same_states() -> None:
    data = intent_data([states for states, _ in DIALOGUES], ENCODER, INTENTS, 4)
    assert data.label_sets[0] == (0, 1)
    assert len(data.sequences[0]) == 1
    assert sum(len(labels) for labels in data.label_sets) == 5


def test_unexpected_intents_are_less_similar_than_the_threshold(tmp_path: Path) -> None:
    options = UnexpecTEDIntentPolicyOptions(**{**SMALL, "epochs": 80, "max_history": 4})  # type: ignore[arg-type]
    stories = [dialogue("greet", "bye"), dialogue("greet", "bye", "bye")]
    model = train_unexpected_intent(intent_data([s for s, _ in stories], ENCODER, INTENTS, 4), options)
    model.save(tmp_path / "saved")
    model = TrainedUnexpectedIntent.load(tmp_path / "saved")
    model.export(tmp_path / "unexpected_intent" / "1")
    served = tf.saved_model.load(str(tmp_path / "unexpected_intent" / "1")).signatures["serving_default"]
    start = padded_dialogues([ENCODER.encode([DialogueState()])])
    found = served(**{name: tf.constant(value) for name, value in start.items()})["similarities"][0].numpy()
    assert found[0] >= model.thresholds["greet"] - 1e-5
    assert found[1] <= model.thresholds["bye"] + 1e-5
    greeted = model.predict([ENCODER.encode(stories[0][0][:3])])["similarities"][0]
    assert greeted[1] > model.thresholds["bye"] + 0.1


def test_threshold_is_a_quantile_of_the_wrong_below_the_least_right() -> None:
    similarities = np.array([[1.0], [0.6], [0.9], [0.5], [0.1]], np.float32)
    sets = [(0,), (0,), (), (), ()]
    assert thresholds_of(similarities, sets, 0.0)[0] == pytest.approx(0.6)
    assert thresholds_of(similarities, sets, 0.5)[0] == pytest.approx(0.5)
    assert thresholds_of(similarities, sets, 1.0)[0] == pytest.approx(0.1)
    assert thresholds_of(similarities[:2], sets[:2], 1.0)[0] == pytest.approx(0.6)


def test_nothing_to_learn_is_refused() -> None:
    with pytest.raises(ValueError, match="no dialogues"):
        train_ted(dialogue_data([], ENCODER, ACTIONS, 4), ted_options())
