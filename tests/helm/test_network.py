"""Network policies allow the calls of the architecture and no others."""

import pytest
from support.helm import Manifest, component, manifests, of_kind, value_sets
from support.network import Call, allowed_calls, selected
from turnstream.cli.placement import ASKS, SERVICES

pytestmark = pytest.mark.timeout(900)
PEERS = {("conversation", "conversation")}
"""A pod asks another for a conversation that the other owns (`conversation/trackers.py`)."""
LOGGERS = ("conversation", "gateway")


def expected_calls(name: str) -> set[Call]:
    """Caller, callee and port of every call within the release."""
    there = {component(o) for o in of_kind(manifests(name), "Deployment", "StatefulSet")}
    ports = dict.fromkeys(SERVICES, 50051) | {"model-server": 8500, "kafka": 9092}
    pairs = {(caller, callee.replace("_", "-")) for caller, callees in ASKS.items() for callee in callees} | PEERS
    pairs |= {(logger, "kafka") for logger in LOGGERS}
    return {(a, b, ports[b]) for a, b in pairs if b in there} | {("test", "gateway", 5005)}


def _policies(name: str) -> dict[str, Manifest]:
    return {component(policy): policy for policy in of_kind(manifests(name), "NetworkPolicy")}


def allowed(name: str, direction: str) -> set[Call]:
    return allowed_calls(_policies(name).values(), direction)


@pytest.mark.parametrize("name", value_sets())
def test_callers_may_call_whom_they_ask(name: str) -> None:
    assert allowed(name, "egress") == expected_calls(name)


@pytest.mark.parametrize("name", value_sets())
def test_callees_are_reached_by_who_asks_them(name: str) -> None:
    from_outside = {("test", "gateway", port) for port in (5005, 50051)}
    assert allowed(name, "ingress") - from_outside == expected_calls(name) - from_outside


@pytest.mark.parametrize("name", value_sets())
def test_everything_else_is_denied(name: str) -> None:
    policies = _policies(name)
    deny = policies["default-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(deny)
    assert set(deny["podSelector"]["matchLabels"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}


def _to_outside(name: str, of: str) -> set[tuple[int, ...]]:
    """Ports of the rules of a component that lead out of the release."""
    rules = _policies(name)[of]["spec"].get("egress") or []
    return {
        tuple(port["port"] for port in rule.get("ports", []))
        for rule in rules
        if not any(selected(peer) in {*SERVICES, "model-server", "kafka"} for peer in rule.get("to", []))
    }


def test_ways_out_are_those_that_the_values_ask_for() -> None:
    assert {service: _to_outside("minimal", service) for service in SERVICES} == {
        **{service: set() for service in SERVICES},
        "conversation": {(9092,)},
        "gateway": {(9092,)},
    }
    everybody = {(4317,), (443,)}
    assert {service: _to_outside("production", service) for service in SERVICES} == {
        **dict.fromkeys(SERVICES, everybody),
        "nlu": everybody | {(8000,)},
        "action": everybody | {(5055,)},
        "conversation": everybody | {(9092, 9092)},
        "gateway": everybody | {(9092, 9092)},
    }
    assert _to_outside("external-kafka-tls", "gateway") == {(9094, 9094, 9095)}
    assert _to_outside("object-store", "action") == {(), (443,)}


def test_clients_and_metrics_come_from_where_the_values_say() -> None:
    gateway = _policies("production")["gateway"]["spec"]["ingress"]
    clients = next(rule for rule in gateway if {"port": 5005, "protocol": "TCP"} in rule["ports"])
    assert clients["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "ingress-nginx"}
    metrics = next(rule for rule in gateway if {"port": 9464, "protocol": "TCP"} in rule["ports"])
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    anybody = _policies("minimal")["gateway"]["spec"]["ingress"]
    assert any("from" not in rule for rule in anybody)
