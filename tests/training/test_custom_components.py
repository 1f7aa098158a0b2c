"""Components of the author's own, named by their module path."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nlu_bundles import write_nlu
from turnstream.assistant.bundle import BundleWriter, open_bundle
from turnstream.assistant.components import ComponentOptions, WhitespaceTokenizerOptions, read_component
from turnstream.assistant.config import ComponentConfig, ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.nlu_data import Example, NluData
from turnstream.assistant.problems import Problems, ProjectError
from turnstream.nlu.loaded import LoadedNlu
from turnstream.nlu.understanding import Outside
from turnstream.testing.fake_models import FakeModels
from turnstream.testing.harness import SilentReporter
from turnstream.training.nlu_components import fit_nlu
from turnstream.training.nlu_parts import nlu_parts
from turnstream.training.parts import make

MODULE = '''
from dataclasses import replace

from turnstream.dialogue.events import ExtractedEntity, IntentScore
from turnstream.features.custom_component import CustomComponent


class Longest(CustomComponent):
    """The intent of the longest message, for messages that are as long; slow on purpose where asked to be."""

    @classmethod
    def find_faults(cls, options):
        if "confidence" not in options:
            yield "'confidence' is missing."

    def train(self, messages, folder):
        longest = max(messages, key=lambda each: len(each.message.tokens))
        (folder / "longest").write_text(f"{len(longest.message.tokens)} {longest.example.intent}")

    def load(self, folder):
        length, self.intent = (folder / "longest").read_text().split()
        self.length = int(length)

    async def process(self, message):
        if len(message.tokens) < self.length:
            return message
        return replace(message, intent=IntentScore(self.intent, self.options["confidence"]))


class Numbers(CustomComponent):
    def process(self, message):
        found = [token for token in message.tokens if token.text.isdigit()]
        return message.with_entities(
            [ExtractedEntity(entity="n", value=int(t.text), start=t.start, end=t.end) for t in found]
        )


class NoComponent:
    pass


class GraphComponent:
    def process(self, messages):
        return messages


GraphComponent.__module__ = "rasa.engine.graph"


class Other(GraphComponent):
    pass
'''
NLU = NluData(examples=(Example("hi", "greet"), Example("tell me more of it", "ask")))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module with components, in the working folder."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_rasa.py").write_text("import rasa.engine.graph\n")
    (tmp_path / f"{name}_broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def read(name: str, **options: object) -> ComponentOptions:
    problems = Problems()
    found = read_component(ComponentConfig(name, options), problems)
    problems.raise_if_any()
    assert found is not None
    return found


async def test_they_learn_and_take_their_part_in_understanding(module: str, tmp_path: Path) -> None:
    own = [read(f"{module}.Longest", confidence=0.75), read(f"{module}.Numbers")]
    artifacts = fit_nlu([WhitespaceTokenizerOptions(), *own], NLU, Domain())
    with BundleWriter(tmp_path / "bundle", domain=Domain(), config=ModelConfig()) as writer:
        write_nlu(writer, artifacts)
        make(nlu_parts(artifacts, "", NLU), writer, None, SilentReporter())
        nlu = LoadedNlu.load(open_bundle(writer.commit()))
    parsed = (await nlu.parse("now 12 is a number", Outside(FakeModels()))).parse
    assert (parsed.intent.name, parsed.intent.confidence) == ("ask", 0.75)
    assert [(e.entity, e.value, e.start, e.end) for e in parsed.entities] == [("n", 12, 4, 6)]
    assert (await nlu.parse("short", Outside(FakeModels()))).parse.intent.name is None


def test_their_own_check_of_options_refuses(module: str) -> None:
    with pytest.raises(ProjectError, match=r"Longest: 'confidence' is missing\."):
        fit_nlu([WhitespaceTokenizerOptions(), read(f"{module}.Longest")], NLU, Domain())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("{}.Missing", "has no 'Missing'"),
        ("{}.NoComponent", "no class with a method 'process'"),
        ("{}_absent.Thing", "No module named"),
        ("{}_broken.Thing", "failed: ZeroDivisionError"),
        ("{}.Other", "a graph component of Rasa"),
        ("{}_rasa.Thing", "written for Rasa's graph"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(module: str, name: str, why: str) -> None:
    with pytest.raises(ProjectError, match=rf"cannot be loaded\. .*{why}.*docs/custom-components\.md"):
        read(name.format(module))
