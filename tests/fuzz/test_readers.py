"""Inputs that once brought a reader down, and those that its fuzzing begins with, are read or refused."""

from pathlib import Path

import pytest

from fuzz.targets import TARGETS
from fuzz.yaml_readers import BOMB

CASES = Path(__file__).resolve().parents[2] / "fuzz" / "cases"
FOUND = sorted(CASES.glob("*/*"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_begins_with_is_read_or_refused(name: str) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        TARGETS[name](seed)


@pytest.mark.parametrize("case", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_stays_mended(case: Path) -> None:
    assert TARGETS[case.parent.name](case.read_bytes()) is None


def test_an_error_that_is_not_documented_is_a_finding() -> None:
    def read(data: bytes) -> None:
        raise KeyError(data)

    target = type(TARGETS["json"])("broken", read, (ValueError,))
    with pytest.raises(KeyError):
        target(b"x")


def test_a_billion_values_in_a_few_bytes_are_refused() -> None:
    """By the number of values, not for want of memory."""
    from turnstream.assistant.problems import Problems
    from turnstream.assistant.yaml_nodes import parse_yaml
    from turnstream.runtime.yaml_text import BadYaml, load_yaml

    problems = Problems()
    assert parse_yaml(BOMB, "domain.yml", problems) is None
    assert [problem.message for problem in problems.errors] == ["No valid YAML: aliases repeat too much."]
    with pytest.raises(BadYaml, match="more than 100000 values"):
        load_yaml(BOMB.decode())
