"""What the network policies of a release allow among its components."""

from collections.abc import Iterable
from typing import Any

from support.helm import Manifest, component

Call = tuple[str, str, int]
"""Caller, callee, port."""


def selected(peer: dict[str, Any]) -> str | None:
    """The component of the release that a peer is; None for what is elsewhere."""
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    return labels.get("app.kubernetes.io/component") if "namespaceSelector" not in peer else None


def allowed_calls(policies: Iterable[Manifest], direction: str) -> set[Call]:
    """Calls within the release that policies allow at the side of the caller (egress) or the callee (ingress)."""
    end = "to" if direction == "egress" else "from"
    found = set()
    for policy in policies:
        mine = component(policy)
        for rule in policy["spec"].get(direction) or []:
            for other in filter(None, map(selected, rule.get(end, []))):
                pair = (mine, other) if direction == "egress" else (other, mine)
                found |= {(*pair, port["port"]) for port in rule["ports"]}
    return found
