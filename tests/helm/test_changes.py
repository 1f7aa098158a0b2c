"""Which changes of values replace pods, and which the pods follow as they are."""

import pytest
from support.helm import Manifest, component, of_kind, parsed, render, value_sets

pytestmark = pytest.mark.timeout(900)
ACTIONS = "actionServer.url=http://actions:5055/webhook"
PLAN = "rollout.stable=20261122-101500"


def rendered(*values: str) -> tuple[Manifest, ...]:
    """The minimal values, and these."""
    return parsed(render(value_sets()["minimal"], *(part for value in values for part in ("--set", value))))


def replaced(before: tuple[Manifest, ...], after: tuple[Manifest, ...]) -> set[str]:
    """The components whose pods are made anew."""
    old, new = ({component(d): d["spec"]["template"] for d in of_kind(o, "Deployment")} for o in (before, after))
    return {name for name, template in new.items() if template != old.get(name)}


def test_another_action_server_replaces_the_pods_that_read_its_address() -> None:
    before, after = rendered(ACTIONS), rendered("actionServer.url=http://others:5055/webhook")
    assert replaced(before, after) == {"action", "conversation"}


def test_another_share_or_stable_version_replaces_nothing() -> None:
    before = rendered(PLAN)
    assert replaced(before, rendered(PLAN, "rollout.canary.version=b", "rollout.canary.share=1")) == set()
    assert replaced(before, rendered("rollout.stable=b")) == set()


def test_another_image_of_the_services_replaces_all_that_run_it() -> None:
    assert replaced(rendered(), rendered("image.tag=v9")) >= {"nlu", "gateway", "conversation"}


@pytest.mark.parametrize(("seconds", "said"), [("0", 0), ("60", 60)])
def test_how_long_an_autoscaler_waits_is_what_the_values_say(seconds: str, said: int) -> None:
    objects = rendered("defaults.autoscaling.enabled=true", f"defaults.autoscaling.scaleDownAfterSeconds={seconds}")
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    waits = {scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] for scaler in scalers}
    assert waits == {said}


def test_ports_with_tls_are_not_announced_as_plaintext() -> None:
    tls = ("tls.enabled=true", "tls.existingSecret=a", "modelServer.tls=true", "gateway.tls.existingSecret=b")

    def announced(*values: str) -> set[str]:
        services = of_kind(rendered(*values), "Service")
        return {
            component(service)
            for service in services
            for port in service["spec"]["ports"]
            if port.get("appProtocol") == "kubernetes.io/h2c"
        }

    everybody = {"nlu", "selection", "policy", "action", "conversation", "gateway", "model-server"}
    assert announced() == everybody
    assert announced(*tls[:2]) == {"gateway", "model-server"}
    assert announced(*tls) == set()
