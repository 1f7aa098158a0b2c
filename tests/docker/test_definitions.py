"""What docker/ says, held against the code and against what the page on images promises; no engine is needed."""

import re
from typing import Any

import pytest
import yaml
from support.containers import COMPOSE_FILE, LOCAL_FILE, ROOT
from turnstream.cli.placement import SERVICES
from turnstream.runtime.settings import NO_SETTINGS, settings_table

COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
LOCAL: dict[str, Any] = yaml.safe_load(LOCAL_FILE.read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
KNOWN = {row.variable for row in settings_table()} | NO_SETTINGS
NAMES = sorted(COMPOSE["services"])


def test_compose_has_every_service_and_the_official_images() -> None:
    assert set(SERVICES) <= COMPOSE["services"].keys()
    assert COMPOSE["services"]["kafka"]["image"].startswith("apache/kafka:")
    assert COMPOSE["services"]["model-server"]["image"].startswith("tensorflow/serving:")


@pytest.mark.parametrize("name", NAMES)
def test_a_container_is_hardened_and_limited(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert [p for p in service.get("ports", ()) if not p.startswith("127.0.0.1:")] == []


def test_only_the_gateway_is_published() -> None:
    assert [name for name in NAMES if COMPOSE["services"][name].get("ports")] == ["gateway"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = [name for name in NAMES if COMPOSE["services"][name]["networks"] != ["inside"]]
    assert outside == ["gateway"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_of_a_service_is_a_setting(name: str) -> None:
    given = COMPOSE["services"][name]["environment"].keys()
    assert {variable for variable in given if variable.startswith("TURNSTREAM_")} - KNOWN == set()


def test_every_variable_of_the_images_is_a_setting() -> None:
    set_by_images = set(re.findall(r"\b(TURNSTREAM_\w+)=", DOCKERFILE))
    assert "TURNSTREAM_GRPC_HEALTH_PORT" in set_by_images
    assert set_by_images - KNOWN == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_take_as_long_to_end_as_the_drain_that_it_runs(name: str) -> None:
    (drain,) = [row.default for row in settings_table() if row.name == "grpc.drain_timeout_s"]
    grace_s = float(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s"))
    assert isinstance(drain, float)
    assert grace_s >= drain + 10


def test_the_local_file_replaces_the_official_images_and_nothing_else() -> None:
    assert LOCAL["services"].keys() == {"kafka", "model-server"}
    for service in LOCAL["services"].values():
        assert service["image"].startswith("turnstream/")
        assert service.keys() <= {"image", "command", "healthcheck"}


def test_the_dockerfile_takes_its_base_as_an_argument_and_packages_by_hash() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    assert {base for base in bases if base not in stages} == {"${BASE}"}
    installed = re.findall(r"install .*?-r (\S+\.lock)", DOCKERFILE.replace("\\\n", " "))
    assert installed == ["build.lock", "service.lock", "train.lock", "actions.lock"]
    assert DOCKERFILE.count("--require-hashes") == len(installed)
    for lock in installed:
        lines = (ROOT / "requirements" / lock).read_text(encoding="utf-8").splitlines()
        assert any("--hash=sha256:" in line for line in lines)
        assert [line for line in lines if "://" in line] == []
