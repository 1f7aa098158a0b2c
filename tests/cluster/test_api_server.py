"""What a real API server says of every object that the chart renders; nothing is made but a namespace and a class."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import Cluster
from support.helm import Manifest, component, manifests, of_kind, parsed, render, value_sets

NAMESPACE = "turnstream-renders"
GROUPS_OF_OTHERS = ("cert-manager.io", "gateway.networking.k8s.io", "monitoring.coreos.com")
"""Their kinds are not in a cluster that has nothing but Kubernetes; tests/helm knows their versions."""
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "assistants"},
    "value": 1000,
    "description": "For the time of a test.",
}
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def cluster(kubeconfig: Path, bundles: Path) -> Iterator[Cluster]:
    found = Cluster(kubeconfig, bundles, namespace=NAMESPACE)
    found.kubectl("create", "namespace", NAMESPACE)
    try:
        yield found
    finally:
        found.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")


def checked(cluster: Cluster, objects: list[Manifest]) -> list[Manifest]:
    """As the API server would keep them. Raises AssertionError with what it refuses; an unknown field is refused."""
    stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    options = ("--dry-run=server", "--validate=strict", "--output=yaml", "--filename=-")
    return list(parsed(cluster.kubectl("create", *options, stdin=stdin)))


def rendered(name: str) -> list[Manifest]:
    return own(manifests(name))


def own(rendered: tuple[Manifest, ...]) -> list[Manifest]:
    """Kubernetes' own kinds among them, in the namespace of these tests."""
    objects = copy.deepcopy([o for o in rendered if o["apiVersion"].partition("/")[0] not in GROUPS_OF_OTHERS])
    for each in objects:
        each["metadata"]["namespace"] = NAMESPACE
    return objects


@pytest.mark.parametrize("name", value_sets())
def test_the_api_server_takes_every_object(cluster: Cluster, name: str) -> None:
    objects = rendered(name)
    kept = checked(cluster, objects)
    assert [(o["kind"], o["metadata"]["name"]) for o in kept] == [(o["kind"], o["metadata"]["name"]) for o in objects]


def test_it_takes_a_broker_with_a_claim(cluster: Cluster) -> None:
    text = render(value_sets()["development"], "--set", "kafka.development.storage=1Gi")
    (broker,) = of_kind(tuple(checked(cluster, own(parsed(text)))), "StatefulSet")
    (claim,) = broker["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}


def test_it_refuses_what_is_wrong(cluster: Cluster) -> None:
    (budget, *_) = of_kind(tuple(rendered("minimal")), "PodDisruptionBudget")
    budget["spec"]["minAvailable"] = 1
    with pytest.raises(AssertionError, match="cannot be both set"):
        checked(cluster, [budget])


def test_what_is_only_for_production_is_there() -> None:
    kinds = {o["kind"] for o in rendered("production")}
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "Ingress"} <= kinds


def test_pods_get_the_priority_of_their_class(cluster: Cluster) -> None:
    deployments = [d for d in of_kind(tuple(rendered("production")), "Deployment") if component(d) != "model-server"]
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": d["metadata"]["name"], "namespace": NAMESPACE},
            "spec": {**d["spec"]["template"]["spec"], "serviceAccountName": "default"},
        }
        for d in deployments
    ]
    with pytest.raises(AssertionError, match="no PriorityClass with name assistants was found"):
        checked(cluster, pods[:1])
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(PRIORITY))
    try:
        assert {pod["spec"]["priority"] for pod in checked(cluster, pods)} == {PRIORITY["value"]}
    finally:
        cluster.kubectl("delete", "priorityclass", "assistants")
