"""Settings, metrics, files and modules that pages name are there."""

import ast
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from support.pages import blocks
from support.shared import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = (REPOSITORY / "README.md", REPOSITORY / "ARCHITECTURE.md", *sorted(DOCS.glob("*.md")))
SCRIPT = runpy.run_path(str(REPOSITORY / "scripts" / "generate_docs.py"))
VARIABLES = {row.variable for row in SCRIPT["settings_table"]()} | {
    "TURNSTREAM_PROJECT",
    "TURNSTREAM_TAG",
    "TURNSTREAM_BENCH_RASA",
}
"""The last three are those of docker/compose.yaml and of the benchmarks."""

METRICS = frozenset(SCRIPT["metrics"]())
FOLDERS = "services|docs|helm|docker|examples|protos|scripts|benchmarks"
PATH = re.compile(rf"`((?:{FOLDERS})/[\w./-]+|tests/[a-z_]+/[\w./-]+)`")
MODULE = re.compile(r"python -m ((?:turnstream|benchmarks|fuzz)[\w.]*\w)")


def named(page: Path, pattern: str) -> set[str]:
    return set(re.findall(pattern, page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    variables = named(page, r"\bTURNSTREAM_[A-Z0-9_]*[A-Z0-9]\b(?![_*])") - VARIABLES
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named(page, r"\bturnstream_[a-z_]+[a-z]\b")}
    files = {name for name in named(page, PATH.pattern) if not (REPOSITORY / name).exists()}
    modules = {name for name in named(page, MODULE.pattern) if not is_module(name)}
    assert not variables | (metrics - METRICS) | files | modules


def is_module(name: str) -> bool:
    places = (folder / name.replace(".", "/") for folder in (REPOSITORY, REPOSITORY / "services"))
    return any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_python_yaml_and_json_can_be_read(page: Path) -> None:
    readers: dict[str, Callable[[str], object]] = {"yaml": yaml.safe_load, "python": ast.parse, "json": json.loads}
    for block in blocks(page):
        if block.language in readers:
            assert readers[block.language]("\n".join(block.lines)), block.place
