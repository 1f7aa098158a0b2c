"""Adding to files that people wrote."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from turnstream.assistant.yaml_writer import Block
from turnstream.authoring.amending import NotAmendable, amended

STORY = {"story": "new", "steps": [{"intent": "greet"}, {"action": "utter_greet"}]}


def test_list_in_lines_keeps_its_indentation_and_comments() -> None:
    text = "# mine\nintents:\n  - greet   # hello\n  # last\n\n# of the next\nslots: {}\n"
    assert amended(text, "intents", ["bye"]) == (
        "# mine\nintents:\n  - greet   # hello\n  - bye\n  # last\n\n# of the next\nslots: {}\n"
    )


def test_list_at_the_left_margin_at_the_end_of_a_file_without_a_last_line_end() -> None:
    text = "stories:\n- story: old\n  steps:\n  - intent: greet"
    assert amended(text, "stories", [STORY]) == (
        "stories:\n- story: old\n  steps:\n  - intent: greet\n"
        "- story: new\n  steps:\n  - intent: greet\n  - action: utter_greet\n"
    )


def test_mapping() -> None:
    text = "responses:\n    utter_greet:\n    - text: hi\n\nactions:\n- a\n"
    assert amended(text, "responses", {"utter_bye": [{"text": "bye: now"}]}) == (
        "responses:\n    utter_greet:\n    - text: hi\n    utter_bye:\n    - text: 'bye: now'\n\nactions:\n- a\n"
    )


def test_list_in_brackets() -> None:
    assert amended("intents: [greet, 'no']  # all\nslots: {}\n", "intents", ["yes", "bye"]) == (
        "intents: [greet, 'no', 'yes', bye]  # all\nslots: {}\n"
    )
    assert amended("intents: []\n", "intents", ["bye"]) == "intents: [bye]\n"


def test_section_that_is_not_there_or_is_empty() -> None:
    assert amended("version: '3.1'\n", "actions", ["a"]) == "version: '3.1'\n\nactions:\n  - a\n"
    assert amended("actions:\nslots: {}\n", "actions", ["a"]) == "actions:\n  - a\nslots: {}\n"


def test_new_file() -> None:
    assert yaml.safe_load(amended("", "stories", [STORY])) == {"version": "3.1", "stories": [STORY]}


def test_blocks_of_text_stay_blocks() -> None:
    text = 'nlu:\n  - intent: greet\n    examples: |\n      - hi\n      - hello\nversion: "3.1"\n'
    assert amended(text, "nlu", [{"intent": "bye", "examples": Block("- bye\n- so long\n")}]) == (
        "nlu:\n  - intent: greet\n    examples: |\n      - hi\n      - hello\n"
        '  - intent: bye\n    examples: |\n      - bye\n      - so long\nversion: "3.1"\n'
    )


def test_nothing_to_add_changes_nothing() -> None:
    assert amended("stories: 3\n", "stories", []) == "stories: 3\n"


@pytest.mark.parametrize("text", ["stories: some\n", "- a\n", "{stories: []}\n", "stories: [\n", "stories: {a: 1}\n"])
def test_what_cannot_be_added_to_is_refused(text: str) -> None:
    with pytest.raises(NotAmendable):
        amended(text, "stories", [STORY])


WORDS = st.text("ab:#- 'é\"", min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["intents", "actions", "responses"]), st.lists(WORDS, max_size=3), max_size=3),
    st.lists(WORDS, min_size=1, max_size=3),
    st.booleans(),
)
def test_everything_that_was_there_stays(content: dict[str, Any], added: list[str], flow: bool) -> None:
    style = None if flow else False
    text = "version: '3.1'\n" + (
        yaml.safe_dump(content, default_flow_style=style, allow_unicode=True) if content else ""
    )
    read = yaml.load(amended(text, "actions", added), Loader=yaml.BaseLoader)
    assert read == {"version": "3.1", **content, "actions": [*content.get("actions", []), *added]}
