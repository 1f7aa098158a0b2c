"""Stories cut out of their file."""

import pytest
import yaml
from turnstream.authoring.splitting import NotSplittable, split_stories

TEXT = """version: "3.1"   # kept
# a comment of the file
stories:
# a comment of the section
- story: a   # first
  steps:
  - intent: "no"
  - action: utter_a

- story: b
  steps:
  - intent: greet
  - action: utter_b
- story: c
  steps:
  - intent: greet
  - action: utter_c

rules:
- rule: r
  steps:
  - intent: greet
  - action: utter_r
"""


def names(text: str) -> list[str]:
    return [story["story"] for story in yaml.safe_load(text)["stories"]]


def test_each_story_is_in_one_part_as_it_was_written() -> None:
    parts = split_stories(TEXT, 0.67, 1)
    assert parts is not None
    assert sorted(names(parts.learned) + names(parts.tested)) == ["a", "b", "c"]
    assert (parts.learned_count, parts.tested_count) == (2, 1)
    whole = {story["story"]: story for story in yaml.safe_load(TEXT)["stories"]}
    for text in (parts.learned, parts.tested):
        assert all(story == whole[story["story"]] for story in yaml.safe_load(text)["stories"])
        assert 'version: "3.1"   # kept' in text
    assert ("- story: a   # first" in parts.learned) != ("- story: a   # first" in parts.tested)


def test_what_is_no_story_is_learned_from() -> None:
    parts = split_stories(TEXT, 0.5, 2)
    assert parts is not None
    assert yaml.safe_load(parts.learned)["rules"] == yaml.safe_load(TEXT)["rules"]
    assert set(yaml.safe_load(parts.tested)) == {"version", "stories"}


def test_the_seed_chooses() -> None:
    chosen = {tuple(names(parts.tested)) for seed in range(20) if (parts := split_stories(TEXT, 0.67, seed))}
    assert chosen == {("a",), ("b",), ("c",)}
    assert split_stories(TEXT, 0.67, 3) == split_stories(TEXT, 0.67, 3)


def test_stories_at_the_end_of_the_file_and_indented() -> None:
    text = "stories:\n  - story: a\n    steps: []\n  - story: b\n    steps: [{intent: greet}]"
    parts = split_stories(text, 0.5, 1)
    assert parts is not None
    assert sorted(names(parts.learned) + names(parts.tested)) == ["a", "b"]


@pytest.mark.parametrize(("count", "fraction", "parts"), [(2, 0.9, (1, 1)), (2, 0.1, (1, 1)), (1, 0.5, (1, 0))])
def test_no_part_is_empty_where_there_are_stories_for_both(count: int, fraction: float, parts: tuple[int, int]) -> None:
    text = "stories:\n" + "".join(f"- story: s{n}\n  steps: []\n" for n in range(count))
    found = split_stories(text, fraction, 1)
    assert found is not None
    assert (found.learned_count, found.tested_count) == parts
    assert len(yaml.safe_load(found.tested)["stories"]) == parts[1]


def test_file_without_stories() -> None:
    assert split_stories("rules: []\n", 0.5, 1) is None
    assert split_stories("", 0.5, 1) is None


def test_stories_in_one_line_are_refused() -> None:
    with pytest.raises(NotSplittable, match="one below the other"):
        split_stories("stories: [{story: a, steps: []}, {story: b, steps: []}]\n", 0.5, 1)
