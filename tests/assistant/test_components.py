import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.shared import BOTS, GOLDEN
from turnstream.assistant.components import (
    CountVectorsFeaturizerOptions,
    DIETClassifierOptions,
    MemoizationPolicyOptions,
    PolicyOptions,
    RegexEntityExtractorOptions,
    ResponseSelectorOptions,
    RulePolicyOptions,
    TEDPolicyOptions,
    known_components,
    options_from_json,
    options_to_json,
    read_component,
    training_refusal,
)
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems

NOT_IN_RASA_3 = {"KerasPolicy", "FallbackPolicy", "NotAComponent", "NotAPolicy", "tests.core.test_config.ExamplePolicy"}


def read(name: str, **options: Any) -> tuple[Any, list[str]]:
    problems = Problems()
    lines = {key: Location("config.yml", number) for number, key in enumerate(options, start=2)}
    result = read_component(ComponentConfig(name, options, Location("config.yml", 1), lines), problems)
    return result, [str(problem) for problem in problems.errors]


def written_components() -> list[tuple[str, dict[str, Any]]]:
    """Every component of every config that PyYAML can read in the bots and golden projects."""
    found = []
    for path in sorted([*BOTS.rglob("*.y*ml"), *GOLDEN.rglob("config.yml")]):
        try:
            data = yaml.safe_load(path.read_bytes())
        except yaml.YAMLError:
            continue
        for key in ("pipeline", "policies"):
            listed = data.get(key) if isinstance(data, dict) else None
            found += [(c["name"], c) for c in listed or [] if isinstance(c, dict)]
    return found


NEEDED = {
    "IntentBasedRouter": {
        "nlu_entry": {"sticky": ["a"], "non_sticky": "b"},
        "calm_entry": {"sticky": ["c", "d"]},
    }
}
"""Keys without a default."""


@pytest.mark.parametrize("name", sorted(known_components()))
def test_defaults_survive_json(name: str) -> None:
    options, errors = read(name, **NEEDED.get(name, {}))

    assert not errors
    assert options_from_json(json.loads(json.dumps(options_to_json(options)))) == options


def test_every_component_in_the_bots_is_known_with_its_keys() -> None:
    for name, written in written_components():
        if name in NOT_IN_RASA_3:
            continue
        keys = {key: value for key, value in written.items() if key not in ("name", "L2_c")}
        _, errors = read(name, **keys)
        assert not errors


@pytest.mark.parametrize("name", sorted(NOT_IN_RASA_3))
def test_a_component_that_is_gone_or_never_was_is_refused(name: str) -> None:
    options, errors = read(name)

    assert options is None
    assert len(errors) == 1
    assert name in errors[0]


def test_the_defaults_are_rasas() -> None:
    diet = read("DIETClassifier")[0]
    ted = read("TEDPolicy")[0]

    assert isinstance(diet, DIETClassifierOptions)
    assert (diet.epochs, diet.transformer_size, diet.embedding_dimension) == (300, 256, 20)
    assert isinstance(ted, TEDPolicyOptions)
    assert (ted.epochs, ted.priority, ted.encoding_dimension, ted.scale_loss) == (1, 1, 50, True)
    assert isinstance(read("ResponseSelector")[0], ResponseSelectorOptions)
    assert read("MemoizationPolicy")[0] == MemoizationPolicyOptions(priority=3, max_history=None)
    assert read("RulePolicy")[0] == RulePolicyOptions(priority=4, core_fallback_threshold=0.3)
    assert read("RegexEntityExtractor")[0] == RegexEntityExtractorOptions(case_sensitive=False)
    assert issubclass(TEDPolicyOptions, PolicyOptions)


def test_an_unknown_key_names_the_nearest() -> None:
    options, errors = read("DIETClassifier", epoch=5)

    assert options is None
    assert errors == ["config.yml:2: DIETClassifier has no key 'epoch'. Did you mean 'epochs'?"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("WhitespaceTokenizer", {"case_sensitive": False, "use_cls_token": True}),
        ("CountVectorsFeaturizer", {"return_sequence": True}),
        ("CRFEntityExtractor", {"return_sequence": True}),
        ("DIETClassifier", {"num_neg": 20, "C2": 0.002, "evaluate_on_num_examples": 0}),
        ("TEDPolicy", {"rnn_size": 64, "validation_split": 0.1, "max_training_samples": 300}),
        ("RulePolicy", {"nlu_threshold": 0.3, "core_threshold": 0.3, "fallback_action_name": "utter_default"}),
    ],
)
def test_keys_of_earlier_versions_are_passed_over_with_a_warning(name: str, options: dict[str, object]) -> None:
    problems = Problems()
    config = ComponentConfig(name, dict(options), Location("config.yml", 1))

    read_component(config, problems)

    assert problems.errors == []
    assert [str(warning).split("'")[1] for warning in problems.warnings] == list(options)


@pytest.mark.parametrize("name", sorted(known_components()))
def test_no_key_of_earlier_versions_is_a_key_of_today(name: str) -> None:
    cls = known_components()[name]

    assert not set(cls.ignored_keys) & {f.name for f in dataclasses.fields(cls)}


def test_several_wrong_values_are_reported_together() -> None:
    _, errors = read("DIETClassifier", epochs="many", batch_size=[1, 2, 3], BILOU_flag="yes", similarity_type="dot")

    assert errors == [
        "config.yml:2: DIETClassifier: 'epochs' must be a whole number, not 'many'.",
        "config.yml:3: DIETClassifier: 'batch_size' must be a whole number or a list of 2, not [1, 2, 3].",
        "config.yml:4: DIETClassifier: 'BILOU_flag' must be true or false, not 'yes'.",
        "config.yml:5: DIETClassifier: 'similarity_type' must be 'auto' or 'cosine' or 'inner', not 'dot'.",
    ]


@pytest.mark.parametrize(
    ("name", "options", "fault"),
    [
        ("FallbackClassifier", {"threshold": 1.5}, "'threshold' must be between 0 and 1"),
        ("CountVectorsFeaturizer", {"min_ngram": 3, "max_ngram": 2}, "is less than 'min_ngram'"),
        ("CountVectorsFeaturizer", {"stop_words": "german"}, "must be 'english' or a list"),
        ("LexicalSyntacticFeaturizer", {"features": [["low"], ["lows"], []]}, "unknown feature 'lows'. Did you mean"),
        ("LexicalSyntacticFeaturizer", {"features": [["low"], ["low"]]}, "odd number of lists"),
        ("LogisticRegressionClassifier", {"max_iter": -1}, "'max_iter' must not be negative, not -1"),
        ("LogisticRegressionClassifier", {"solver": "lbgfs"}, "'solver'"),
        ("WhitespaceTokenizer", {"intent_split_symbol": ""}, "'intent_split_symbol' must not be empty"),
        ("MemoizationPolicy", {"max_history": 0}, "must be at least 1 or null"),
        ("UnexpecTEDIntentPolicy", {"tolerance": 2}, "'tolerance' must be between 0 and 1"),
        ("RulePolicy", {"core_fallback_threshold": -1}, "must be between 0 and 1"),
        ("DIETClassifier", {"intent_classification": False, "entity_recognition": False}, "are both false"),
        ("DIETClassifier", {"drop_rate": 1.0}, "'drop_rate' must be in [0, 1)"),
        ("TEDPolicy", {"batch_size": 0}, "'batch_size' must be at least 1"),
        ("DIETClassifier", {"number_of_attention_heads": 3}, "'transformer_size' is 256, which 3 heads cannot share"),
        ("DIETClassifier", {"number_of_attention_heads": 0}, "'number_of_attention_heads' must be at least 1, not 0"),
        ("DIETClassifier", {"learning_rate": -1}, "'learning_rate' must be more than 0, not -1"),
        ("DIETClassifier", {"dense_dimension": {"text": 0}}, "'dense_dimension' of 'text' must be at least 1"),
        ("DIETClassifier", {"hidden_layers_sizes": {"label": [8, 0]}}, "'hidden_layers_sizes' of 'label' must be"),
        ("DIETClassifier", {"transformer_size": 0}, "'transformer_size' must be at least 1"),
        ("TEDPolicy", {"transformer_size": {"dialogue": 30}}, "'transformer_size' of 'dialogue' is 30, which 4 heads"),
        ("TEDPolicy", {"drop_rate_dialogue": 1.0}, "'drop_rate_dialogue' must be in [0, 1)"),
        ("RegexEntityExtractor", {"use_regexes": False, "use_lookup_tables": False}, "nothing can be extracted"),
    ],
)
def test_a_value_that_cannot_work_is_refused(name: str, options: dict[str, Any], fault: str) -> None:
    _, errors = read(name, **options)

    assert len(errors) == 1
    assert fault in errors[0]


def test_the_size_of_a_transformer_without_layers_is_no_matter() -> None:
    options = {"transformer_size": 30, "number_of_transformer_layers": 0}
    assert read("DIETClassifier", **options)[1] == read("TEDPolicy", **options)[1] == []


def test_sizes_by_attribute_are_merged_with_the_defaults() -> None:
    ted = read("TEDPolicy", transformer_size={"dialogue": 64}, number_of_transformer_layers=2)[0]

    assert ted.transformer_size == {"text": 128, "action_text": 128, "label_action_text": 128, "dialogue": 64}
    assert set(ted.number_of_transformer_layers.values()) == {2}


def test_a_featurizer_sets_the_history_of_a_policy() -> None:
    written = [{"name": "MaxHistoryTrackerFeaturizer", "max_history": 7, "state_featurizer": []}]

    assert read("TEDPolicy", featurizer=written)[0].history_window == 7
    assert read("MemoizationPolicy", max_history=3)[0].history_window == 3


def test_a_key_of_earlier_versions_only_warns() -> None:
    problems = Problems()
    config = ComponentConfig("CountVectorsFeaturizer", {"token_pattern": "x"}, Location(str(Path("c.yml")), 3))

    assert read_component(config, problems) == CountVectorsFeaturizerOptions()
    assert [str(p) for p in problems.warnings] == [
        "c.yml:3: CountVectorsFeaturizer: 'token_pattern' has no effect. Set it on the tokenizer."
    ]


def test_a_component_that_needs_a_model_is_read_and_says_what_to_use_in_training() -> None:
    options, errors = read("SpacyNLP", model="en_core_web_md")

    assert not errors
    assert (
        training_refusal(options) == "SpacyNLP needs a downloaded spaCy model: remove it and use WhitespaceTokenizer."
    )
    assert training_refusal(read("WhitespaceTokenizer")[0]) == ""


@pytest.mark.parametrize(
    "stored",
    [{"name": "Nothing"}, {}, {"name": "RulePolicy", "prio": 1}, {"name": "RulePolicy", "priority": "high"}],
)
def test_damaged_stored_options_are_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"stored options|Unknown component"):
        options_from_json(stored)
