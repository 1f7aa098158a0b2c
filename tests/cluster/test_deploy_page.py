"""docs/deploy.md, followed command by command on a cluster; the tests of this file are one story, in order."""

import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.action_servers import free_port
from support.cluster import BIN, FULLNAME, NEXT_TAG, TAG, Cluster
from support.containers import ROOT, until
from support.deployed_page import ClusterReader, path_with, sections

PAGE = ROOT / "docs" / "deploy.md"
SECTIONS = list(sections(PAGE))
BOTS, SAFE = "bots", "safe"
BUILT = (r"make images ", r"docker (tag|push) ")
"""Done by scripts/cluster_tests.py, and by the node that it starts: there is no registry to push to."""
INSTALL = "helm install bot helm/turnstream "
DRILLS = re.compile(r"^\| (?P<drill>[^|]+) \| `?(?P<command>[^|`]+)`? \|", re.MULTILINE)
ELSEWHERE = {
    "a pod goes": "cluster/test_system.py::test_a_deleted_pod_loses_nothing",
    "a pod is lost": "cluster/test_system.py::test_a_pod_that_vanishes_loses_nothing",
    "SIGTERM": "cluster/test_system.py::test_sigterm_drains_a_pod_in_peace",
    "Kafka goes": "containers/test_system.py::test_a_killed_container_loses_nothing",
}
HERE = {
    "a node is emptied": "test_a_node_is_emptied_one_pod_of_a_service_at_a_time",
    "the model server goes": "test_without_the_model_server_pods_are_not_ready",
    "a broken bundle": "test_a_plan_that_names_a_missing_bundle_changes_nothing",
}
SAY = """
import json, sys, urllib.request as r
body = json.dumps({"sender": sys.argv[1], "message": "hello there"}).encode()
print(json.load(r.urlopen("http://127.0.0.1:5005/webhooks/rest/webhook", body))[0]["text"])
"""
PROBLEMS = """
import re, urllib.request as r
text = r.urlopen("http://127.0.0.1:9464/metrics").read().decode()
print(re.search(r"^turnstream_rollout_problems(?:{.*})? (\\S+)", text, re.MULTILINE)[1])
"""
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def bots(kubeconfig: Path, bundles: Path) -> Iterator[Cluster]:
    """The page's first release, and what asks about it; both of its namespaces are removed at the end."""
    cluster = Cluster(kubeconfig, bundles / "page", namespace=BOTS)
    cluster.bundles.mkdir(mode=0o755)
    try:
        yield cluster
    finally:
        for namespace in (BOTS, SAFE):
            cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=300s", timeout_s=320)


@pytest.fixture(scope="module")
def reader(bots: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterReader]:
    """Somebody in a copy of the repository."""
    home = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples" / "cafe", home / "examples" / "cafe")
    (home / "helm").symlink_to(ROOT / "helm")
    small = home / "small-node.yaml"
    text = (Path(__file__).parent / "small-node.yaml").read_text(encoding="utf-8")
    small.write_text(text.replace("tag: tests", f"tag: {TAG}"), encoding="utf-8")
    port, safe_port = free_port(), free_port()
    own = {
        INSTALL: f"{INSTALL}--values {small} ",
        "registry.example.com/": "",
        "tag: 0.1.0": f"tag: {TAG}",
        "image.tag=0.2.0": f"image.tag={NEXT_TAG}",
        "/srv/bundles": str(bots.bundles),
        "5005:5005": f"{port}:5005",
        "127.0.0.1:5005": f"127.0.0.1:{port}",
        "5006": str(safe_port),
        "tell-nobody": secrets.token_hex(16),
    }
    settings = {"KUBECONFIG": str(bots.kubeconfig), "PATH": path_with(BIN)}
    with ClusterReader(home, port=port, own=own, done_before=BUILT, settings=settings) as reader:
        yield reader


def follow(reader: ClusterReader, heading: str) -> None:
    """What is below a heading; it prints what the page shows."""
    (found,) = [blocks for name, blocks in SECTIONS if name == heading]
    reader.differences.clear()
    assert reader.follow_blocks(found) > 0
    assert not reader.differences, "\n".join(reader.differences)


def in_gateway(cluster: Cluster, code: str, *arguments: str) -> str:
    return cluster.kubectl("exec", f"deployment/{FULLNAME}-gateway", "--", "python", "-c", code, *arguments)


def ready(cluster: Cluster, component: str) -> int:
    found = cluster.get("deployment", f"{FULLNAME}-{component}")["status"].get("readyReplicas", 0)
    assert isinstance(found, int)
    return found


def test_from_an_empty_cluster_to_a_conversation(reader: ClusterReader) -> None:
    follow(reader, "From an empty cluster to a conversation")


def test_wrong_values_are_refused_with_their_place(reader: ClusterReader) -> None:
    follow(reader, "For people")


def test_tls_between_services_and_who_may_call(reader: ClusterReader, bots: Cluster) -> None:
    follow(reader, "Secrets, TLS and who may call")
    safe = Cluster(bots.kubeconfig, bots.bundles, namespace=SAFE)
    ask = "import subprocess, sys; print(subprocess.run(['turnstream', 'health', '--address', sys.argv[1]]).returncode)"
    alive = {port: in_gateway(safe, ask, f"{FULLNAME}-nlu-headless:{port}").splitlines()[-1] for port in (50051, 50052)}
    assert alive == {50051: "1", 50052: "0"}, "in plaintext, health alone is told"


def test_a_new_bundle_for_a_share_and_for_all(reader: ClusterReader, bots: Cluster) -> None:
    follow(reader, "A new bundle")
    until(lambda: "new Corner" in in_gateway(bots, SAY, "rolled-out"), "the new bundle to serve")


def test_another_image_and_back(reader: ClusterReader, bots: Cluster) -> None:
    follow(reader, "Another image")
    (container,) = bots.get("deployment", f"{FULLNAME}-nlu")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"turnstream/service:{TAG}"


def test_scaling_by_hand_and_by_autoscalers(reader: ClusterReader, bots: Cluster) -> None:
    follow(reader, "Scaling")

    def heeded() -> bool:
        """Each has found its deployment, and keeps to the fewest pods where nothing can be measured."""
        scalers = bots.get("horizontalpodautoscalers")["items"]
        conditions = [{c["type"]: c["status"] for c in s["status"].get("conditions", [])} for s in scalers]
        return all(c.get("AbleToScale") == "True" for c in conditions) and all(
            s["status"].get("desiredReplicas", 0) >= 2 for s in scalers
        )

    until(heeded, "the autoscalers to look")
    until(lambda: all(ready(bots, name) >= 2 for name in ("nlu", "conversation", "gateway")), "two pods of each")


def test_events_are_exported(reader: ClusterReader) -> None:
    follow(reader, "Backup")


def test_every_drill_is_done_somewhere() -> None:
    listed = PAGE.read_text(encoding="utf-8").partition("## Failure drills")[2].partition("\n## ")[0]
    drills = [match["drill"] for match in DRILLS.finditer(listed)]
    assert sorted(drills) == sorted(["drill", "---", *ELSEWHERE, *HERE])
    for test in ELSEWHERE.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert set(HERE.values()) <= globals().keys()


def command_of(drill: str) -> str:
    (found,) = [m["command"] for m in DRILLS.finditer(PAGE.read_text(encoding="utf-8")) if m["drill"] == drill]
    return found


def do(reader: ClusterReader, command: str) -> None:
    reader.differences.clear()
    reader.do(command)
    assert not reader.differences, "\n".join(reader.differences)


def test_a_node_is_emptied_one_pod_of_a_service_at_a_time(bots: Cluster) -> None:
    """There is no other node: the second pod stays, since the first finds no place. `nlu` alone is driven out."""
    before = bots.pods("nlu")
    name = bots.get("nodes")["items"][0]["metadata"]["name"]
    _, *drain = command_of("a node is emptied").replace("NODE", name).split()
    try:
        with pytest.raises(AssertionError, match="violate the pod's disruption budget"):
            bots.kubectl(*drain, "--pod-selector=app.kubernetes.io/component=nlu", "--timeout=60s")
        assert len(set(bots.pods("nlu")) & set(before)) == 1
        assert ready(bots, "nlu") == 1
    finally:
        bots.kubectl("uncordon", name)
    bots.until_ready("nlu")
    assert ready(bots, "nlu") == 2


def test_without_the_model_server_pods_are_not_ready(reader: ClusterReader, bots: Cluster) -> None:
    do(reader, command_of("the model server goes"))
    until(lambda: ready(bots, "nlu") == ready(bots, "policy") == 0, "pods to say that they lack the model server")
    bots.kubectl("scale", "deployment", f"{FULLNAME}-model-server", "--replicas=2")
    for component in ("model-server", "nlu", "selection", "policy"):
        bots.until_ready(component)
    until(lambda: "new Corner" in in_gateway(bots, SAY, "back"), "an answer")


def test_a_plan_that_names_a_missing_bundle_changes_nothing(reader: ClusterReader, bots: Cluster) -> None:
    do(reader, command_of("a broken bundle"))
    until(lambda: float(in_gateway(bots, PROBLEMS)) > 0, "the gateway to see the plan")
    assert "new Corner" in in_gateway(bots, SAY, "undeterred")
    do(reader, "helm rollback bot -n bots")
    until(lambda: float(in_gateway(bots, PROBLEMS)) == 0, "the gateway to see the plan of before")


def test_more_detail_of_a_pod(reader: ClusterReader) -> None:
    follow(reader, "Failure drills")


def test_what_the_text_says_to_type(reader: ClusterReader, bots: Cluster) -> None:
    restart = "kubectl -n bots rollout restart deployment/bot-turnstream-gateway"
    text = PAGE.read_text(encoding="utf-8")
    for command in ("kubectl --namespace bots describe pod", "helm history bot -n bots", restart):
        assert f"`{command}`" in text
        do(reader, command)
    bots.until_ready("gateway")
    do(reader, f"kubectl -n bots logs deployment/{FULLNAME}-gateway")


def test_taking_it_away_leaves_nothing_but_what_the_page_says(reader: ClusterReader, bots: Cluster) -> None:
    follow(reader, "Taking it away")
    until(lambda: not bots.leftovers(), "everything to go")
    own = {secret["metadata"]["name"] for secret in bots.get("secrets")["items"]}
    assert own == {"kafka-user"}


def test_nothing_of_the_page_is_left_out() -> None:
    followed = re.findall(r'^    follow\(reader, "([^"]+)"\)', Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)
    with_commands = [name for name, blocks in SECTIONS if any(b.language == "console" for b in blocks)]
    assert followed == with_commands
