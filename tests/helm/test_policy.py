"""What must hold for every container of every render."""

from typing import Any

import pytest
from support.helm import containers, manifests, of_kind, parsed, pods, render, value_sets

pytestmark = pytest.mark.timeout(900)


def unsafe(pod: dict[str, Any]) -> list[str]:
    """What is wrong with a pod, one line each."""
    spec = pod["spec"]
    security = spec["securityContext"]
    found = []
    if not (security.get("runAsNonRoot") and security.get("runAsUser", 0) > 0):
        found.append("may run as root")
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("has no seccomp profile")
    if spec.get("automountServiceAccountToken") is not False:
        found.append("is given a token")
    if spec.get("enableServiceLinks") is not False:
        found.append("is given variables of services, which are taken for settings")
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        found.append("shares a namespace of the node")
    for container in containers(pod):
        found += [f"{container['name']} {problem}" for problem in _unsafe_container(container)]
    return found


def _unsafe_container(container: dict[str, Any]) -> list[str]:
    security = container.get("securityContext", {})
    limits, requests = (container.get("resources", {}).get(kind, {}) for kind in ("limits", "requests"))
    image = container["image"]
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    rules = {
        "has a writable root": security.get("readOnlyRootFilesystem") is True,
        "may gain privileges": security.get("allowPrivilegeEscalation") is False and not security.get("privileged"),
        "keeps capabilities": security.get("capabilities", {}).get("drop") == ["ALL"],
        "lacks limits": {"cpu", "memory"} <= set(limits),
        "lacks requests": {"cpu", "memory"} <= set(requests),
        "has no fixed image": "@sha256:" in image or tag not in ("", "latest"),
        "is run as root": security.get("runAsUser", 1) != 0,
    }
    return [problem for problem, holds in rules.items() if not holds]


@pytest.mark.parametrize("name", value_sets())
def test_no_container_may_harm(name: str) -> None:
    problems = [
        f"{owner['kind']} {owner['metadata']['name']}: {problem}"
        for owner, pod in pods(manifests(name))
        for problem in unsafe(pod)
    ]
    assert problems == []


def test_the_rules_find_what_is_wrong() -> None:
    container = {"name": "c", "image": "a/b:latest", "securityContext": {"runAsUser": 0}}
    problems = unsafe({"spec": {"securityContext": {}, "containers": [container], "hostNetwork": True}})
    assert len(problems) == 12


@pytest.mark.parametrize("name", value_sets())
def test_what_serves_has_all_three_probes(name: str) -> None:
    lacking = [
        f"{owner['metadata']['name']}/{container['name']}: {probe}"
        for owner, pod in pods(manifests(name))
        if owner["kind"] in ("Deployment", "StatefulSet")
        for container in pod["spec"]["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        if probe not in container
    ]
    assert lacking == []


@pytest.mark.parametrize("name", value_sets())
def test_only_tmp_and_what_is_meant_for_it_is_writable(name: str) -> None:
    writable = {
        (container["name"], mount["mountPath"])
        for _, pod in pods(manifests(name))
        for container in containers(pod)
        for mount in container.get("volumeMounts", [])
        if not mount.get("readOnly") and mount["mountPath"] != "/tmp"
    }
    bringers = {c for c, _ in writable if c.startswith(("fetch-", "copy-"))} | {"train"}
    allowed = {(c, p) for c in bringers for p in ("/bundles", "/target")}
    allowed |= {(c, "/models") for c in ("model-config", "model-config-watch", "serving-tls")}
    allowed |= {("kafka", p) for p in ("/var/lib/kafka/data", "/opt/kafka/config", "/opt/kafka/logs")}
    assert writable <= allowed


@pytest.mark.parametrize("name", value_sets())
def test_service_accounts_have_neither_token_nor_rights(name: str) -> None:
    accounts = of_kind(manifests(name), "ServiceAccount")
    assert {account["automountServiceAccountToken"] for account in accounts} == {False}
    assert of_kind(manifests(name), "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding") == []


@pytest.mark.parametrize("name", value_sets())
def test_every_volume_that_is_mounted_is_there(name: str) -> None:
    for owner, pod in pods(manifests(name)):
        there = {volume["name"] for volume in pod["spec"]["volumes"]}
        there |= {claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])}
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        assert mounted == there


def test_secrets_are_named_never_written() -> None:
    assert [o["kind"] for name in value_sets() for o in of_kind(manifests(name), "Secret")] == []


def test_a_service_says_otherwise_than_the_defaults() -> None:
    objects = parsed(
        render(
            value_sets()["production"],
            *("--set", "services.nlu.autoscaling.enabled=false"),
            *("--set", "services.nlu.replicas=0"),
        )
    )
    replicas = {o["metadata"]["name"]: o["spec"].get("replicas") for o in of_kind(objects, "Deployment")}
    assert replicas["assistant-turnstream-nlu"] == 0
    assert replicas["assistant-turnstream-policy"] is None, "an autoscaler sets it"
    assert replicas["assistant-turnstream-action"] == 3
