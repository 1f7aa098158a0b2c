"""docs/conformance.md names tests that exist, and says where there is none."""

import ast
import re
from functools import cache

import pytest
from support.shared import GOLDEN, REPOSITORY

TABLE = (REPOSITORY / "docs" / "conformance.md").read_text(encoding="utf-8")
ROWS = [row for row in re.findall(r"^\| (.+) \| (.+) \|$", TABLE, re.MULTILINE) if row[0] not in ("point", "---")]
NONE_YET: frozenset[str] = frozenset()
"""Points without a test; the table says so. The list may only shrink."""


@cache
def names_in(path: str) -> frozenset[str]:
    file = REPOSITORY / path
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module(body=[], type_ignores=[])
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def exists(shown_by: str) -> bool:
    if shown_by.startswith("micro: "):
        return (GOLDEN / "micro" / shown_by.removeprefix("micro: ") / "golden.json").is_file()
    path, _, name = shown_by.partition("::")
    return name in names_in(path)


@pytest.mark.parametrize(("point", "shown"), ROWS, ids=[point for point, _ in ROWS])
def test_each_point_is_shown_by_tests_that_exist(point: str, shown: str) -> None:
    named = re.findall(r"`([^`]+)`", shown)
    assert bool(named) != (shown == "missing"), f"neither tests nor 'missing': {shown}"
    assert [name for name in named if not exists(name)] == []


def test_points_without_a_test_are_known() -> None:
    assert {point for point, shown in ROWS if shown == "missing"} == NONE_YET


def test_the_table_is_read() -> None:
    assert len(ROWS) > 60
    assert not exists("tests/conformance/test_table.py::test_that_is_not_there")
    assert not exists("micro: no/such-project")
