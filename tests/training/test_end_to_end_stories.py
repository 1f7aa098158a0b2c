"""A project with end-to-end stories: from its files to what the policies decide, by the exported model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from turnstream.assistant.bundle import Bundle, open_bundle
from turnstream.assistant.reader import ProjectPaths
from turnstream.dialogue.events import ActionExecuted, EntitiesAdded, Event, IntentScore, ParseData, UserUttered
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.prediction.ensemble import Decision
from turnstream.policy.loaded import LoadedPolicies
from turnstream.policy.policies import Outside, PolicyInput
from turnstream.testing.harness import train_quietly
from turnstream.training.train import TrainingRequest

FILES = {
    "config.yml": """
recipe: default.v1
language: en
pipeline:
- name: WhitespaceTokenizer
- name: CountVectorsFeaturizer
- name: KeywordIntentClassifier
policies:
- name: TEDPolicy
  epochs: 40
  max_history: 4
  batch_size: 16
  learning_rate: 0.02
  random_seed: 5
  connection_density: 1.0
  number_of_attention_heads: 2
  transformer_size: {dialogue: 16, text: 16, action_text: 16, label_action_text: 16}
""",
    "domain.yml": """
version: "3.1"
intents: [greet, order]
entities: [city]
slots:
  city: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: city}]}
responses:
  utter_greet: [{text: "hello"}]
  utter_ok: [{text: "fine"}]
""",
    "data/nlu.yml": """
version: "3.1"
nlu:
- {intent: greet, examples: "- hello\\n- hi"}
- {intent: order, examples: "- a table\\n- dinner"}
""",
    "data/stories.yml": """
version: "3.1"
stories:
- story: by intent
  steps: [{intent: greet}, {action: utter_greet}, {intent: order}, {action: utter_ok}]
- story: by text
  steps: [{intent: greet}, {action: utter_greet}, {user: "off to [rome](city)"}, {bot: "have a nice trip"}]
- story: also by text
  steps: [{intent: greet}, {action: utter_greet}, {user: "off to [paris](city)"}, {bot: "have a nice trip"}]
- story: at once
  steps: [{user: "never mind"}, {bot: "as you like"}]
""",
}
LISTEN = ActionExecuted(name="action_listen")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("project")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return open_bundle(train_quietly(TrainingRequest(ProjectPaths.default(folder), folder / "models")).path)


class Exported:
    """The bundle's models in this process."""

    def __init__(self, bundle: Bundle) -> None:
        model = next(model for model in bundle.models if model.name == "ted")
        self._loaded = tf.saved_model.load(str(bundle.models_dir / model.name / str(model.version)))

    async def predict(
        self, model: str, inputs: Mapping[str, Any], *, outputs: Sequence[str] = (), **more: Any
    ) -> dict[str, np.ndarray]:
        given = {name: tf.constant(value) for name, value in inputs.items()}
        found = self._loaded.signatures["serving_default"](**given)
        return {name: found[name].numpy() for name in outputs}


def said(text: str, intent: str | None) -> UserUttered:
    return UserUttered(text=text, parse_data=ParseData(text=text, intent=IntentScore(intent, 1.0)))


async def decide(bundle: Bundle, events: Iterable[Event]) -> Decision:
    dialogue = Dialogue("c", bundle.domain, [LISTEN, *events])
    window = bundle.policy_window
    given = PolicyInput(dialogue.tracker, dialogue.history(window), dialogue.visible_history(window))
    return (await LoadedPolicies.load(bundle).predict(given, Outside(Exported(bundle)))).decision


async def test_texts_decide_where_stories_have_them_and_intents_elsewhere(bundle: Bundle) -> None:
    greeted = await decide(bundle, [said("/greet", "greet")])
    assert (greeted.action, greeted.winner.is_end_to_end) == ("utter_greet", False)
    begun = [said("/greet", "greet"), *greeted.optional_events, ActionExecuted(name="utter_greet"), LISTEN]
    ordered = await decide(bundle, [*begun, said("/order", "order")])
    assert (ordered.action, ordered.winner.is_end_to_end) == ("utter_ok", False)
    travels = await decide(bundle, [*begun, said("off to rome", None)])
    assert (travels.action, travels.winner.is_end_to_end) == ("have a nice trip", True)
    (found,) = [e for event in travels.optional_events if isinstance(event, EntitiesAdded) for e in event.entities]
    assert (found.entity, found.value, found.extractor) == ("city", "rome", "TEDPolicy")
    after = [*begun, said("off to rome", None), *travels.optional_events, ActionExecuted(action_text=travels.action)]
    assert (await decide(bundle, after)).action == "action_listen"
