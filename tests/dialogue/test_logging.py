"""What the fold logs names the slot, and not what somebody said."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from turnstream.assistant.domain import Domain, Slot
from turnstream.dialogue.events import SlotSet
from turnstream.dialogue.fold import Dialogue

CLASS = """
from rasa.shared.core.slots import Slot


class Quoting(Slot):
    def _as_feature(self):
        return [float(self.value or 0)]
"""
MODULE = "slots_that_quote"


@pytest.fixture
def slot_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / f"{MODULE}.py").write_text(CLASS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield f"{MODULE}.Quoting"
    sys.modules.pop(MODULE, None)


def test_a_value_that_its_class_cannot_read_is_in_no_log(slot_type: str, caplog: pytest.LogCaptureFixture) -> None:
    domain = Domain(slots={"n": Slot("n", slot_type)})
    dialogue = Dialogue("c", domain, [SlotSet(name="n", value="my number is 12345")])
    assert dialogue.tracker.slots["n"] == "my number is 12345"
    assert "the class of slot 'n' failed (ValueError)" in caplog.text
    assert "12345" not in caplog.text
