"""The configuration by which a model server holds the models of a rollout's bundles."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import grpc.aio
import pytest
from google.protobuf import text_format
from support.bundle_folder import damage, put_bundle
from tensorflow_serving.config import model_server_config_pb2 as official
from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.assistant.bundle import BundledModel, BundleError, open_bundle
from turnstream.inference.model_config import ModelPlaces, batching_text
from turnstream.inference.model_config_writer import ModelConfigWriter
from turnstream.inference.repository import ModelRepository
from turnstream.inference.service import model_services
from turnstream.inference.signatures import Signature
from turnstream.inference.sources import models_in_config, models_in_folders
from turnstream.runtime.rollout import Canary, RolloutPlan, write_plan
from turnstream.runtime.rollout_files import RolloutFiles
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.settings import ModelServerSettings

HOLD_S = 100.0


class Written:
    """A writer under test; `now` is its clock, `loaded` what the model server is said to have."""

    def __init__(self, tmp_path: Path, *, asks: bool = False) -> None:
        self.bundles = tmp_path / "bundles"
        self.bundles.mkdir()
        self.models = tmp_path / "models"
        self.config = self.models / "models.config"
        self.files = RolloutFiles(self.bundles)
        self.now = 0.0
        self.loaded: set[tuple[str, int]] = set()
        self.writer = ModelConfigWriter(
            self.files,
            self.models,
            self.config,
            hold_s=HOLD_S,
            is_available=self._is_available if asks else None,
            clock=lambda: self.now,
        )

    async def _is_available(self, model: str, version: int) -> bool:
        return (model, version) in self.loaded

    def put(self, version: str, day: int, **models: int) -> Path:
        """Models by name with their versions."""
        content = {(name, number): f"{name} {number}" for name, number in models.items()}
        return put_bundle(self.bundles, version, day, content)

    def plan(self, stable: str, canary: str = "") -> None:
        write_plan(self.files.plan_file, RolloutPlan(stable, Canary(canary, 0.3) if canary else None))

    def held(self) -> dict[str, list[int]]:
        return {name: sorted(files.versions) for name, files in models_in_config(self.config).items()}

    def labels(self) -> dict[str, Mapping[str, int]]:
        return {name: dict(files.labels) for name, files in models_in_config(self.config).items()}


async def test_models_of_two_bundles_stand_side_by_side(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.put("a", 1, diet=100, ted=100)
    written.put("b", 2, diet=200, ted=100)
    written.plan("a", "b")
    assert await written.writer.look()
    assert written.held() == {"diet": [100, 200], "ted": [100]}
    assert written.labels() == {"diet": {"stable": 100, "canary": 200}, "ted": {"stable": 100, "canary": 100}}
    for name, version in (("diet", 100), ("diet", 200), ("ted", 100)):
        assert (written.models / name / str(version) / "saved_model.pb").read_text() == f"{name} {version}"
    assert not await written.writer.look(), "nothing is new"


async def test_tensorflow_serving_reads_the_same_file(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.put("a", 1, diet=1767312000)
    written.put("b", 2, diet=1767398400)
    written.plan("a", "b")
    await written.writer.look()
    config = text_format.Parse(written.config.read_text(), official.ModelServerConfig())
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path, entry.model_platform) == ("diet", str(written.models / "diet"), "tensorflow")
    assert list(entry.model_version_policy.specific.versions) == [1767312000, 1767398400]
    assert dict(entry.version_labels) == {"stable": 1767312000, "canary": 1767398400}
    assert Path(entry.base_path).is_absolute()
    ours = text_format.Parse(written.config.read_text(), pb.ModelServerConfig())
    assert ours.SerializeToString(deterministic=True) == config.SerializeToString(deterministic=True)


async def test_versions_stay_until_nobody_may_ask_for_them(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.put("a", 1, diet=1)
    written.put("b", 2, diet=2)
    written.put("c", 3, diet=3)
    written.plan("a")
    await written.writer.look()
    for stable in ("b", "c"):
        written.plan(stable)
        await written.writer.look()
    assert written.held() == {"diet": [1, 2, 3]}
    written.now += HOLD_S
    assert await written.writer.look()
    # The one before stays: services go back to it where the new one turns out to be broken.
    assert written.held() == {"diet": [2, 3]}
    assert (written.models / "diet" / "1").is_symlink()
    await written.writer.look()
    assert not (written.models / "diet" / "1").is_symlink()


async def test_broken_bundle_is_left_out_and_takes_nothing_away(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.put("a", 1, diet=1)
    written.plan("a")
    await written.writer.look()
    damage(written.put("b", 2, diet=2))
    written.plan("b")
    written.now += 10 * HOLD_S
    await written.writer.look()
    assert written.held() == {"diet": [1]}
    assert any("damaged" in problem for problem in written.writer.problems)


async def test_after_a_start_the_newest_other_bundle_is_held_as_well(tmp_path: Path) -> None:
    written = Written(tmp_path)
    for day, version in enumerate(("a", "b", "c")):
        written.put(version, day + 1, diet=day + 1)
    written.plan("c")
    await written.writer.look()
    assert written.held() == {"diet": [2, 3]}


async def test_label_moves_once_its_version_is_loaded(tmp_path: Path) -> None:
    written = Written(tmp_path, asks=True)
    written.put("a", 1, diet=1)
    written.put("b", 2, diet=2)
    written.plan("a")
    await written.writer.look()
    assert written.labels() == {"diet": {}}, "a server that starts has loaded nothing"
    written.loaded = {("diet", 1)}
    await written.writer.look()
    assert written.labels() == {"diet": {"stable": 1}}
    written.plan("b")
    await written.writer.look()
    assert (written.held(), written.labels()) == ({"diet": [1, 2]}, {"diet": {"stable": 1}})
    written.loaded |= {("diet", 2)}
    await written.writer.look()
    assert written.labels() == {"diet": {"stable": 2}}


async def test_bundles_without_models_give_an_empty_list(tmp_path: Path) -> None:
    written = Written(tmp_path)
    written.put("a", 1)
    assert await written.writer.look()
    assert (written.held(), written.writer.has_models) == ({}, False)
    assert "model_config_list" in written.config.read_text()


def test_one_number_for_two_different_models_is_refused(tmp_path: Path) -> None:
    first = open_bundle(put_bundle(tmp_path, "a", 1, {("diet", 7): "one"}))
    second = open_bundle(put_bundle(tmp_path, "b", 1, {("diet", 7): "another"}))
    with pytest.raises(BundleError, match="model 'diet' version 7 differs from that in"):
        ModelPlaces.of([first, second])
    shared = open_bundle(put_bundle(tmp_path, "c", 2, {("diet", 7): "one"}))
    places = ModelPlaces.of([first, shared])
    assert places.folders == {BundledModel("diet", 7): tmp_path / "a" / "models" / "diet" / "7"}


def test_batching_parameters_are_those_of_the_settings() -> None:
    text = batching_text(ModelServerSettings(max_batch_size=16, batch_wait_ms=1.5, parallel_batches=3))
    assert text.splitlines() == [
        "max_batch_size { value: 16 }",
        "batch_timeout_micros { value: 1500 }",
        "num_batch_threads { value: 3 }",
        "max_enqueued_batches { value: 1024 }",
        "pad_variable_length_inputs: true",
    ]


async def test_official_stub_replaces_the_configuration_of_the_local_server(tmp_path: Path) -> None:
    # They import TensorFlow.
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    for version in (1, 2):
        place = tmp_path / "diet" / str(version)
        place.mkdir(parents=True)
        (place / "saved_model.pb").touch()
    with ThreadPoolExecutor(1) as executor:
        repository = ModelRepository(lambda: models_in_folders([tmp_path]), load_nothing, executor)
        await repository.refresh()
        async with (
            GrpcServer(model_services(repository)) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            request = model_management_pb2.ReloadConfigRequest()
            entry = request.config.model_config_list.config.add(name="diet", base_path=str(tmp_path / "diet"))
            entry.model_version_policy.specific.versions.append(1)
            entry.version_labels["stable"] = 1
            answer = await stub.HandleReloadConfigRequest(request, timeout=5)
            assert answer.status.error_code == 0
            assert repository.resolve(pb.ModelSpec(name="diet", version_label="stable")).version == 1
            assert [model.version for model in repository.served] == [1]
            request.config.model_config_list.config.add(name="diet", base_path="/elsewhere")
            with pytest.raises(grpc.aio.AioRpcError, match="every model needs a name of its own"):
                await stub.HandleReloadConfigRequest(request, timeout=5)
            await repository.refresh()
            assert [model.version for model in repository.served] == [1]


class Nothing:
    signatures: ClassVar[dict[str, Signature]] = {}

    def run(self, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        pass


def load_nothing(folder: Path) -> Nothing:
    return Nothing()
