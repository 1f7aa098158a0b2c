"""The service `ResponseSelection` over a real socket, and what Rasa recorded."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from support.nlu_bundles import nlu_bundle, pipeline_options
from support.shared import GOLDEN
from turnstream.api.v1 import features_pb2, selection_pb2, selection_pb2_grpc
from turnstream.assistant.bundle import Bundle, BundleError
from turnstream.assistant.components import (
    ComponentOptions,
    CountVectorsFeaturizerOptions,
    ResponseSelectorOptions,
    WhitespaceTokenizerOptions,
)
from turnstream.assistant.domain import Domain, ResponseVariation
from turnstream.assistant.nlu_data import Example, NluData
from turnstream.assistant.reader import ProjectPaths, read_project
from turnstream.dialogue.events import ParseData
from turnstream.dialogue.proto import selected_from_proto
from turnstream.dialogue.rasa_json import parse_to_rasa
from turnstream.features.proto import features_to_proto
from turnstream.nlu.loaded import LoadedNlu
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.selection.loaded import SELECTORS_FILE, LoadedSelection
from turnstream.selection.service import SelectionService
from turnstream.testing.fake_models import FakeModels

NLU = NluData(
    examples=(
        Example("your name", "faq/name"),
        Example("how old", "faq/age"),
        Example("why so", "chat/why"),
        Example("tell a joke", "chat/joke"),
    )
)
RESPONSES = {
    "utter_faq/age": (ResponseVariation(text="42"), ResponseVariation(text="old", image="x.png")),
    "utter_faq/name": (ResponseVariation(text="I am Bot"),),
}
FEATURIZERS: tuple[ComponentOptions, ...] = (WhitespaceTokenizerOptions(), CountVectorsFeaturizerOptions())


def bundle_of(folder: Path, *selectors: ResponseSelectorOptions, nlu: NluData = NLU) -> Bundle:
    return nlu_bundle(folder, [*FEATURIZERS, *selectors], nlu, Domain(responses=RESPONSES))


@dataclass
class Client:
    """`bundle` is served; `models` may be given answers."""

    stub: Any
    bundle: Bundle
    models: FakeModels

    async def select(self, text: str = "how old", **fields: Any) -> selection_pb2.SelectResponseResponse:
        features = features_to_proto(LoadedNlu.load(self.bundle).featurize(text).features)
        request = selection_pb2.SelectResponseRequest(features=features, intent="faq", **fields)
        return await self.stub.SelectResponse(request)  # type: ignore[no-any-return]


async def serve(bundle: Bundle, models: FakeModels) -> AsyncIterator[Client]:
    service = SelectionService(Bundles({"v1": LoadedSelection.load(bundle)}), models)
    add = selection_pb2_grpc.add_ResponseSelectionServicer_to_server
    async with (
        GrpcServer([Service(service, add)]) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Client(selection_pb2_grpc.ResponseSelectionStub(channel), bundle, models)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    # The keys in order: chat/joke, chat/why, faq/age, faq/name.
    models = FakeModels({"selector-default": {"scores": [[0.1, 0.125, 0.5, 0.25]]}})
    async for served in serve(bundle_of(tmp_path, ResponseSelectorOptions()), models):
        yield served


async def test_the_best_response_is_selected_with_its_variations(client: Client) -> None:
    response = await client.select()
    selected = selected_from_proto(response.selections["default"])
    assert (selected.intent_response_key, selected.utter_action, selected.confidence) == (
        "faq/age",
        "utter_faq/age",
        0.5,
    )
    assert selected.responses == ({"text": "42"}, {"text": "old", "image": "x.png"})
    assert [s.intent_response_key for s in selected.ranking] == ["faq/age", "faq/name", "chat/why", "chat/joke"]
    assert list(response.all_retrieval_intents) == ["chat", "faq"]
    assert response.bundle_version == "v1"
    assert client.models.calls[0].inputs["lengths"].tolist() == [2]


async def test_a_payload_selects_nothing(client: Client) -> None:
    response = await client.stub.SelectResponse(selection_pb2.SelectResponseRequest(intent="faq", text="/faq"))
    assert not response.selections
    assert not response.all_retrieval_intents
    assert client.models.calls == []


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (selection_pb2.SelectResponseRequest(text="hi"), "'features' are missing"),
        (
            selection_pb2.SelectResponseRequest(features=features_pb2.Features(tokens=3, ids_per_token=2)),
            "'ids' has 0 values where 6 belong",
        ),
    ],
)
async def test_a_request_without_sound_features_is_refused(client: Client, request_: Any, what: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=what) as refused:
        await client.stub.SelectResponse(request_)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_bundle_is_not_found(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.select(bundle_version="v0")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_scores_of_another_length_are_an_error_that_names_the_model(client: Client) -> None:
    client.models.answers = {"selector-default": {"scores": [[0.5, 0.5]]}}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await client.select()
    assert refused.value.code() is grpc.StatusCode.INTERNAL


async def test_each_retrieval_intent_may_have_a_selector_of_its_own(tmp_path: Path) -> None:
    options = [ResponseSelectorOptions(retrieval_intent=name) for name in ("faq", "chat")]
    models = FakeModels({"selector-faq": {"scores": [[0.25, 0.75]]}, "selector-chat": {"scores": [[0.875, 0.125]]}})
    async for served in serve(bundle_of(tmp_path, *options), models):
        selections = (await served.select()).selections
        assert {name: s.intent_response_key for name, s in selections.items()} == {
            "faq": "faq/name",
            "chat": "chat/joke",
        }


async def test_a_ranking_is_cut_and_scaled_as_the_options_say(tmp_path: Path) -> None:
    options = ResponseSelectorOptions(ranking_length=2, renormalize_confidences=True)
    models = FakeModels({"selector-default": {"scores": [[0.1, 0.15, 0.5, 0.25]]}})
    async for served in serve(bundle_of(tmp_path, options), models):
        selected = selected_from_proto((await served.select()).selections["default"])
        assert [s.intent_response_key for s in selected.ranking] == ["faq/age", "faq/name"]
        assert sum(s.confidence for s in selected.ranking) == pytest.approx(1.0)
        assert selected.confidence == selected.ranking[0].confidence


async def test_a_selector_sees_the_features_of_the_featurizers_that_it_chooses(tmp_path: Path) -> None:
    letters = CountVectorsFeaturizerOptions(analyzer="char_wb", max_ngram=3, alias="letters")
    selectors = [
        ResponseSelectorOptions(retrieval_intent="faq", featurizers=("CountVectorsFeaturizer",)),
        ResponseSelectorOptions(retrieval_intent="chat", featurizers=("letters",)),
    ]
    bundle = nlu_bundle(tmp_path, [*FEATURIZERS, letters, *selectors], NLU)
    models = FakeModels({f"selector-{name}": {"scores": [[0.25, 0.75]]} for name in ("faq", "chat")})
    async for served in serve(bundle, models):
        # Of "hows olds" no word is known, but most of its letters are.
        await served.select("hows olds")

    seen = {call.model: call.inputs for call in models.calls}
    assert seen["selector-faq"]["sentence_ids"].tolist() == [[0]]
    assert seen["selector-faq"]["ids"].any() == seen["selector-faq"]["weights"].any() == np.False_
    assert seen["selector-chat"]["sentence_weights"].sum() > 10


async def test_a_selector_without_examples_gives_what_rasa_recorded(tmp_path: Path) -> None:
    recorded = json.loads((GOLDEN / "init.json").read_text())["parses"]["hello there!"]["response_selector"]
    nlu = NluData(examples=(Example("hello", "greet"), Example("bye", "goodbye")))
    async for served in serve(bundle_of(tmp_path, ResponseSelectorOptions(), nlu=nlu), FakeModels()):
        assert as_rasa(await served.select()) == recorded


async def test_the_recorded_bot_gets_the_shape_that_rasa_recorded(tmp_path: Path) -> None:
    recorded = json.loads((GOLDEN / "responseselectorbot.json").read_text())["parses"]["what is your name?"]
    expected = recorded["response_selector"]
    ranking = expected["default"]["ranking"]
    project = read_project(ProjectPaths.default(GOLDEN / "projects" / "responseselectorbot")).project
    bundle = nlu_bundle(tmp_path, pipeline_options(project), project.nlu, project.domain, project.config)
    scores = {s["intent_response_key"]: s["confidence"] for s in ranking}
    models = FakeModels({"selector-default": {"scores": [[scores[key] for key in sorted(scores)]]}})
    async for served in serve(bundle, models):
        assert as_rasa(await served.select("what is your name?")) == expected


def as_rasa(response: selection_pb2.SelectResponseResponse) -> Any:
    parse = ParseData(
        response_selector={name: selected_from_proto(s) for name, s in response.selections.items()},
        all_retrieval_intents=tuple(response.all_retrieval_intents),
    )
    return parse_to_rasa(parse)["response_selector"]


def test_a_damaged_file_of_selectors_is_refused_by_name(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, ResponseSelectorOptions())
    (bundle.root / SELECTORS_FILE).write_text("{}")
    with pytest.raises(BundleError, match=SELECTORS_FILE):
        LoadedSelection.load(bundle)
