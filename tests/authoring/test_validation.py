"""What is found in a project beside what training finds. Each case is one change of a project that is in order."""

from pathlib import Path

import pytest
from support.order_project import OrderProject
from turnstream.assistant.reader import ProjectPaths
from turnstream.authoring.validation import examine


@pytest.fixture
def folder(tmp_path: Path) -> OrderProject:
    return OrderProject(tmp_path)


def test_project_that_is_in_order(folder: OrderProject) -> None:
    assert folder.warnings() == []


DOMAIN, DATA = "domain.yml", "data/data.yml"
UNUSED_SLOT = "slots:\n  size:\n    type: text\n    mappings:\n      - type: custom\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "warning"),
    [
        (DOMAIN, "greet]", "greet, thank]", "domain.yml:3: The intent 'thank' has no examples and is not used."),
        (
            DATA,
            "rules:\n  - rule: greet\n    steps:\n      - intent: greet\n      - action: utter_greet\n",
            "rules:\n",
            "domain.yml:3: The intent 'greet' is understood, but no story, rule, form or slot uses it.",
        ),
        (DATA, "- good day", "- order something", "data/data.yml:11: 'order something' is an example of 'order'"),
        (DOMAIN, "[dish]\n", "[dish, size]\n", "domain.yml:4: The entity 'size' fills no slot"),
        (DATA, "[soup](dish)", "soup", "domain.yml:4: Nothing finds the entity 'dish': no example marks it."),
        (DOMAIN, "slots:\n", UNUSED_SLOT, "domain.yml:6: Nothing sets the slot 'size'"),
        (DOMAIN, "responses:\n", "responses:\n  utter_x:\n    - text: X\n", "domain.yml:17: The response 'utter_x'"),
        (DOMAIN, "utter_ask_dish", "utter_ask_drink", "domain.yml:13: The form 'order_form' has no question for the"),
        (
            DATA,
            "      - action: order_form\n      - active_loop: null\n",
            "",
            "domain.yml:13: No story or rule says what follows when the form 'order_form' is filled in.",
        ),
        (
            DOMAIN,
            "forms:\n",
            "forms:\n  b_form:\n    required_slots: [dish]\n",
            "domain.yml:13: The form 'b_form' is n",
        ),
        (
            DOMAIN,
            "        entity: dish\n",
            "        entity: dish\n        conditions:\n          - active_loop: null\n",
            "domain.yml:6: The form 'order_form' cannot be filled in: no mapping of its slot 'dish' can apply in it.",
        ),
        (
            DOMAIN,
            "        entity: dish\n",
            "        entity: dish\n        role: main\n",
            "domain.yml:6: The form 'order_form' cannot be filled in: no mapping of its slot 'dish' can apply in it.",
        ),
        (
            DOMAIN,
            "slots:\n",
            "slots:\n  size:\n    type: text\n    mappings:\n      - type: from_text\n        conditions:\n"
            "          - active_loop: order_form\n",
            "domain.yml:9: A mapping of the slot 'size' has a condition on the form 'order_form', which does not requi",
        ),
    ],
)
def test_each_fault_is_told_with_its_place(folder: OrderProject, file: str, old: str, new: str, warning: str) -> None:
    folder.change(file, old, new)
    assert any(found.startswith(warning) for found in folder.warnings()), folder.warnings()


@pytest.mark.parametrize(
    ("file", "old", "new", "error"),
    [
        (
            DATA,
            "- intent: order\n      - action",
            "- intent: ordr\n      - action",
            "data/data.yml:19: The rule 'begin' na",
        ),
        (DATA, "action: utter_greet", "action: utter_hi", "data/data.yml:16: The rule 'greet' names the response"),
        (
            DOMAIN,
            "required_slots: [dish]",
            "required_slots: [dis]",
            "domain.yml:13: The form 'order_form' requires the",
        ),
        (
            DATA,
            "rules:\n",
            "rules:\n  - rule: b\n    steps:\n      - intent: greet\n      - action: utter_ordered\n",
            "d",
        ),
    ],
)
def test_what_refuses_training_is_an_error(folder: OrderProject, file: str, old: str, new: str, error: str) -> None:
    folder.change(file, old, new)
    assert [found for found in folder.errors() if found.startswith(error)]


def test_custom_actions_may_use_what_no_story_names(folder: OrderProject) -> None:
    folder.change(DOMAIN, "slots:\n", UNUSED_SLOT)
    folder.change(DOMAIN, "responses:\n", "actions: [action_size]\nresponses:\n  utter_size:\n    - text: Size?\n")
    folder.write("actions.py", 'from rasa_sdk import Action\nNAMES = ("size", "utter_size")\n')
    assert folder.warnings() == []
    folder.write("actions.py", "from rasa_sdk import Action\n")
    assert len(folder.warnings()) == 2


def test_custom_actions_of_another_place_are_not_doubted(folder: OrderProject) -> None:
    folder.change(DOMAIN, "slots:\n", UNUSED_SLOT)
    folder.change(DOMAIN, "responses:\n", "actions: [action_size]\nresponses:\n  utter_size:\n    - text: Size?\n")
    assert folder.warnings() == []


def test_form_with_code_of_its_own_is_not_doubted(folder: OrderProject) -> None:
    folder.change(DOMAIN, "utter_ask_dish", "utter_ask_drink")
    folder.change(DOMAIN, "responses:\n", "actions: [validate_order_form]\nresponses:\n")
    assert folder.warnings() == []


def test_the_rest_is_checked_where_the_config_is_refused(folder: OrderProject) -> None:
    folder.change("config.yml", "WhitespaceTokenizer", "SpacyTokenizer")
    folder.change(DOMAIN, "[dish]\n", "[dish, size]\n")
    found = examine(ProjectPaths.default(folder.root))
    assert [str(error.location) for error in found.errors] == ["config.yml:6"]
    assert [str(warning.location) for warning in found.warnings] == ["domain.yml:4"]


def test_components_are_checked_where_the_domain_cannot_be_read(folder: OrderProject) -> None:
    folder.change("config.yml", "WhitespaceTokenizer", "SpacyTokenizer")
    folder.change(DOMAIN, "intents: [order, greet]", "intents: order")
    places = [str(error.location) for error in examine(ProjectPaths.default(folder.root)).errors]
    assert places == ["config.yml:6", "domain.yml:3"]
