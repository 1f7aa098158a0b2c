"""Every port, variable, path, command and health name of the chart is one that the code knows."""

import importlib
from typing import Any

import click
import pytest
from support.helm import (
    CHART,
    component,
    containers,
    environment_of,
    main_container,
    manifests,
    of_kind,
    pods,
    value_sets,
)
from turnstream.cli.main import COMMANDS, cli
from turnstream.cli.placement import SERVICES
from turnstream.inference.__main__ import main as model_server
from turnstream.runtime.server import READY
from turnstream.runtime.settings import load_settings, settings_table

pytestmark = pytest.mark.timeout(900)
OUR_IMAGES = ("turnstream/service", "turnstream/trainer")
KNOWN = {row.variable for row in settings_table()}


def ours(name: str) -> list[dict[str, Any]]:
    """The containers of a render that run `turnstream`."""
    return [
        container
        for _, pod in pods(manifests(name))
        for container in containers(pod)
        if any(image in container["image"] for image in OUR_IMAGES)
    ]


@pytest.mark.parametrize("name", value_sets())
def test_every_variable_is_a_setting_and_its_value_is_understood(name: str) -> None:
    for container in ours(name):
        variables = {k: v if v is not None else "secret" for k, v in environment_of(container).items()}
        mine = {k: v for k, v in variables.items() if k.startswith("TURNSTREAM_")}
        assert set(mine) <= KNOWN
        load_settings(environment=mine)
        assert set(variables) - set(mine) <= {"HOME", "POD_IP"}


def resolved(arguments: list[str]) -> click.Command:
    """The command that arguments call, each of its arguments having been parsed by it. Raises click.UsageError."""
    group: click.Group = cli
    name, *rest = arguments
    found = COMMANDS[name]
    command: click.Command = getattr(importlib.import_module(f"turnstream.cli.{found.module}"), found.name)
    if name == "model-server":
        command = model_server
    while isinstance(command, click.Group) and rest:
        group, (name, *rest) = command, rest
        with click.Context(group) as context:
            command = group.get_command(context, name) or _unknown(name)
    command.make_context(name, list(rest), resilient_parsing=False)
    return command


def _unknown(name: str) -> click.Command:
    raise click.UsageError(f"no command {name}")


@pytest.mark.parametrize("name", value_sets())
def test_every_command_line_is_one_of_the_programs(name: str) -> None:
    lines = [c["args"] for c in ours(name) if "command" not in c]
    assert lines
    for line in lines:
        assert resolved(line)


def test_a_conversation_pod_tells_the_others_its_own_address() -> None:
    variables = main_container(manifests("minimal"), "conversation")["env"]
    names = [variable["name"] for variable in variables]
    address = next(v["value"] for v in variables if v["name"] == "TURNSTREAM_CONVERSATION_ADVERTISE")
    assert address == "$(POD_IP):50051"
    assert names.index("POD_IP") < names.index("TURNSTREAM_CONVERSATION_ADVERTISE"), "or Kubernetes leaves it as it is"


def test_a_wrong_command_line_is_found() -> None:
    with pytest.raises(click.UsageError):
        resolved(["serve", "nlu", "--modell", "x"])
    with pytest.raises(click.UsageError):
        resolved(["bundle", "model-configs"])


def test_the_map_of_services_is_that_of_the_code() -> None:
    deployments = {component(d) for d in of_kind(manifests("minimal"), "Deployment")}
    assert deployments == {*SERVICES, "model-server"}


@pytest.mark.parametrize("name", value_sets())
def test_ports_are_those_that_the_processes_are_told(name: str) -> None:
    for service in SERVICES:
        container = main_container(manifests(name), service)
        settings = load_settings(
            environment={k: v or "" for k, v in environment_of(container).items() if k.startswith("TURNSTREAM_")}
        )
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        told = {"grpc": settings.grpc.port, "health": settings.grpc.health_port, "metrics": settings.metrics.port}
        if service == "gateway":
            told["rest"] = settings.gateway.port
        assert ports == told
        hosts = {
            settings.grpc.host,
            settings.metrics.host,
            settings.gateway.host if service == "gateway" else "0.0.0.0",
        }
        assert hosts == {"0.0.0.0"}


def _ports_of(name: str, of: str) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in main_container(manifests(name), of)["ports"]}


@pytest.mark.parametrize("name", value_sets())
def test_services_lead_to_ports_that_are_open(name: str) -> None:
    for service in of_kind(manifests(name), "Service"):
        open_ports = _ports_of(name, component(service))
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in open_ports
            assert port["port"] == open_ports[port["targetPort"]], "headless services lead to the container's own port"


@pytest.mark.parametrize("name", value_sets())
def test_addresses_name_services_of_the_release_and_their_ports(name: str) -> None:
    known = {
        f"dns:///{s['metadata']['name']}.bots.svc.cluster.local:{port['port']}"
        for s in of_kind(manifests(name), "Service")
        for port in s["spec"]["ports"]
        if port["name"] == "grpc" and s["spec"].get("clusterIP") == "None"
    }
    addresses = {
        value
        for container in ours(name)
        for variable, value in environment_of(container).items()
        if variable.startswith("TURNSTREAM_ADDRESS_")
    }
    assert addresses <= known


@pytest.mark.parametrize("name", value_sets())
def test_probes_ask_for_health_by_its_names(name: str) -> None:
    for service in SERVICES:
        container = main_container(manifests(name), service)
        health = next(p["containerPort"] for p in container["ports"] if p["name"] == "health")
        assert container["readinessProbe"]["grpc"] == {"port": health, "service": READY}
        assert container["livenessProbe"]["grpc"] == container["startupProbe"]["grpc"] == {"port": health}


@pytest.mark.parametrize("name", value_sets())
def test_files_that_settings_name_are_mounted(name: str) -> None:
    for container in ours(name):
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        values = [*environment_of(container).values(), *container.get("args", [])]
        paths = [v for v in values if v is not None and v.startswith("/") and v != "/tmp"]
        missing = [p for p in paths if not any(p == m or p.startswith(f"{m}/") for m in mounts)]
        assert missing == []


@pytest.mark.parametrize("name", value_sets())
def test_everything_under_way_can_end_before_a_pod_is_killed(name: str) -> None:
    for owner, pod in pods(manifests(name)):
        if owner["kind"] != "Deployment":
            continue
        for container in pod["spec"]["containers"]:
            told = {k: v or "" for k, v in environment_of(container).items() if k.startswith("TURNSTREAM_")}
            grpc = load_settings(environment=told).grpc
            before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            grace = pod["spec"]["terminationGracePeriodSeconds"]
            assert grace > before + grpc.drain_timeout_s
            assert grpc.drain_timeout_s > grpc.drain_delay_s
            assert before or grpc.drain_delay_s, "clients hear of the end while calls are still taken"


@pytest.mark.parametrize("name", value_sets())
def test_a_client_waits_longer_than_a_rolling_update_takes_a_pod_away(name: str) -> None:
    gateway = main_container(manifests(name), "gateway")
    told = {k: v or "" for k, v in environment_of(gateway).items() if k.startswith("TURNSTREAM_")}
    settings = load_settings(environment=told)
    assert settings.timeout.turn_s > settings.kafka.session_timeout_s + settings.grpc.drain_timeout_s


def test_chart_and_package_have_one_version() -> None:
    import tomllib

    import yaml

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == project["project"]["version"]
