"""What an author is told of a file that is no YAML: where to look, and what to do there."""

import pytest
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_nodes import parse_yaml


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n\tb: 1\n", "f.yml:2: .* A tab stands before this line: indent with spaces."),
        ('a: 1\nb: "one\nc: 2\n', "f.yml:2: .* The quote that begins in line 2 has no end."),
        ("- text: Note: this\n", "f.yml:1: .* Put a text that has ': ' in it in quotes, or check the indentation."),
        ("a: [1\nb: 2\n", "f.yml:2: .* Check indentation, quotes and colons."),
    ],
    ids=["tab", "quote", "colon", "bracket"],
)
def test_the_advice_fits_the_slip(text: str, told: str) -> None:
    problems = Problems()
    assert parse_yaml(text, "f.yml", problems) is None
    (problem,) = problems.errors
    place, _, advice = told.partition(" .* ")
    assert (str(problem)[: len(place)], str(problem)[-len(advice) :]) == (place, advice)
