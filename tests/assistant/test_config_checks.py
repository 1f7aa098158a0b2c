"""Checks of the pipeline and the policies: what refuses training, and what only warns."""

from collections.abc import Callable

import pytest
from support.project_folder import ProjectFolder
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.suggested import with_suggestions

Write = Callable[[dict[str, str | bytes]], ProjectFolder]


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (
            "policies: [{name: RulePolicy, core_fallback_action_name: action_x}]\n",
            "The fallback action 'action_x' is not",
        ),
        ("policies: [{name: RulePolcy}]\n", "Did you mean 'RulePolicy'?"),
        ("policies: []\n", "'policies' is empty: the assistant could not answer."),
        ("pipeline: [{name: RulePolicy}]\n", "RulePolicy is a policy: move it to 'policies'."),
        ("policies: [{name: RulePolicy}, {name: DIETClassifier}]\n", "is no policy: move it to 'pipeline'."),
        ("pipeline: [{name: RegexFeaturizer}]\n", "RegexFeaturizer needs a tokenizer, such as WhitespaceTokenizer,"),
        ("pipeline: [{name: WhitespaceTokenizer}, {name: DIETClassifier}]\n", "DIETClassifier needs a featurizer"),
        ("pipeline: [{name: FallbackClassifier}]\n", "FallbackClassifier needs an intent classifier"),
        ("pipeline: [{name: WhitespaceTokenizer}, {name: WhitespaceTokenizer}]\n", "is a second tokenizer"),
        ("pipeline: [{name: SpacyNLP}]\n", "SpacyNLP needs a downloaded spaCy model: remove it and use"),
        ("pipeline: [{name: my.own.Component}]\n", "The custom component 'my.own.Component' cannot be loaded."),
        ("pipeline: [{name: WhitespaceTokenizer, token_patern: x}]\n", "Did you mean 'token_pattern'?"),
        ("pipeline: pretrained_embeddings_spacy\n", "templates were removed in Rasa 2."),
        ("pipeline: [WhitespaceTokenizer]\n", "Write '- name: WhitespaceTokenizer'."),
        ("pipeline: [{nam: X}]\n", "the key 'name' is missing."),
        ("recipe: graph.v1\n", "The recipe 'graph.v1' is not supported."),
        ("importers: [{name: my.Importer}]\n", "The importer 'my.Importer' is not supported."),
    ],
)
def test_a_config_that_cannot_be_trained_is_refused(write_project: Write, config: str, error: str) -> None:
    texts = write_project({"config.yml": config}).texts()

    assert len(texts) == 1
    assert texts[0].startswith("config.yml:1: ")
    assert error in texts[0]


def test_what_has_no_effect_in_a_config_only_warns(write_project: Write) -> None:
    project = write_project({"config.yml": "pipeline: [{name: EntitySynonymMapper}]\ncolour: blue\n"})

    warnings = [str(warning) for warning in project.load().warnings if warning.location.file == "config.yml"]

    assert len(warnings) == 2
    assert "EntitySynonymMapper has no effect: no entity extractor is before it in the pipeline." in warnings[0]
    assert "The unknown key 'colour' has no effect." in warnings[1]


def test_rasas_components_may_be_named_by_their_module_path(write_project: Write) -> None:
    config = """\
        pipeline: [{name: rasa.nlu.classifiers.keyword_intent_classifier.KeywordIntentClassifier}]
        policies: [{name: rasa.core.policies.rule_policy.RulePolicy, core_fallback_threshold: 0.5}]
        """
    assert write_project({"config.yml": config}).load().project.config.pipeline
    wrong = config.replace("core_fallback_threshold: 0.5", "threshold: 0.5")
    assert "RulePolicy has no key 'threshold'." in write_project({"config.yml": wrong}).texts()[0]


@pytest.mark.parametrize(
    ("pipeline", "error"),
    [
        ("{name: WhitespaceTokenizer, lower: true}", "WhitespaceTokenizer has no key 'lower'."),
        ("{name: my.Tokenizer}", "The custom component 'my.Tokenizer' cannot be loaded."),
        ("{name: Tokeniser}", "There is no component or policy 'Tokeniser'."),
    ],
)
def test_what_follows_a_refused_component_is_not_refused_for_its_want(
    write_project: Write, pipeline: str, error: str
) -> None:
    after = "{name: CountVectorsFeaturizer}, {name: DIETClassifier}, {name: FallbackClassifier}"
    project = write_project({"config.yml": f"pipeline: [{pipeline}, {after}]\n"})

    texts = project.texts()

    assert len(texts) == 1
    assert error in texts[0]


def test_a_refused_classifier_is_still_there_for_the_fallback(write_project: Write) -> None:
    pipeline = "{name: WhitespaceTokenizer}, {name: CountVectorsFeaturizer}, {name: DIETClassifier, epoch: 1}"
    project = write_project({"config.yml": f"pipeline: [{pipeline}, {{name: FallbackClassifier}}]\n"})

    assert project.texts() == ["config.yml:1: DIETClassifier has no key 'epoch'. Did you mean 'epochs'?"]


def test_two_featurizers_cannot_share_an_alias(write_project: Write) -> None:
    project = write_project(
        {
            "config.yml": """\
                pipeline:
                - name: WhitespaceTokenizer
                - {name: RegexFeaturizer, alias: x}
                - {name: CountVectorsFeaturizer, alias: x}
                """
        }
    )

    assert project.texts() == [
        "config.yml:4: CountVectorsFeaturizer has the alias 'x' of another featurizer: choose another."
    ]


CHOOSING = """\
    pipeline:
    - name: WhitespaceTokenizer
    - {name: RegexFeaturizer, alias: patterns}
    - name: CountVectorsFeaturizer
    """


def test_a_choice_among_the_featurizers_names_some_of_them(write_project: Write) -> None:
    config = f"{CHOOSING}- {{name: DIETClassifier, featurizers: [patterns, CountVectorFeaturizer]}}\n"

    assert write_project({"config.yml": config}).texts() == [
        "config.yml:5: DIETClassifier: 'featurizers' names 'CountVectorFeaturizer', which is none of the pipeline. "
        "Did you mean 'CountVectorsFeaturizer'?"
    ]


@pytest.mark.parametrize("component", ["ResponseSelector", "CRFEntityExtractor"])
def test_every_component_that_chooses_featurizers_is_checked(write_project: Write, component: str) -> None:
    config = f"{CHOOSING}- {{name: {component}, featurizers: [pattern]}}\n"

    assert write_project({"config.yml": config}).texts() == [
        f"config.yml:5: {component}: 'featurizers' names 'pattern', which is none of the pipeline. "
        "Did you mean 'patterns'?"
    ]


def test_parts_of_speech_need_the_tokenizer_that_tags_them(write_project: Write) -> None:
    config = """\
        pipeline:
        - name: WhitespaceTokenizer
        - name: LexicalSyntacticFeaturizer
          features: [[low], [pos, low], [low]]
        """

    assert write_project({"config.yml": config}).texts() == [
        "config.yml:4: LexicalSyntacticFeaturizer: feature 'pos' needs the SpacyTokenizer, which tags parts of speech. "
        "Remove it."
    ]


def _warnings(project: ProjectFolder) -> list[str]:
    return [str(warning) for warning in project.load().warnings]


def test_data_that_no_component_reads_is_told(write_project: Write) -> None:
    data = """\
        nlu:
        - synonym: Rome
          examples: |
            - roma
        - regex: number
          examples: |
            - \\d+
        - lookup: city
          examples: |
            - Rome
        """
    pipeline = "pipeline:\n- name: KeywordIntentClassifier\n"

    warnings = _warnings(write_project({"config.yml": pipeline, "data/more.yml": data}))

    missing = "the pipeline has no RegexFeaturizer and no RegexEntityExtractor."
    assert [warning for warning in warnings if "no effect" in warning] == [
        "config.yml:1: Synonyms have no effect: the pipeline has no EntitySynonymMapper.",
        f"data/more.yml:7: The regular expression 'number' has no effect: {missing}",
        f"data/more.yml:8: The lookup table 'city' has no effect: {missing}",
    ]


def test_a_selector_of_a_retrieval_intent_without_examples_is_told(write_project: Write) -> None:
    config = f"{CHOOSING}- {{name: ResponseSelector, retrieval_intent: chitchat}}\n"

    assert any(
        warning.startswith("config.yml:5: ResponseSelector: no example has the retrieval intent 'chitchat'")
        for warning in _warnings(write_project({"config.yml": config}))
    )


def test_a_config_without_pipeline_and_policies_gets_the_suggested_ones() -> None:
    config = with_suggestions(ModelConfig(policies=(ComponentConfig("RulePolicy"),)))

    assert [c.name for c in config.pipeline or ()][:2] == ["WhitespaceTokenizer", "RegexFeaturizer"]
    assert [c.name for c in config.policies or ()] == ["RulePolicy"]
