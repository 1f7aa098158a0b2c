import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.inference.client import ModelClient
from turnstream.inference.repository import ModelRepository
from turnstream.inference.service import model_services
from turnstream.inference.signatures import Signature, TensorSpec
from turnstream.inference.sources import ModelConfigError, models_in_config, models_in_folders
from turnstream.runtime.errors import InternalError, InvalidRequest, ModelServerUnavailable, UnknownModel
from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.local import LocalChannel, LocalServer
from turnstream.runtime.services import register

AVAILABLE, END = pb.ModelVersionStatus.AVAILABLE, pb.ModelVersionStatus.END


class Adder:
    """Adds what its file says; `broken` there cannot be loaded."""

    def __init__(self, folder: Path) -> None:
        content = (folder / "saved_model.pb").read_text()
        if content == "broken":
            raise ValueError("not a SavedModel")
        self.closed = False
        self._amount = float(content)
        spec = {"x": TensorSpec(pb.DT_FLOAT, (None,), "x:0")}
        self.signatures: Mapping[str, Signature] = {
            "serving_default": Signature(spec, {"y": TensorSpec(pb.DT_FLOAT, (None,), "y:0")}),
            "__saved_model_init_op": Signature({}, {}, ""),
        }

    def run(self, signature: str, inputs: dict[str, Any]) -> dict[str, Any]:
        assert not self.closed
        return {"y": inputs["x"] + np.float32(self._amount)}

    def close(self) -> None:
        self.closed = True


def put(base: Path, name: str, version: int, content: str) -> None:
    folder = base / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(content)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    put(tmp_path, "add", 1, "10")
    put(tmp_path, "add", 3, "30")
    put(tmp_path, "other", 1, "1")
    (tmp_path / "add" / "4").mkdir()
    (tmp_path / "notes.txt").write_text("not a model")
    return tmp_path


@pytest.fixture
async def repository(base: Path) -> AsyncIterator[ModelRepository]:
    with ThreadPoolExecutor(2) as executor:
        repository = ModelRepository(lambda: models_in_folders([base]), Adder, executor)
        await repository.refresh()
        yield repository


@pytest.fixture
def client(repository: ModelRepository) -> ModelClient:
    server = LocalServer([ErrorInterceptor()])
    register(model_services(repository), server)
    return ModelClient(LocalChannel(server), "the local server")


async def add(client: ModelClient, **options: Any) -> float:
    outputs = await client.predict("add", {"x": np.zeros(1, np.float32)}, timeout_s=5, **options)
    return float(outputs["y"][0])


async def test_newest_version_answers_unless_one_is_named(client: ModelClient) -> None:
    assert await add(client) == 30
    assert await add(client, version=1) == 10


async def test_unknown_model_version_and_label_are_named(client: ModelClient) -> None:
    with pytest.raises(UnknownModel, match=r"model 'add' has no version 2 \(versions: 1, 3\)"):
        await add(client, version=2)
    with pytest.raises(UnknownModel, match="no version labelled 'canary'"):
        await add(client, label="canary")
    with pytest.raises(UnknownModel, match=r"'nope' is not available \(models: add, other\)"):
        await client.predict("nope", {}, timeout_s=5)
    with pytest.raises(UnknownModel):
        await client.versions("nope", timeout_s=5)


async def test_a_server_that_has_not_loaded_its_models_yet_says_to_ask_again(base: Path) -> None:
    server = LocalServer([ErrorInterceptor()])
    with ThreadPoolExecutor(1) as executor:
        register(model_services(ModelRepository(lambda: models_in_folders([base]), Adder, executor)), server)
        with pytest.raises(ModelServerUnavailable, match="being loaded"):
            await add(ModelClient(LocalChannel(server), "the local server"))


async def test_bad_inputs_are_all_named_at_once(client: ModelClient) -> None:
    with pytest.raises(InvalidRequest, match=r"missing input 'x' \(DT_FLOAT \[\?\]\); unknown input 'z'"):
        await client.predict("add", {"z": np.zeros(1)}, timeout_s=5)
    with pytest.raises(InvalidRequest, match=r"'x' must be DT_FLOAT \[\?\], not int64 \[1, 1\]"):
        await client.predict("add", {"x": np.zeros((1, 1), np.int64)}, timeout_s=5)
    with pytest.raises(InvalidRequest, match=r"unknown output 'w' \(outputs: y\)"):
        await add(client, outputs=["w"])
    with pytest.raises(InvalidRequest, match="no signature 'train'"):
        await add(client, signature="train")
    with pytest.raises(InvalidRequest, match="no signature '__saved_model_init_op'"):
        await add(client, signature="__saved_model_init_op")


async def test_version_and_label_exclude_each_other(client: ModelClient) -> None:
    with pytest.raises(InvalidRequest, match="not both"):
        await add(client, version=1, label="stable")


async def test_new_version_answers_and_vanished_one_is_dropped(
    base: Path, repository: ModelRepository, client: ModelClient
) -> None:
    put(base, "add", 4, "40")
    (base / "add" / "1" / "saved_model.pb").unlink()
    dropped = next(s.model for s in repository.served if s.version == 1)
    await repository.refresh()
    assert await add(client) == 40
    assert isinstance(dropped, Adder)
    assert dropped.closed
    assert [v.version for v in await client.versions("add", timeout_s=5)] == [4, 3]


async def test_version_dropped_while_it_is_asked_still_answers(
    base: Path, repository: ModelRepository, client: ModelClient
) -> None:
    (base / "add" / "3" / "saved_model.pb").unlink()
    calls = [asyncio.create_task(add(client, version=3)) for _ in range(5)]
    await asyncio.sleep(0)
    await repository.refresh()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(a == 30 or isinstance(a, UnknownModel) for a in answers)


async def test_broken_version_is_told_and_the_others_answer(
    base: Path, repository: ModelRepository, client: ModelClient
) -> None:
    put(base, "add", 5, "broken")
    await repository.refresh()
    newest = (await client.versions("add", timeout_s=5))[0]
    assert (newest.version, newest.state) == (5, END)
    assert "not a SavedModel" in newest.error
    assert await add(client) == 30
    assert len(repository.errors) == 1


async def test_labels_come_from_the_configuration(base: Path, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text(
        """model_config_list { config {
             name: "add" base_path: "add" model_platform: "tensorflow"
             model_version_policy { specific { versions: 1 versions: 3 } }
             version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 } } }"""
    )
    with ThreadPoolExecutor(1) as executor:
        repository = ModelRepository(lambda: models_in_config(file), Adder, executor)
        await repository.refresh()
        spec = pb.ModelSpec(name="add", version_label="stable")
        assert repository.resolve(spec).version == 1
        file.write_text(file.read_text().replace("value: 1", "value: 3"))
        await repository.refresh()
        assert repository.resolve(spec).version == 3


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", {3}),
        ("model_version_policy { all {} }", {1, 3}),
        ("model_version_policy { latest { num_versions: 5 } }", {1, 3}),
        ("model_version_policy { specific { versions: 1 versions: 9 } }", {1}),
    ],
)
def test_version_policies_of_tensorflow_serving(base: Path, policy: str, versions: set[int]) -> None:
    file = base / "models.config"
    file.write_text(f'model_config_list {{ config {{ name: "add" base_path: "{base}/add" {policy} }} }}')
    assert set(models_in_config(file)["add"].versions) == versions


@pytest.mark.parametrize("content", ["model_config_lists {}", "model_config_list { config { name: 'x' } }", "{"])
def test_broken_configuration_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "models.config"
    file.write_text(content)
    with pytest.raises(ModelConfigError, match=r"models\.config"):
        models_in_config(file)


async def test_error_of_the_model_stays_on_the_server(client: ModelClient, repository: ModelRepository) -> None:
    for served in repository.served:
        served.model.close()
    with pytest.raises(InternalError, match="internal error"):
        await add(client)


async def test_version_that_is_not_there_yet_is_asked_for_again(
    repository: ModelRepository, client: ModelClient, base: Path
) -> None:
    asking = asyncio.create_task(add(client, version=4))
    await asyncio.sleep(0)
    put(base, "add", 4, "40")
    await repository.refresh()
    assert await asking == 40


async def test_label_that_moves_leads_to_the_new_version_only_once_that_is_loaded(tmp_path: Path, base: Path) -> None:
    file = tmp_path / "models.config"

    def configure(stable: int) -> None:
        file.write_text(
            f'model_config_list {{ config {{ name: "add" base_path: "{base / "add"}" '
            "model_version_policy { specific { versions: 1 versions: 3 } } "
            f'version_labels {{ key: "stable" value: {stable} }} }} }}'
        )

    configure(1)
    with ThreadPoolExecutor(2) as executor:
        repository = ModelRepository(lambda: models_in_config(file), Adder, executor)
        await repository.refresh()
        server = LocalServer([ErrorInterceptor()])
        register(model_services(repository), server)
        client = ModelClient(LocalChannel(server), "the local server")
        assert await add(client, label="stable") == 10
        configure(3)
        await repository.refresh()
        assert await add(client, label="stable") == 30
        put(base, "add", 1, "broken")
        configure(1)
        await repository.refresh()
        assert await add(client, label="stable") == 10, "what was loaded before answers"
        configure(2)
        await repository.refresh()
        assert await add(client, label="stable") == 10, "there is no version 2"
