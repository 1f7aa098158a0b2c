"""Reports on NLU as files, by the peer's names and in its shapes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from turnstream.assistant.nlu_data import EntityAnnotation, Example
from turnstream.dialogue.events import ExtractedEntity, IntentScore, ParseData, ResponseScore, SelectedResponse
from turnstream.evaluation.files import ReportWriter
from turnstream.evaluation.nlu import Understood, reports, understand
from turnstream.evaluation.plots import Plots

CITY = EntityAnnotation(3, 7, "city", "Rome", role="to")
EXAMPLES = (Example("to Rome", "go", (CITY,)), Example("why?", "faq/why"), Example("how?", "faq/how"))


async def parse(text: str) -> ParseData:
    found = ExtractedEntity("city", "Rome", 3, 7, role="from", confidence=0.8, extractor="DIETClassifier")
    number = ExtractedEntity("number", 1, 0, 2, extractor="DucklingEntityExtractor")
    key = SelectedResponse("faq/why", 0.7, "utter_faq/why", ranking=(ResponseScore("faq/why", 0.7),))
    is_trip = text == "to Rome"
    return ParseData(
        text=text,
        intent=IntentScore("go" if is_trip else "faq", 0.9),
        entities=(found, number) if is_trip else (),
        text_tokens=((0, 2), (3, 7)) if is_trip else ((0, 3),),
        response_selector={} if is_trip else {"faq": key},
    )


class Outlines(Plots):
    """Makes the files of the pictures, and draws nothing: drawing takes seconds."""

    def confusion_matrix(self, path: Path, decisions: Sequence[tuple[str, ...]]) -> None:
        path.touch()

    def histogram(self, path: Path, decisions: Sequence[tuple[bool, float]]) -> None:
        path.touch()


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    writer = ReportWriter(tmp_path, plots=Outlines(), successes=True)
    writer.write_nlu(reports(await understand(EXAMPLES, parse), ("DIETClassifier",)))
    return tmp_path


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_files_have_the_peers_names_and_shapes(folder: Path) -> None:
    kinds = ("report.json", "errors.json", "successes.json", "confusion_matrix.png", "histogram.png")
    parts = ("intent", "response_selection", "DIETClassifier")
    # There is no file of no cases.
    empty = {"intent_errors.json", "DIETClassifier_successes.json"}
    assert {path.name for path in folder.iterdir()} == {f"{part}_{kind}" for part in parts for kind in kinds} - empty
    assert read(folder / "intent_report.json")["accuracy"] == 1.0
    assert read(folder / "DIETClassifier_report.json")["city.to"]["confused_with"] == {"city.from": 1}
    assert read(folder / "DIETClassifier_errors.json") == [
        {
            "text": "to Rome",
            "entities": [{"start": 3, "end": 7, "entity": "city", "value": "Rome", "role": "to"}],
            "predicted_entities": [
                {
                    "start": 3,
                    "end": 7,
                    "entity": "city",
                    "value": "Rome",
                    "role": "from",
                    "confidence_entity": 0.8,
                    "extractor": "DIETClassifier",
                }
            ],
        }
    ]
    assert read(folder / "response_selection_errors.json") == [
        {
            "text": "how?",
            "intent_response_key_target": "faq/how",
            "intent_response_key_prediction": {"name": "faq/why", "confidence": 0.7},
        }
    ]


def test_list_of_an_earlier_test_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "intent_errors.json").write_text("[]")
    one = Understood(Example("hi", "greet"), ParseData(text="hi", intent=IntentScore("greet", 0.9)))
    ReportWriter(tmp_path, plots=None).write_nlu(reports([one]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["intent_report.json"]
