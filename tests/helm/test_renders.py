"""What the chart renders: lint, golden files, the schemas of Kubernetes, and values that are refused."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions
from referencing import Registry, Resource
from support.helm import CHART, HELM_TESTS, KUBERNETES, helm, manifests, render, template, value_sets

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
NEWEST = sorted(set(all_versions()), key=lambda version: tuple(map(int, version.split("."))))[-3:]
NOT_OF_KUBERNETES = {
    "Certificate": "cert-manager.io/v1",
    "GRPCRoute": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}
pytestmark = pytest.mark.timeout(900)  # helm may have to be built first


@pytest.mark.parametrize("name", value_sets())
def test_lint_finds_nothing(name: str) -> None:
    done = helm("lint", "--strict", str(CHART), "--kube-version", KUBERNETES, "--values", str(value_sets()[name]))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", value_sets())
def test_render_is_the_golden_one(name: str) -> None:
    golden = HELM_TESTS / "golden" / f"{name}.yaml"
    assert render(value_sets()[name]) == golden.read_text(encoding="utf-8"), "run: make chart"


def test_every_golden_render_has_its_values() -> None:
    assert {path.stem for path in (HELM_TESTS / "golden").glob("*.yaml")} == set(value_sets())


@cache
def _validator(version: str, kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    folder = SCHEMAS / f"v{version}-local-strict"
    group, _, number = api_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], number) if part)
    schema = json.loads((folder / f"{name}.json").read_bytes())
    return jsonschema.Draft202012Validator(schema, registry=_definitions(version) @ Registry())


@cache
def _definitions(version: str) -> Resource[Any]:
    return Resource.from_contents(json.loads((SCHEMAS / f"v{version}-local-strict" / "_definitions.json").read_bytes()))


@pytest.mark.parametrize("version", NEWEST)
@pytest.mark.parametrize("name", value_sets())
def test_objects_are_valid_in_the_newest_kubernetes(name: str, version: str) -> None:
    problems = [
        f"{o['kind']} {o['metadata']['name']}: {'.'.join(map(str, error.path))}: {error.message}"
        for o in manifests(name)
        if o["kind"] not in NOT_OF_KUBERNETES
        for error in _validator(version, o["kind"], o["apiVersion"]).iter_errors(o)
    ]
    assert problems == []


def test_the_schemas_find_a_wrong_object() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"portz": []}}
    assert list(_validator(NEWEST[-1], "Service", "v1").iter_errors(service))


@pytest.mark.parametrize("name", value_sets())
def test_objects_of_others_are_of_a_known_version(name: str) -> None:
    found = {o["kind"]: o["apiVersion"] for o in manifests(name) if "." in o["apiVersion"]}
    theirs = {kind: version for kind, version in found.items() if kind in NOT_OF_KUBERNETES}
    assert theirs == {kind: NOT_OF_KUBERNETES[kind] for kind in theirs}


@pytest.mark.parametrize("name", value_sets())
def test_no_two_objects_have_one_name(name: str) -> None:
    names = [(o["kind"], o["metadata"]["name"]) for o in manifests(name)]
    assert sorted(set(names)) == sorted(names)
    assert {o["metadata"]["namespace"] for o in manifests(name)} == {"bots"}


REFUSED = {
    "unknown value": ("replicaz=2", "additional properties 'replicaz' not allowed"),
    "unknown service": ("services.tracker.replicas=2", "additional properties 'tracker' not allowed"),
    "unknown key of a service": ("services.nlu.replica=2", "additional properties 'replica' not allowed"),
    "unknown setting": ("settings.log.levle=debug", "additional properties 'levle' not allowed"),
    "setting that the chart sets": ("settings.grpc.port=1", "additional properties 'port' not allowed"),
    "setting of a wrong type": ("settings.grpc.max_message_bytes=many", "got string, want integer"),
    "latest": ("image.tag=latest", "'/image/tag': 'not' failed"),
    "latest of a bundle": ("bundle.images={a/b:latest}", "'/bundle/images/0': 'not' failed"),
    "image without a tag": ("bundle.images={a/b}", "does not match pattern"),
    "fewer pods than none": ("services.nlu.replicas=-1", "minimum: got -1, want 0"),
    "share above one": ("rollout.canary.share=30", "maximum: got 30, want 1"),
    "canary alone": ("rollout.canary.version=b", "'/rollout/stable': minLength: got 0, want 1"),
    "unknown model server": ("modelServer.kind=triton", "value must be one of 'tensorflow-serving', 'local'"),
    "unknown source of bundles": ("bundle.source=git", "value must be one of 'volume', 'urls'"),
    "no addresses of bundles": ("bundle.source=urls", "'/bundle/urls': minItems: got 0, want 1"),
    "no command that brings bundles": ("bundle.source=command", "'/bundle/command/command': minItems: got 0, want 1"),
    "no image with bundles": ("bundle.source=image", "'/bundle/images': minItems: got 0, want 1"),
    "brokers without a port": ("kafka.bootstrapServers=kafka", "does not match pattern"),
    "log-in without a secret": ("kafka.securityProtocol=SASL_SSL", "'/kafka/sasl/existingSecret': minLength"),
    "algorithm that is none": ("gateway.auth.jwt.method=none", "value must be one of 'HS256'"),
    "password in the values": ("kafka.sasl.password=secret", "additional properties 'password' not allowed"),
    "no drain": ("termination.drainSeconds=1", "minimum: got 1, want 5"),
    "budget that lets no pod go": ("defaults.disruptionBudget.maxUnavailable=0", "minimum: got 0, want 1"),
    "password in an address": ("actionServer.url=http://bot:secret@host/webhook", "does not match pattern"),
    "memory without a unit's name": ("defaults.resources.limits.memory=1GB", "does not match pattern"),
}
SCALED = "defaults.autoscaling.enabled=true"
LACKING = {
    "no brokers": ("kafka.bootstrapServers=", "kafka.bootstrapServers: say where the brokers are"),
    "no volume": ("bundle.volume.existingClaim=", "bundle.volume: say existingClaim or hostPath"),
    "no address of a model server": ("modelServer.kind=external", "modelServer.address: say where"),
    "TLS without a certificate": ("tls.enabled=true", "tls.existingSecret: name the secret"),
    "no gateway of the route": ("gateway.httpRoute.enabled=true", "gateway.httpRoute.gatewayName: say which Gateway"),
    "autoscaler by nothing": (f"{SCALED},defaults.autoscaling.cpuPercent=0", "autoscaling of action: say by what"),
    "more pods at least than at most": (f"{SCALED},defaults.autoscaling.minReplicas=9", "maxReplicas is 8, and minRep"),
    "action server nowhere": ("actionServer.existingSecret=a", "networkPolicy.actionServer: say where"),
}


@pytest.mark.parametrize(("value", "message"), [*REFUSED.values(), *LACKING.values()], ids=[*REFUSED, *LACKING])
def test_wrong_values_are_refused_with_their_place(value: str, message: str) -> None:
    done = template("--values", str(value_sets()["minimal"]), "--set", value)
    assert done.returncode != 0
    assert message in done.stderr


def _objects(schema: Any) -> list[Any]:
    """Every part of a schema that describes an object."""
    if isinstance(schema, list):
        return [found for part in schema for found in _objects(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "object" else []
    return own + [found for part in schema.values() for found in _objects(part)]


def test_the_schema_is_closed_everywhere() -> None:
    objects = _objects(json.loads((CHART / "values.schema.json").read_bytes()))
    is_open = [o for o in objects if o.get("additionalProperties", True) is True]
    assert len(objects) > 30
    # Parts that Kubernetes itself checks (tolerations, affinity, peers), and `global`, which Helm adds.
    assert [o["$comment"] for o in is_open] == ["Helm", "Kubernetes checks it."]
