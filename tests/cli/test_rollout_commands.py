"""`turnstream rollout ...` and `turnstream bundle ...`."""

import http.server
import shutil
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.bundle_folder import damage, put_bundle
from support.commands import Running
from turnstream.assistant.bundle import open_bundle
from turnstream.cli.main import cli
from turnstream.inference.sources import models_in_config
from turnstream.runtime.rollout import Canary, RolloutPlan, read_plan

Run = Callable[..., Result]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two bundles, each with a model."""
    folder = tmp_path / "models"
    put_bundle(folder, "1", 1, {("diet", 100): "one"})
    put_bundle(folder, "2", 2, {("diet", 200): "two"})
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)


def plan_of(models: Path) -> RolloutPlan | None:
    return read_plan(models / "rollout.yaml")


def test_a_canary_is_tried_grown_and_taken_back(models: Path, run: Run) -> None:
    assert run("rollout", "canary", "2", "--share", "0.1").output == (
        "models/rollout.yaml: 1 serves, 2 for 10% of conversations\n"
    )
    assert plan_of(models) == RolloutPlan("1", Canary("2", 0.1))
    run("rollout", "canary", "2", "--share", "0.5")
    assert plan_of(models) == RolloutPlan("1", Canary("2", 0.5))
    assert run("rollout", "back").output == "models/rollout.yaml: 1 serves\n"
    assert plan_of(models) == RolloutPlan("1")
    run("rollout", "stable", "2")
    assert plan_of(models) == RolloutPlan("2")


def test_status_shows_plan_and_bundles_and_what_is_wrong(models: Path, run: Run) -> None:
    assert run("rollout", "status").output.splitlines() == [
        "plan     no plan: the newest serves",
        "stable   2",
        "bundle   2  models/2",
        "bundle   1  models/1",
    ]
    run("rollout", "canary", "2", "--share", "0.25")
    assert "canary   2, 25% of conversations" in run("rollout", "status").output
    shutil.rmtree(models / "2")
    result = run("rollout", "status")
    assert result.exit_code == 1
    assert "there is no bundle '2'" in result.stderr


@pytest.mark.parametrize("command", [("stable",), ("canary", "--share", "0.5")])
def test_a_version_that_cannot_serve_is_refused_before_a_service_meets_it(
    models: Path, run: Run, command: tuple[str, ...]
) -> None:
    missing = run("rollout", *command, "3")
    assert missing.exit_code == 1
    assert missing.stderr.startswith("There is no bundle 3; there are: 1, 2. 'turnstream train' writes one")
    damage(models / "2")
    broken = run("rollout", *command, "2")
    assert broken.exit_code == 1
    assert "damaged" in broken.stderr
    assert plan_of(models) is None


def test_model_configuration_is_written_for_the_plan(models: Path, run: Run, tmp_path: Path) -> None:
    run("rollout", "canary", "2", "--share", "0.5")
    place = tmp_path / "served"
    options = ["--bundles", models, "--models-dir", place, "--output", place / "models.config"]
    result = run(
        "bundle", "model-config", *options, "--batching", place / "b.config", "--monitoring", place / "m.config"
    )
    assert result.exit_code == 0
    assert result.output == (
        f"model config written: {place}/models.config (diet 100, diet 200; labels: canary 200, stable 100)\n"
    )
    found = models_in_config(place / "models.config")["diet"]
    assert dict(found.labels) == {"stable": 100, "canary": 200}
    assert found.versions[200].resolve() == models / "2" / "models" / "diet" / "200"
    assert "max_batch_size { value: 32 }" in (place / "b.config").read_text()
    assert "prometheus_config" in (place / "m.config").read_text()


def test_model_configuration_is_refused_for_a_plan_that_is_wrong(models: Path, run: Run, tmp_path: Path) -> None:
    options = ["--models-dir", tmp_path / "served", "--output", tmp_path / "served" / "models.config"]
    assert "Say which bundles" in run("bundle", "model-config", *options).stderr
    (models / "rollout.yaml").write_text("stabel: 2")
    result = run("bundle", "model-config", "--bundles", models, *options)
    assert result.exit_code == 1
    assert "'stable: VERSION' is missing" in result.stderr


def test_model_configuration_follows_the_plan_until_it_is_ended(models: Path, run: Run, tmp_path: Path) -> None:
    run("rollout", "stable", "1")
    place = tmp_path / "served"
    options = ("--bundles", str(models), "--models-dir", str(place), "--output", str(place / "models.config"))
    with Running(
        "bundle", "model-config", *options, "--watch", cwd=tmp_path, TURNSTREAM_BUNDLES_POLL_S="0.1"
    ) as sidecar:
        sidecar.until("labels: stable 100")
        run("rollout", "stable", "2")
        sidecar.until("labels: stable 200")
        assert sidecar.stop(signal.SIGTERM) == 0
        assert sidecar.errors == ""


@pytest.fixture
def address(models: Path, tmp_path: Path) -> Iterator[str]:
    """Where bundle 2 is to be had as an archive."""
    with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as archive:
        archive.add(models / "2", "2")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("kind", ["bundle", "folder of bundles", "archive", "address"])
def test_a_bundle_is_installed_from_wherever_it_is(
    models: Path, run: Run, tmp_path: Path, address: str, kind: str
) -> None:
    source = {
        "bundle": str(models / "2"),
        "folder of bundles": str(models),
        "archive": str(tmp_path / "bundle.tar.gz"),
        "address": f"{address}/bundle.tar.gz",
    }[kind]
    result = run("bundle", "install", source, "--bundles", tmp_path / "installed")
    assert result.stdout == f"2: installed, {tmp_path}/installed/2\n"
    assert open_bundle(tmp_path / "installed" / "2").version == "2"
    again = run("bundle", "install", source, "--bundles", tmp_path / "installed")
    assert (again.exit_code, again.stdout) == (0, f"2: there already, {tmp_path}/installed/2\n")
    assert [p.name for p in (tmp_path / "installed").iterdir()] == ["2"]


def test_what_is_no_sound_bundle_is_not_installed(models: Path, run: Run, tmp_path: Path, address: str) -> None:
    installed = tmp_path / "installed"
    (tmp_path / "text.tar.gz").write_text("no archive")
    damage(models / "1")
    for source, fault in (
        (str(models / "1"), "damaged"),
        (str(tmp_path / "text.tar.gz"), "no archive of a bundle"),
        (f"{address}/missing.tar.gz", "cannot be fetched: HTTP Error 404"),
        (str(tmp_path / "nowhere"), "no trained model here"),
    ):
        result = run("bundle", "install", source, "--bundles", installed)
        assert result.exit_code == 1
        assert fault in result.stderr
        assert list(installed.iterdir()) == []
    put_bundle(installed, "2", 5)
    other = run("bundle", "install", models / "2", "--bundles", installed)
    assert other.exit_code == 1
    assert "another bundle of the same version" in other.stderr
