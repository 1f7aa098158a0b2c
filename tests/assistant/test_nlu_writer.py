"""NLU data that is written is read back as it was."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.shared import SHARED
from turnstream.assistant.files import Files
from turnstream.assistant.location import NOWHERE
from turnstream.assistant.nlu_data import EntityAnnotation, Example, LookupTable, NluData, RegexPattern
from turnstream.assistant.nlu_reader import NluCollector
from turnstream.assistant.nlu_writer import nlu_yaml
from turnstream.assistant.problems import Problems


def read(path: Path) -> NluData:
    problems = Problems()
    root = Files(path.parent, problems).read_mapping(path)
    assert root is not None
    nlu = NluCollector(problems)
    nlu.read_file(root)
    assert problems.errors == []
    return placeless(nlu.data())


def placeless(data: NluData) -> NluData:
    """Without the places in files, which writing does not keep; examples by intent."""
    order = list(dict.fromkeys(example.intent for example in data.examples))
    examples = sorted((replace(e, location=NOWHERE) for e in data.examples), key=lambda e: order.index(e.intent))
    return replace(
        data,
        examples=tuple(examples),
        regexes=tuple(replace(r, location=NOWHERE) for r in data.regexes),
        lookups=tuple(replace(table, location=NOWHERE) for table in data.lookups),
    )


def test_entities_metadata_synonyms_patterns_and_tables_come_back(tmp_path: Path) -> None:
    text = "from Berlin to 'SF': #now"
    marks = (EntityAnnotation(5, 11, "city", "Berlin", "from"), EntityAnnotation(16, 18, "city", "San Francisco"))
    data = NluData(
        examples=(
            Example(text, "book", marks),
            Example("hello - there: | x", "greet"),
            Example("two\nlines", "faq/lines", metadata={"intent": {"team": "faq"}, "example": {"sentiment": 0.5}}),
        ),
        synonyms={"SF": "San Francisco"},
        regexes=(RegexPattern("zip", r"\d{5}"),),
        lookups=(LookupTable("country", ("Chile", "Peru")),),
    )
    (tmp_path / "nlu.yml").write_text(nlu_yaml(data))
    assert read(tmp_path / "nlu.yml") == placeless(data)


@pytest.mark.parametrize("bot", ["formbot", "concertbot", "responseselectorbot"])
def test_data_of_real_projects_comes_back(bot: str, tmp_path: Path) -> None:
    files = sorted((SHARED / "golden" / "projects" / bot / "data").glob("nlu*.yml"))
    assert files
    for file in files:
        data = read(file)
        (tmp_path / file.name).write_text(nlu_yaml(data))
        assert read(tmp_path / file.name) == data
