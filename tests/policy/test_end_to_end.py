"""TED where stories have texts: the message's intent and its text are weighed against each other."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from support.stories import DOMAIN
from turnstream.assistant.bundle import BundledModel
from turnstream.assistant.components import (
    CountVectorsFeaturizerOptions,
    MemoizationPolicyOptions,
    TEDPolicyOptions,
    WhitespaceTokenizerOptions,
    options_to_json,
)
from turnstream.assistant.nlu_data import NluData
from turnstream.dialogue.events import (
    ActionExecuted,
    EntitiesAdded,
    Event,
    IntentScore,
    ParseData,
    UserFeaturized,
    UserUttered,
)
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.prediction.ensemble import Decision
from turnstream.dialogue.prediction.memory import MemoryTable
from turnstream.features.pipeline import FeaturePipeline
from turnstream.features.states import StateEncoder
from turnstream.features.story_texts import MAX_SAID_TOKENS
from turnstream.policy.loaded import LoadedPolicies
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.policy.tables import PIPELINE_FILE, POLICIES_FILE, read_policies
from turnstream.runtime.errors import InternalError
from turnstream.testing.fake_models import FakeModels

ACTIONS = ("action_listen", "utter_help", "utter_bye")
TEXT = "off to new york, then"
PIPELINE = FeaturePipeline.fit(
    [WhitespaceTokenizerOptions(), CountVectorsFeaturizerOptions()], NluData(), DOMAIN, None, [TEXT]
)
LISTEN = ActionExecuted(name="action_listen")
BY_INTENT, BY_TEXT = [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]
ANSWER = {
    "scores": [BY_INTENT, BY_TEXT],
    "similarities": [[0.0, 2.0, 0.0], [0.0, 0.0, 3.0]],
    "entity_tags": [[[0, 0, 0, 0, 0]], [[0, 0, 1, 2, 0]]],
    "entity_confidences": [[[0.9] * 5]] * 2,
}


def policies(*more: Any, options: TEDPolicyOptions | None = None, **texts: Any) -> LoadedPolicies:
    described = {"tags": ["O", "B-city", "L-city"], "by_text_only": False, **texts}
    encoder = StateEncoder.of(DOMAIN).to_json()
    entries = [(options or TEDPolicyOptions(max_history=3), "policy/ted-0.json"), *more]
    parts: dict[str, Any] = {
        POLICIES_FILE: {"policies": [{"options": options_to_json(o), "part": part} for o, part in entries]},
        PIPELINE_FILE: PIPELINE.to_json(),
        "policy/ted-0.json": {"model": "ted", "encoder": encoder, "actions": list(ACTIONS), "texts": described},
        "policy/memory-1.json": MemoryTable(None, 0, {}).to_json(),
    }
    models = {"ted": BundledModel("ted", 1)}
    return LoadedPolicies(read_policies(parts.__getitem__, DOMAIN, models), DOMAIN)


def said(text: str = TEXT) -> UserUttered:
    return UserUttered(text=text, parse_data=ParseData(intent=IntentScore("help", 0.9)))


async def decide(events: Iterable[Event], models: FakeModels, loaded: LoadedPolicies | None = None) -> Decision:
    dialogue = Dialogue("c", DOMAIN, events)
    given = PolicyInput(dialogue.tracker, dialogue.history(), dialogue.visible_history())
    return (await (loaded or policies()).predict(given, Outside(models))).decision


def added(decision: Decision) -> list[tuple[Any, ...]]:
    entities = [e for event in decision.optional_events if isinstance(event, EntitiesAdded) for e in event.entities]
    return [(e.entity, e.value, e.start, e.end, e.extractor) for e in entities]


async def test_the_text_wins_where_it_is_sure_and_more_similar() -> None:
    models = FakeModels({"ted": ANSWER})
    decision = await decide([LISTEN, said()], models)
    assert (decision.action, decision.winner.is_end_to_end) == ("utter_bye", True)
    assert added(decision) == [("city", "new york", 7, 15, "TEDPolicy")]
    assert UserFeaturized(use_text_for_featurization=True) in decision.optional_events


@pytest.mark.parametrize(
    "changed",
    [{"similarities": [[0.0, 3.5, 0.0], [0.0, 0.0, 3.0]]}, {"scores": [BY_INTENT, [0.3, 0.3, 0.4]]}],
    ids=["less similar", "not sure"],
)
async def test_the_intent_wins_otherwise(changed: dict[str, Any]) -> None:
    decision = await decide([LISTEN, said()], FakeModels({"ted": {**ANSWER, **changed}}))
    assert (decision.action, decision.winner.is_end_to_end, added(decision)) == ("utter_help", False, [])


async def test_how_sure_it_must_be_is_configured() -> None:
    loaded = policies(options=TEDPolicyOptions(max_history=3, e2e_confidence_threshold=0.75))
    assert (await decide([LISTEN, said()], FakeModels({"ted": ANSWER}), loaded)).action == "utter_help"


async def test_both_ways_are_asked_in_one_call() -> None:
    models = FakeModels({"ted": ANSWER})
    await decide([LISTEN, said()], models)
    (call,) = models.calls
    assert call.inputs["ids"].shape[:2] == (2, 2)
    assert call.inputs["ids"][0, 1].any()
    # By text the last turn has neither intent nor entities.
    assert (call.inputs["ids"][1, 1] > 0).sum() < (call.inputs["ids"][0, 1] > 0).sum()
    assert call.inputs["text_turns"].tolist() == [[0, 0], [0, 2]]
    assert call.inputs["text_lengths"].tolist() == [[0, 0], [0, 5]]


async def test_a_later_action_of_the_turn_follows_from_what_was_decided() -> None:
    models = FakeModels({"ted": {**ANSWER, "scores": [BY_TEXT], "similarities": [[0.0, 0.0, 3.0]]}})
    done = [LISTEN, said(), UserFeaturized(use_text_for_featurization=True), ActionExecuted(name="utter_help")]
    decision = await decide(done, models)
    assert (decision.action, decision.winner.is_end_to_end) == ("utter_bye", False)
    assert models.calls[0].inputs["text_turns"].tolist() == [[0, 2]]


async def test_without_intents_in_stories_only_the_text_counts() -> None:
    one = {name: values[1:] for name, values in ANSWER.items()}
    one["scores"] = [[0.3, 0.3, 0.4]]
    models = FakeModels({"ted": one})
    decision = await decide([LISTEN, said()], models, policies(by_text_only=True))
    assert (decision.action, decision.winner.is_end_to_end) == ("utter_bye", True)


async def test_a_message_that_names_its_intent_has_no_text() -> None:
    models = FakeModels({"ted": {"scores": [BY_INTENT], "similarities": [[0.0, 2.0, 0.0]]}})
    assert (await decide([LISTEN, said("/help")], models, policies(tags=[]))).action == "utter_help"
    assert not models.calls[0].inputs["text_turns"].any()


async def test_of_a_very_long_text_the_beginning_is_read() -> None:
    models = FakeModels({"ted": ANSWER})
    decision = await decide([LISTEN, said("off " * 1000)], models, policies(tags=[]))
    assert decision.action == "utter_bye"
    assert (
        models.calls[0].inputs["text_lengths"].max() == MAX_SAID_TOKENS == models.calls[0].inputs["text_ids"].shape[2]
    )


async def test_a_text_is_asked_about_even_where_a_story_is_certain() -> None:
    memory = (MemoizationPolicyOptions(), "policy/memory-1.json")
    models = FakeModels({"ted": ANSWER})
    decision = await decide([LISTEN, said()], models, policies(memory))
    assert (decision.action, decision.winner.policy) == ("utter_bye", "TEDPolicy")


async def test_a_model_of_other_outputs_is_an_internal_error() -> None:
    models = FakeModels({"ted": {**ANSWER, "scores": np.zeros((2, 7))}})
    with pytest.raises(InternalError, match="'scores' of shape"):
        await decide([LISTEN, said()], models)
