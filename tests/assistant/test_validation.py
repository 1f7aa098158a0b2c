"""Checks across files: what refuses training, and what only warns."""

from collections.abc import Callable

import pytest
from support.project_folder import ProjectFolder
from turnstream.assistant.reader import ProjectPaths

Write = Callable[[dict[str, str | bytes]], ProjectFolder]


def test_the_project_that_the_tests_start_from_has_no_problem(project: ProjectFolder) -> None:
    assert project.load().warnings == ()


def test_names_that_do_not_exist_are_reported_together_with_the_nearest(write_project: Write) -> None:
    project = write_project(
        {
            "data/rules.yml": """\
                rules:
                - rule: wrong
                  condition:
                  - active_loop: order
                  - slot_was_set: [{citi: Rome}]
                  steps:
                  - intent: gret
                    entities: [cty]
                  - action: utter_gret
                """,
            "data/stories.yml": """\
                stories:
                - story: wrong too
                  steps:
                  - checkpoint: c
                    slot_was_set: [{cities: 1}]
                  - or:
                    - intent: greet
                    - intent: byee
                  - action: action_nowhere
                  - active_loop: trip_form
                """,
        }
    )

    assert project.texts() == [
        "data/rules.yml:4: The rule 'wrong' names the form 'order', which is not in the domain. "
        "Add it to 'forms' in the domain.",
        "data/rules.yml:5: The rule 'wrong' names the slot 'citi', which is not in the domain. Did you mean 'city'?",
        "data/rules.yml:7: The rule 'wrong' names the entity 'cty', which is not in the domain. Did you mean 'city'?",
        "data/rules.yml:7: The rule 'wrong' names the intent 'gret', which is not in the domain. Did you mean 'greet'?",
        "data/rules.yml:9: The rule 'wrong' names the response 'utter_gret', which is not in the domain. "
        "Did you mean 'utter_greet'?",
        "data/stories.yml:4: The story 'wrong too' names the slot 'cities', which is not in the domain. "
        "Did you mean 'city'?",
        "data/stories.yml:8: The story 'wrong too' names the intent 'byee', which is not in the domain. "
        "Did you mean 'bye'?",
        "data/stories.yml:9: The story 'wrong too' names the action 'action_nowhere', which is not in the domain. "
        "Did you mean 'action_restart'?",
        "data/stories.yml:10: The story 'wrong too' names the form 'trip_form', which is not in the domain. "
        "Add it to 'forms' in the domain.",
    ]


def test_names_are_not_checked_where_the_domain_itself_is_wrong(write_project: Write) -> None:
    project = write_project({"domain.yml": "intents: {}\n", "config.yml": "pipeline: [{name: DIETClasifier}]\n"})

    assert project.texts() == [
        "config.yml:1: There is no component or policy 'DIETClasifier'. Did you mean 'DIETClassifier'?",
        "domain.yml:1: 'intents' must be a list, not a mapping.",
    ]


@pytest.mark.parametrize("domain", ["", "# nothing yet\n", 'version: "3.1"\n', "version:\n"])
def test_an_empty_domain_is_one_problem(write_project: Write, domain: str) -> None:
    assert write_project({"domain.yml": domain}).texts() == [
        "domain.yml: The domain is empty. Add the intents and responses that stories and rules name."
    ]


FORM = """\
    intents: [greet, bye]
    entities: [city]
    slots:
      city:
        type: text
        mappings:
        - {type: from_entity, entity: city, conditions: [{active_loop: trip_form}]}
      day:
        type: text
        mappings: []
    forms:
      trip_form:
        required_slots: [city, day]
    responses:
      utter_greet: [{text: hi}]
      utter_bye: [{text: bye}]
    """


def test_a_form_requires_slots_that_exist(write_project: Write) -> None:
    project = write_project({"domain.yml": FORM.replace("[city, day]", "[city, dai]")})

    assert project.texts() == [
        "domain.yml:12: The form 'trip_form' requires the slot 'dai', which is not in the domain. Did you mean 'day'?"
    ]


def test_a_form_slot_that_no_message_fills_warns(write_project: Write) -> None:
    warnings = [str(w) for w in write_project({"domain.yml": FORM}).load().warnings]

    assert warnings == [
        "domain.yml:8: The form 'trip_form' requires the slot 'day', which has no mapping. No message can fill it."
    ]


def test_a_mapping_condition_on_an_unknown_form_is_refused(write_project: Write) -> None:
    project = write_project({"domain.yml": FORM.replace("{active_loop: trip_form}", "{active_loop: tripform}")})

    assert project.texts() == [
        "domain.yml:7: A mapping of the slot 'city' has a condition on the form 'tripform', "
        "which is not in the domain. Did you mean 'trip_form'?"
    ]


def test_a_mapping_condition_on_an_unknown_slot_warns(write_project: Write) -> None:
    condition = "{active_loop: trip_form, requested_slot: cit}"
    project = write_project({"domain.yml": FORM.replace("{active_loop: trip_form}", condition)})

    assert str(project.load().warnings[0]) == (
        "domain.yml:7: A mapping of the slot 'city' has a condition on the slot 'cit', "
        "which is not in the domain: it never holds. Did you mean 'city'?"
    )


def test_names_of_actions_must_not_be_given_twice(write_project: Write) -> None:
    texts = "e2e_actions: [utter_greet, Hello]\n"
    project = write_project({"domain.yml": FORM.replace("trip_form", "utter_bye") + texts})

    assert project.texts() == [
        "domain.yml: The text 'utter_greet' in 'e2e_actions' is the name of an action. "
        "Remove it there, or write 'action:' in place of 'bot:' in a story.",
        "domain.yml:12: The form 'utter_bye' has the name of a response. Rename it.",
    ]


def test_a_bool_slot_that_a_rule_names_without_a_value_warns(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """                intents: [greet]
                slots: {sure: {type: bool, mappings: [{type: custom}]}}
                responses: {utter_greet: [{text: hi}]}
                """,
            "data/nlu.yml": "nlu: [{intent: greet, examples: '- hi'}]\n",
            "data/rules.yml": """                rules:
                - rule: greet
                  condition: [{slot_was_set: [sure]}]
                  steps: [{intent: greet}, {action: utter_greet}]
                """,
        }
    )

    assert [str(w) for w in project.load().warnings] == [
        "data/rules.yml:3: The rule 'greet' names the bool slot 'sure' without a value: that means that it is not set. "
        "Write 'sure: VALUE', or 'sure: null'."
    ]


def test_a_mapping_of_an_unknown_entity_or_intent_warns(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                intents: [greet, bye]
                entities: [{city: {roles: [to]}}]
                slots:
                  city:
                    type: text
                    mappings:
                    - {type: from_entity, entity: citty}
                    - {type: from_entity, entity: city, role: from}
                    - {type: from_text, intent: gret}
                responses: {utter_greet: [{text: hi}], utter_bye: [{text: bye}]}
                """
        }
    )

    assert [str(w) for w in project.load().warnings] == [
        "domain.yml:7: A mapping of the slot 'city' names the entity 'citty', which is not in the domain. "
        "Did you mean 'city'?",
        "domain.yml:8: A mapping of the slot 'city' names the role 'from', which the entity 'city' does not have. "
        "Valid: to.",
        "domain.yml:9: A mapping of the slot 'city' names the intent 'gret', which is not in the domain. "
        "Did you mean 'greet'?",
    ]


def test_forms_need_the_rule_policy(write_project: Write) -> None:
    project = write_project({"domain.yml": FORM, "config.yml": "policies: [{name: MemoizationPolicy}]\n"})

    assert project.texts() == ["domain.yml:12: The form 'trip_form' needs the RulePolicy. Add it to 'policies'."]


def test_a_rule_has_one_user_message_unless_rules_are_unrestricted(write_project: Write) -> None:
    project = write_project(
        {
            "data/rules.yml": """\
                rules:
                - rule: two
                  steps:
                  - intent: greet
                  - action: utter_greet
                  - intent: bye
                  - action: utter_bye
                """
        }
    )

    assert project.texts() == ["data/rules.yml:6: The rule 'two' has 2 user messages; a rule has one. Use a story."]
    project.write("config.yml", "policies: [{name: RulePolicy, restrict_rules: false}]\n")
    assert project.load().warnings == ()


def test_checkpoints_that_lead_nowhere_and_cycles_warn(write_project: Write) -> None:
    project = write_project(
        {
            "data/stories.yml": """\
                stories:
                - story: start
                  steps: [{intent: greet}, {action: utter_greet}, {checkpoint: ask}]
                - story: round
                  steps:
                  - checkpoint: ask
                  - intent: greet
                  - checkpoint: more
                - story: and round
                  steps:
                  - checkpoint: more
                  - intent: bye
                  - checkpoint: ask
                - story: lost
                  steps: [{checkpoint: askk}, {intent: bye}, {action: utter_bye}]
                - story: an island
                  steps: [{checkpoint: a}, {intent: bye}, {checkpoint: a}]
                - story: from the start
                  steps: [{checkpoint: STORY_START}, {intent: bye}, {checkpoint: nowhere}]
                """
        }
    )

    assert [str(w) for w in project.load().warnings] == [
        "data/stories.yml:6: The checkpoints ask -> more -> ask form a cycle: it is followed up to three times.",
        "data/stories.yml:15: No story leads to the checkpoint 'askk': what follows is never used. Did you mean 'ask'?",
        "data/stories.yml:17: No story leads to the checkpoint 'a': what follows is never used.",
        "data/stories.yml:19: No story starts with the checkpoint 'nowhere': the story ends here. "
        "Valid: a, ask, askk, more.",
    ]


def test_what_is_never_used_warns(write_project: Write) -> None:
    project = write_project(
        {
            "domain.yml": """\
                intents: [greet, bye, unused]
                entities: [city]
                actions: [utter_listed]
                responses:
                  utter_greet: [{text: hi}]
                  utter_bye: [{text: bye}]
                  utter_never: [{text: x}]
                  utter_default: [{text: y}]
                """,
            "data/more.yml": """\
                nlu:
                - intent: bye
                  examples: |
                    - hi
                    - to [x](citi)
                - intent: faq/ask
                  examples: |
                    - why
                """,
            "config.yml": """\
                pipeline:
                - name: WhitespaceTokenizer
                - name: CountVectorsFeaturizer
                - name: ResponseSelector
                policies:
                - name: RulePolicy
                """,
        }
    )

    assert [str(w) for w in project.load().warnings] == [
        "data/more.yml:5: The entity 'citi' is annotated but is not in the domain. Did you mean 'city'?",
        "data/more.yml:8: The intent 'faq/ask' has no response 'utter_faq/ask'.",
        "data/nlu.yml:5: 'hi' is an example of 'greet' and of 'bye' (data/more.yml:4). Keep one.",
        "domain.yml: The action 'utter_listed' is listed but has no response: it would say nothing. "
        "Did you mean 'utter_bye'?",
        "domain.yml:1: The intent 'unused' has no examples and is not used.",
        "domain.yml:7: The response 'utter_never' is never used.",
    ]


def test_missing_files_are_named(project: ProjectFolder) -> None:
    for name in ("config.yml", "domain.yml"):
        (project.root / name).unlink()
    paths = ProjectPaths(project.root, project.root / "config.yml", (project.root / "domain.yml",), ())

    texts = project.texts()

    assert texts[:2] == ["config.yml: There is no such file.", "domain.yml: There is no such file or folder."]
    assert paths.endpoints is None


def test_endpoints_are_read_and_a_misspelt_section_warns(write_project: Write) -> None:
    project = write_project(
        {
            "endpoints.yml": """\
                action_endpoint: {url: "http://localhost:5055/webhook", headers: {x: y}}
                tracker_store: {type: SQL, db: x.db}
                nlg:
                event_brokr: {type: kafka}
                """
        }
    )
    result = project.load()
    endpoints = result.project.endpoints

    assert endpoints.action is not None
    assert endpoints.action.url == "http://localhost:5055/webhook"
    assert endpoints.action.options == {"headers": {"x": "y"}}
    assert endpoints.tracker_store is not None
    assert endpoints.tracker_store.type == "SQL"
    assert endpoints.nlg is None
    assert [str(w) for w in result.warnings] == [
        "endpoints.yml:4: Unknown section 'event_brokr' in the endpoints. Did you mean 'event_broker'?"
    ]
