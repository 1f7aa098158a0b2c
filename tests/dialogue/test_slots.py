"""What policies see of slots, type by type."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.shared import GOLDEN
from turnstream.assistant.domain import Domain, Slot
from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.dialogue.slots import (
    SlotClassError,
    check_slot_classes,
    featurize_slot,
    slot_feature_size,
    stored_value,
)


@pytest.mark.parametrize(
    ("slot", "value", "features"),
    [
        (Slot("s", "text"), None, (0.0,)),
        (Slot("s", "text"), "", (1.0,)),
        (Slot("s", "text"), False, (1.0,)),
        (Slot("s", "bool"), True, (1.0, 1.0)),
        (Slot("s", "bool"), False, (1.0, 0.0)),
        (Slot("s", "bool"), 1, (1.0, 1.0)),
        (Slot("s", "bool"), 1.0, (1.0, 1.0)),
        (Slot("s", "bool"), 2, (1.0, 0.0)),
        (Slot("s", "bool"), " True ", (1.0, 1.0)),
        (Slot("s", "bool"), "FALSE", (1.0, 0.0)),
        (Slot("s", "bool"), "1", (1.0, 1.0)),
        (Slot("s", "bool"), "7", (1.0, 0.0)),
        (Slot("s", "bool"), "1.0", (0.0, 0.0)),
        (Slot("s", "bool"), "²", (0.0, 0.0)),
        (Slot("s", "bool"), "yes", (0.0, 0.0)),
        (Slot("s", "bool"), [True], (0.0, 0.0)),
        (Slot("s", "bool"), None, (0.0, 0.0)),
        (Slot("s", "float"), 0.25, (1.0, 0.25)),
        (Slot("s", "float"), "0.25", (1.0, 0.25)),
        (Slot("s", "float"), 250, (1.0, 1.0)),
        (Slot("s", "float"), -3, (1.0, 0.0)),
        (Slot("s", "float", min_value=10, max_value=20), 15, (1.0, 0.5)),
        (Slot("s", "float"), "lots", (0.0, 0.0)),
        (Slot("s", "float"), "nan", (1.0, 1.0)),
        (Slot("s", "float"), 10**400, (0.0, 0.0)),
        (Slot("s", "float"), None, (0.0, 0.0)),
        (Slot("s", "list"), None, (0.0,)),
        (Slot("s", "list"), [], (0.0,)),
        (Slot("s", "list"), [None], (1.0,)),
        (Slot("s", "list"), "", (0.0,)),
        (Slot("s", "categorical", values=("low", "High")), "HIGH", (0.0, 1.0, 0.0)),
        (Slot("s", "categorical", values=("low", "High")), "else", (0.0, 0.0, 1.0)),
        (Slot("s", "categorical", values=("low", "High")), None, (0.0, 0.0, 0.0)),
        (Slot("s", "categorical", values=(1, True)), 1, (1.0, 0.0, 0.0)),
        (Slot("s", "categorical", values=(1, True)), "true", (0.0, 1.0, 0.0)),
        (Slot("s", "categorical", values=("low", None, "null")), "NULL", (0.0, 1.0, 0.0)),
        (Slot("s", "categorical", values=("__other__", "a")), "b", (1.0, 0.0)),
        (Slot("s", "categorical"), "anything", (1.0,)),
        (Slot("s", "any"), "x", ()),
        (Slot("s", "text", influence_conversation=False), "x", ()),
    ],
)
def test_features_of_a_value(slot: Slot, value: Any, features: tuple[float, ...]) -> None:
    assert featurize_slot(slot, value) == features
    assert slot_feature_size(slot) == len(features)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [("list", "solo", ["solo"]), ("list", ["a"], ["a"]), ("list", "", ""), ("list", None, None), ("bool", "x", "x")],
)
def test_what_a_slot_stores(kind: str, value: Any, stored: Any) -> None:
    assert stored_value(Slot("s", kind), value) == stored


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_slot_class_written_for_rasa_works_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(GOLDEN / "micro/slots/custom-slot-class"))
    slot = Slot("age", "my_slots.AgeSlot", options={"limit": 18})
    assert [featurize_slot(slot, v) for v in (None, 7, "18", "x")] == [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)]
    assert slot_feature_size(slot) == 2
    quiet = Slot("age", "my_slots.AgeSlot", influence_conversation=False)
    assert featurize_slot(quiet, 7) == ()
    assert not any(name == "rasa" or name.startswith("rasa.") for name in sys.modules)


def test_a_class_with_the_documented_methods_is_enough(folder: Path) -> None:
    (folder / "plain_slots.py").write_text(
        "class Even:\n"
        "    def __init__(self, name, mappings, influence_conversation, initial_value=None):\n"
        "        self.value = initial_value\n"
        "    def feature_dimensionality(self): return 1\n"
        "    def as_feature(self): return [float(self.value is not None and self.value % 2 == 0)]\n"
    )
    assert [featurize_slot(Slot("n", "plain_slots.Even"), v) for v in (None, 1, 2)] == [(0.0,), (0.0,), (1.0,)]


CLASSES = """\
from rasa.shared.core import slots
from rasa.shared.core.slots import AnySlot, BooleanSlot, CategoricalSlot, FloatSlot, ListSlot, TextSlot, bool_from_any

class Text(TextSlot):
    def _feature_dimensionality(self): return 2
    def _as_feature(self): return super()._as_feature() + [float(str(self.value).startswith("a"))]

class Bool(BooleanSlot):
    def _as_feature(self): return super()._as_feature()[::-1]

class Categorical(CategoricalSlot):
    def __init__(self, name, mappings, values=None, **options):
        super().__init__(name, mappings, ["low", *values], **options)

class Float(FloatSlot):
    def _as_feature(self):
        is_set, share = super()._as_feature()
        return [is_set, float(share > 0.5)]

class List(ListSlot):
    def _feature_dimensionality(self): return 2
    def _as_feature(self): return [float(len(self.value or []) > n) for n in range(2)]

class Any(AnySlot): ...

class Truth(slots.Slot):
    def _as_feature(self):
        try:
            return [float(bool_from_any(self.value))]
        except (TypeError, ValueError):
            return [-1.0]
"""


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        ("Text", {}, {None: (0.0, 0.0), "ab": (1.0, 1.0), "b": (1.0, 0.0)}),
        ("Bool", {}, {None: (0.0, 0.0), "true": (1.0, 1.0), False: (0.0, 1.0)}),
        (
            "Categorical",
            {"values": ["HIGH"]},
            {None: (0.0, 0.0, 0.0), "Low": (1.0, 0.0, 0.0), "high": (0.0, 1.0, 0.0), "odd": (0.0, 0.0, 1.0)},
        ),
        ("Float", {"max_value": 10}, {None: (0.0, 0.0), 4: (1.0, 0.0), "7": (1.0, 1.0), "x": (0.0, 0.0)}),
        ("List", {}, {None: (0.0, 0.0), "a": (1.0, 0.0), ("a", "b"): (1.0, 0.0)}),
        ("Any", {}, {None: (), "a": ()}),
        ("Truth", {}, {None: (-1.0,), "True": (1.0,), "perhaps": (-1.0,)}),
    ],
)
def test_a_class_may_derive_from_every_built_in_slot_of_rasa(
    folder: Path, kind: str, options: dict[str, Any], shown: dict[Any, tuple[float, ...]]
) -> None:
    (folder / "derived_slots.py").write_text(CLASSES)
    slot = Slot("s", f"derived_slots.{kind}", options=options)
    assert {value: featurize_slot(slot, value) for value in shown} == shown
    assert {len(features) for features in shown.values()} == {slot_feature_size(slot)}


def test_what_is_written_of_influence_counts_before_the_default_of_a_class(folder: Path) -> None:
    (folder / "influence_slots.py").write_text(
        "from rasa.shared.core.slots import Slot\n"
        "class Quiet(Slot):\n"
        "    def __init__(self, name, mappings, influence_conversation=False):\n"
        "        super().__init__(name, mappings, influence_conversation=influence_conversation)\n"
        "    def _as_feature(self): return [1.0]\n"
    )
    silent = Slot("s", "influence_slots.Quiet")
    assert slot_feature_size(silent) == 0
    assert slot_feature_size(replace(silent, options={"influence_conversation": True})) == 1


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [
        ("txt", "", "'txt' is no slot type"),
        ("slots_away.Gone", "", "run in the project's folder, or put the module's folder on PYTHONPATH"),
        (
            "odd_f.Loose",
            "from rasa.shared.core.slots import AnySlot\n"
            "class Loose(AnySlot):\n"
            "    def __init__(self, name, mappings): super().__init__(name, mappings, influence_conversation=True)\n",
            "A slot of type 'any' cannot influence the conversation",
        ),
        (
            "odd_h.Empty",
            "from rasa.shared.core.slots import FloatSlot\n"
            "class Empty(FloatSlot):\n"
            "    def __init__(self, name, mappings): super().__init__(name, mappings, min_value=1, max_value=1)\n",
            "min_value, 1, must be below max_value, 1",
        ),
        ("odd_g.Deep", "from rasa.core.agent import Agent\n", "of Rasa only these of rasa.shared.core.slots are there"),
        ("odd_a.Missing", "", "module odd_a has no class Missing"),
        ("odd_b.Half", "class Half:\n    def as_feature(self): return []\n", "needs a method feature_dimensionality()"),
        ("odd_c.Broken", "raise ValueError('no')\n", "importing odd_c failed: ValueError('no')"),
        (
            "odd_d.Fussy",
            "from rasa.shared.core.slots import Slot\nclass Fussy(Slot):\n    def __init__(self): ...\n",
            "slot 'n': class odd_d.Fussy cannot be created",
        ),
        (
            "odd_e.Failing",
            "from rasa.shared.core.slots import Slot\nclass Failing(Slot):\n    def _as_feature(self): return 1 / 0\n",
            "slot 'n': its class odd_e.Failing failed",
        ),
    ],
)
def test_a_class_that_cannot_be_used_is_refused_by_name(folder: Path, kind: str, source: str, message: str) -> None:
    if "odd" in kind:
        (folder / f"{kind.split('.')[0]}.py").write_text(source)
    with pytest.raises(SlotClassError) as caught:
        featurize_slot(Slot("n", kind), 1)
    assert message in str(caught.value)


def test_a_class_that_cannot_be_used_is_an_error_at_its_slot() -> None:
    slots = {
        "good": Slot("good", "text"),
        "bad": Slot("bad", "slots_away.Gone", location=Location("domain.yml", 7)),
    }
    problems = Problems()
    check_slot_classes(Domain(slots=slots), problems)
    (problem,) = problems.errors
    assert str(problem).startswith("domain.yml:7: The slot 'bad': slot type 'slots_away.Gone' cannot be imported")


def test_a_key_that_a_class_of_rasas_kind_does_not_take_is_an_error(folder: Path) -> None:
    (folder / "strict_slots.py").write_text(
        "from rasa.shared.core.slots import Slot\nclass Strict(Slot):\n    def _as_feature(self): return [1.0]\n"
    )
    problems = Problems()
    slot = Slot("s", "strict_slots.Strict", options={"colour": "red"}, location=Location("domain.yml", 3))
    check_slot_classes(Domain(slots={"s": slot}), problems)
    assert "unexpected keyword argument 'colour'" in str(problems.errors[0])
