"""docs/reference/ says what the code says."""

import re
import runpy
from pathlib import Path

import pytest
from support.shared import REPOSITORY
from turnstream.assistant.components import known_components
from turnstream.cli.main import COMMANDS

SCRIPT = runpy.run_path(str(REPOSITORY / "scripts" / "generate_docs.py"))
REFERENCE = REPOSITORY / "docs" / "reference"


def headings(page: str) -> set[str]:
    return set(re.findall(r"^#+ (.+)$", (REFERENCE / page).read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", SCRIPT["PAGES"], ids=lambda page: page.name)
def test_pages_are_as_the_code_has_them(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == SCRIPT["fresh"](page), "run scripts/generate_docs.py"


def test_nothing_else_is_in_the_folder() -> None:
    assert set(REFERENCE.rglob("*")) == {page for page in SCRIPT["PAGES"] if page.is_relative_to(REFERENCE)}


def test_every_component_and_command_has_its_place() -> None:
    text = (REFERENCE / "config.md").read_text(encoding="utf-8")
    named = headings("config.md") | set(
        re.findall(r"^\| `(\w+)` \|", text.partition("## What is refused")[2], re.MULTILINE)
    )
    assert {name for name in known_components() if name != "custom component"} <= named
    assert {f"turnstream {name}" for name in COMMANDS} <= headings("commands.md")


def test_a_key_without_a_meaning_stops_the_generator() -> None:
    described = SCRIPT["domain_keys"].described
    with pytest.raises(ValueError, match="differ in colour"):
        described(("text", "colour"), {"text": "What is said."})
