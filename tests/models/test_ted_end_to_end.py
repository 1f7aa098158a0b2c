"""TED on end-to-end stories: what is said decides, texts are answers, and entities are found in texts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.tiny_texts import features_of, spec_of
from turnstream.assistant.components import TEDPolicyOptions
from turnstream.dialogue.state import DialogueState
from turnstream.features.arrays import FeatureSpec, TextFeatures
from turnstream.features.states import StateEncoder
from turnstream.features.story_texts import SaidText, said_texts, text_inputs
from turnstream.models.dialogue_data import TedData, dialogue_data, padded_dialogues
from turnstream.models.randomness import Noise
from turnstream.models.story_texts import StoryTexts, TextSizes
from turnstream.models.ted import TrainedTed, train_ted
from turnstream.models.ted_task import EndToEndTask
from turnstream.models.weights import WeightsError

LISTEN = "action_listen"
WHERE, BYE = "go to paris", "see you"
"""What the assistant says in its own words."""
ACTIONS = (LISTEN, "utter_greet", WHERE, BYE)
ENCODER = StateEncoder(["intent:greet", *(f"action:{name}" for name in ACTIONS[:2])])
SERVED_ENCODER = ENCODER.with_action_texts([WHERE, BYE])
TAGS = ("O", "U-city")
STORIES = (
    ("greet", "utter_greet"),
    ("fly to paris", WHERE),
    ("fly to rome", WHERE),
    ("bye", BYE),
    ("see you later", BYE),
)
SMALL = {
    "transformer_size": {"dialogue": 16, "text": 8, "action_text": 8, "label_action_text": 8},
    "number_of_transformer_layers": {"dialogue": 1, "text": 1, "action_text": 0, "label_action_text": 0},
    "number_of_attention_heads": 2,
    "encoding_dimension": 8,
    "connection_density": 1.0,
    "dense_dimension": {
        **dict.fromkeys(("intent", "entities", "action_name", "slots", "active_loop", "label_action_name"), 4),
        **dict.fromkeys(("text", "action_text", "label_action_text"), 8),
    },
    "batch_size": 16,
    "random_seed": 3,
    "learning_rate": 0.03,
}
Dialogue = tuple[list[DialogueState], list[str | None]]


def said(message: str) -> DialogueState:
    by_intent = message == "greet"
    return DialogueState(
        intent="greet" if by_intent else None, user_text=None if by_intent else message, previous_action=LISTEN
    )


def done(action: str) -> DialogueState:
    is_text = action in (WHERE, BYE)
    return DialogueState(previous_action=None if is_text else action, previous_action_text=action if is_text else None)


def dialogue(*turns: tuple[str, str]) -> Dialogue:
    states, actions = [DialogueState()], [None]
    for message, answer in turns:
        states += [said(message), replace(done(answer), user_text=said(message).user_text)]
        actions += [answer, LISTEN]
    return states, actions


def texts(dense: bool = False, tags: tuple[str, ...] = TAGS, actions: Sequence[str] = (WHERE, BYE)) -> StoryTexts:
    users = [message for message, _ in STORIES if message != "greet"]
    spec = spec_of(dense=dense)
    marked = {text: np.array([0, 0, 1], np.int32) for text in ("fly to paris", "fly to rome")} if tags else {}
    return StoryTexts(
        TextSizes(spec, spec, tuple(actions), tags),
        {text: features_of(text, dense=dense) for text in users},
        {text: features_of(text, dense=dense) for text in actions},
        marked,
    )


DIALOGUES = [dialogue(turn) for turn in STORIES] + [dialogue(*STORIES), dialogue(*reversed(STORIES))]


def data_of(window: int | None = 4, *, dense: bool = False, spoken: StoryTexts | None = None) -> TedData:
    return dialogue_data(DIALOGUES, ENCODER, ACTIONS, window, spoken or texts(dense))


def options(**changes: object) -> TEDPolicyOptions:
    return TEDPolicyOptions(**{**SMALL, "epochs": 2, "max_history": 4, **changes})  # type: ignore[arg-type]


Encoded = tuple[np.ndarray, np.ndarray, list[SaidText]]


def encoded(states: Sequence[DialogueState], *, dense: bool = False) -> Encoded:
    featurize: Callable[[str], TextFeatures] = lambda text: features_of(text, dense=dense)  # noqa: E731
    return (*SERVED_ENCODER.encode(states), said_texts(states, featurize))


def examples(window: int, *, dense: bool = False) -> tuple[list[Encoded], list[str]]:
    inputs, wanted = [], []
    for states, actions in DIALOGUES:
        for i, action in enumerate(actions):
            if action is not None:
                start = max(0, i + 1 - window)
                inputs.append(encoded(states[start : i + 1], dense=dense))
                wanted.append(action)
    return inputs, wanted


def served(dialogues: Sequence[Encoded], spec: FeatureSpec) -> dict[str, np.ndarray]:
    states = padded_dialogues([(ids, weights) for ids, weights, _ in dialogues])
    return {**states, **text_inputs([texts for _, _, texts in dialogues], spec)}


@pytest.fixture(scope="module")
def trained() -> TrainedTed:
    return train_ted(data_of(), options(epochs=60))


def test_learns_what_is_said_in_words_and_finds_entities(trained: TrainedTed) -> None:
    inputs, wanted = examples(4)
    outputs = trained.predict(inputs)
    assert [ACTIONS[i] for i in outputs["scores"].argmax(1)] == wanted
    np.testing.assert_allclose(outputs["scores"].sum(1), 1.0, atol=1e-5)
    flights = trained.predict([encoded([DialogueState(), said(f"fly to {city}")]) for city in ("paris", "rome")])
    assert flights["entity_tags"][:, 0].tolist() == [[0, 0, 1]] * 2
    later = trained.predict([encoded([DialogueState(), said("fly to paris"), done(WHERE)])])
    assert not later["entity_tags"].any()


def check_export(model: TrainedTed, dense: bool, folder: Path) -> None:
    inputs, _ = examples(4, dense=dense)
    inputs = [inputs[i % len(inputs)] for i in range(32)]
    expected = model.predict(inputs, batch_size=5)
    model.export(folder / "ted" / "1")
    signature = tf.saved_model.load(str(folder / "ted" / "1")).signatures["serving_default"]

    def ask(some: Sequence[Encoded]) -> dict[str, np.ndarray]:
        given = {name: tf.constant(value) for name, value in served(some, spec_of(dense=dense)).items()}
        return {name: value.numpy() for name, value in signature(**given).items()}

    many = ask(inputs)
    assert set(many) == {"scores", "similarities", "entity_tags", "entity_confidences"}
    for name, values in many.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5)
    for row in range(0, 32, 5):
        one = ask(inputs[row : row + 1])
        for name in ("scores", "similarities"):
            np.testing.assert_allclose(one[name][0], many[name][row], atol=1e-5)
        tokens = one["entity_tags"].shape[2]
        np.testing.assert_array_equal(one["entity_tags"][0, 0], many["entity_tags"][row, 0, :tokens])


def test_export_answers_as_the_model_at_batch_1_and_32(trained: TrainedTed, tmp_path: Path) -> None:
    check_export(trained, False, tmp_path)


def loss_of(model: TrainedTed, data: TedData) -> tuple[float, dict[str, float]]:
    """The loss and metrics of all examples, as a training step computes them."""
    task = EndToEndTask(model.network, data, last_only=model.options.history_window is not None)
    batch = task.batch(np.arange(len(data.sequences), dtype=np.int32))
    used = [bag.used_rows(rows) for bag, rows in zip(task.bags, task.rows(batch), strict=True)]
    loss, metrics = task.loss(batch, used, Noise(0, tf.constant(1)))
    return float(loss), {name: float(value) for name, value in metrics.items()}


def test_whole_dialogues_and_dense_features(tmp_path: Path) -> None:
    data = data_of(None, dense=True)
    model = TrainedTed(options(max_history=None), data.size, ACTIONS, 1, texts(dense=True).sizes)
    assert data.texts is not None
    model.embed_action_texts(data.texts)
    loss, metrics = loss_of(model, data)
    assert np.isfinite(loss)
    assert metrics["entity_loss"] > 0
    check_export(model, True, tmp_path)


def test_a_stored_model_comes_back(trained: TrainedTed, tmp_path: Path) -> None:
    inputs, _ = examples(4)
    trained.save(tmp_path / "saved")
    loaded = TrainedTed.load(tmp_path / "saved").predict(inputs)
    for name, values in trained.predict(inputs).items():
        np.testing.assert_allclose(loaded[name], values, atol=1e-6)


def test_padding_beyond_a_dialogue_s_texts_changes_nothing(trained: TrainedTed) -> None:
    short, long = encoded([DialogueState(), said("bye")]), encoded(DIALOGUES[-1][0][:10])
    alone, together = trained.predict([short]), trained.predict([short, long])
    np.testing.assert_allclose(together["scores"][0], alone["scores"][0], atol=1e-6)
    given = served([short], spec_of())
    # As TensorFlow Serving pads: each input with its own first element, which in a bag is padding.
    padded = {
        name: np.pad(
            array,
            [(0, 0), *[(0, 3)] * (array.ndim - 1)],
            constant_values=0 if name.endswith(("ids", "weights")) else array.flat[0],
        )
        for name, array in given.items()
        if name.startswith("text_")
    }
    found = trained.serving_function()(**{name: tf.constant(value) for name, value in {**given, **padded}.items()})
    np.testing.assert_allclose(found["scores"], alone["scores"], atol=1e-6)


def test_each_distinct_text_of_a_batch_is_encoded_once() -> None:
    data = data_of()
    task = EndToEndTask(TrainedTed(options(), data.size, ACTIONS, 0, texts().sizes).network, data, last_only=True)
    batch = task.batch(np.arange(len(data.sequences), dtype=np.int32))
    # The empty text stands before the others.
    assert len(batch.texts.users.texts.lengths) == 1 + len(STORIES) - 1
    assert len(batch.texts.labels.texts.lengths) == 1 + 2
    assert batch.texts.labels.index.tolist() == [0, 0, 1, 2]


def test_a_message_counts_by_its_text_only_right_after_it_was_said_and_without_an_intent() -> None:
    both = DialogueState(intent="greet", user_text="bye", previous_action=LISTEN)
    repeated = replace(done(WHERE), user_text="fly to paris")
    assert said_texts([both, repeated], features_of) == []
    assert [text.turn for text in said_texts([DialogueState(), said("bye")], features_of)] == [2]


@pytest.mark.parametrize("side", ["users", "bots"])
def test_stories_with_texts_of_one_side_alone_have_encoders_for_that_side(side: str) -> None:
    sizes = TextSizes(spec_of(), None, ()) if side == "users" else TextSizes(None, spec_of(), (BYE,))
    said_bye = {"bye": features_of("bye")} if side == "users" else {}
    spoken = StoryTexts(sizes, said_bye, {BYE: features_of(BYE)} if side == "bots" else {})
    only = [dialogue(("bye", "utter_greet") if side == "users" else ("greet", BYE))]
    data = dialogue_data(only, ENCODER, ACTIONS, 4, spoken)
    model = TrainedTed(options(), data.size, ACTIONS, 0, sizes)
    assert model.network.texts is not None
    loss, metrics = loss_of(model, data)
    assert np.isfinite(loss)
    assert set(metrics) == {"accuracy"}
    assert {part.split("/")[0] for part in (v.name for v in model.network.texts.variables)} == (
        {"text"} if side == "users" else {"action_text", "label_action_text"}
    )


def test_a_model_goes_on_with_more_texts_and_not_with_fewer(trained: TrainedTed, tmp_path: Path) -> None:
    small = TextSizes(None, spec_of(), (WHERE,))
    TrainedTed(options(), ENCODER.size, ACTIONS[:3], 0, small).save(tmp_path / "small")
    grown = TrainedTed(options(), ENCODER.size, ACTIONS, 0, texts().sizes)
    grown.go_on_from(tmp_path / "small")
    assert grown.predict(examples(4)[0][:2])["scores"].shape == (2, len(ACTIONS))
    trained.save(tmp_path / "large")
    for fewer in (small, None):
        with pytest.raises(WeightsError, match="may only grow"):
            TrainedTed(options(), ENCODER.size, ACTIONS, 0, fewer).go_on_from(tmp_path / "large")
