"""The chart on Kubernetes: installed, talked to, hurt, upgraded, rolled, drained, removed; then its log is read.

The tests of this file are one story, in order: the log that the last ones read is what the others wrote.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import FULLNAME, NEXT_TAG, RELEASE, TAG, Cluster, train
from support.containers import ROOT, Answers, Client, talking, until
from support.network import allowed_calls

SERVICES = ("nlu", "selection", "policy", "action", "conversation", "gateway")
TEXTS = ("hello there", "are dogs allowed?", "thanks a lot")
WELCOME, NEW_WELCOME = "Welcome to the Corner Café!", "Welcome to the new Corner Café!"
DOGS = "Dogs are welcome, and there is a bowl of water by the door."
CALLEES = {
    "turnstream.api.v1.Nlu": "nlu",
    "turnstream.api.v1.ResponseSelection": "selection",
    "turnstream.api.v1.DialoguePolicy": "policy",
    "turnstream.api.v1.ActionDispatch": "action",
    "turnstream.api.v1.Trackers": "conversation",
    "tensorflow.serving.PredictionService": "model-server",
    "tensorflow.serving.ModelService": "model-server",
}
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(ROOT / "examples" / "cafe", tmp_path_factory.mktemp("project") / "cafe")


@pytest.fixture(scope="module")
def cluster(kubeconfig: Path, bundles: Path, project: Path) -> Iterator[Cluster]:
    """The release is installed with one bundle, and `helm install --wait` has returned."""
    found = Cluster(kubeconfig, bundles / "system")
    found.bundles.mkdir(mode=0o755)
    first = train(project, found.bundles)
    try:
        found.apply(
            "install",
            image__tag=TAG,
            trainerImage__tag=TAG,
            kafka__development__image__tag=TAG,
            bundle__volume__hostPath=str(found.bundles),
            rollout__stable=first,
        )
        found.find_gateway()
        yield found
    finally:
        if RELEASE in found.helm("list", "--short", "--all").split():
            found.helm("uninstall", RELEASE, "--wait")


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers()


@pytest.fixture(scope="module")
def clients(cluster: Cluster, answers: Answers) -> Iterator[list[Client]]:
    """They talk from the first test that wants them to the last."""
    with talking(cluster, TEXTS, 4, answers) as started:
        yield started


def all_go_on(clients: list[Client], messages: int = 3) -> bool:
    """Whether everybody was answered again, with nothing given up."""
    for client in clients:
        client.go_on(messages)
    return not any(client.unanswered for client in clients)


def welcome(cluster: Cluster, sender: str) -> str:
    """How the bot greets: the first sentence."""
    (text,) = cluster.say(sender, "hello there")
    return re.split(r"(?<=!)", text)[0]


def test_install_waited_for_two_ready_pods_of_each(cluster: Cluster) -> None:
    ready = {d["metadata"]["name"]: d["status"].get("readyReplicas") for d in cluster.get("deployments")["items"]}
    assert ready == {f"{FULLNAME}-{name}": 2 for name in (*SERVICES, "model-server")}


def test_a_conversation_through_the_gateways_service(cluster: Cluster) -> None:
    assert cluster.say("ada", "hello there")[0].startswith(WELCOME)
    assert cluster.say("ada", "are dogs allowed?") == [DOGS]


def test_helm_test_holds_a_conversation(cluster: Cluster) -> None:
    assert re.search(r"Phase:\s+Succeeded", cluster.helm("test", RELEASE))


def test_a_tracker_is_told_by_whichever_pod_is_asked(cluster: Cluster) -> None:
    senders = [f"tracked-{n}" for n in range(8)]
    texts = {sender: cluster.say(sender, "hello there") for sender in senders}
    for sender in senders * 2:
        events = cluster.ask(f"/conversations/{sender}/tracker")["events"]
        assert [event["text"] for event in events if event["event"] == "bot"] == texts[sender]


def test_calls_that_were_made_are_those_that_the_policies_allow(cluster: Cluster) -> None:
    assert cluster.ask("/model/parse", {"text": "are dogs allowed?"})["intent"]["name"] == "faq"
    made = {
        (service, CALLEES[method.partition("/")[0]])
        for service in SERVICES
        for pod in cluster.pods(service)
        for method in cluster.methods_called(pod)
        if not method.startswith("grpc.health")
    }
    allowed = allowed_calls(cluster.get("networkpolicies")["items"], "egress")
    assert made == {(a, b) for a, b, _ in allowed if a != "test" and b != "kafka"}


@pytest.mark.parametrize("service", [*SERVICES, "model-server"])
def test_a_deleted_pod_loses_nothing(cluster: Cluster, clients: list[Client], service: str) -> None:
    assert all_go_on(clients, 1)
    (doomed, _) = cluster.pods(service)
    cluster.kubectl("delete", "pod", doomed, "--wait=false")
    assert all_go_on(clients)
    cluster.until_ready(service)
    assert doomed not in cluster.pods(service)


@pytest.mark.parametrize("service", ["conversation", "gateway"])
def test_a_pod_that_vanishes_loses_nothing(cluster: Cluster, clients: list[Client], service: str) -> None:
    cluster.kubectl("delete", "pod", cluster.pods(service)[0], "--grace-period=0", "--force")
    assert all_go_on(clients)
    cluster.until_ready(service)


def test_an_upgrade_to_another_image_tag_loses_nothing(cluster: Cluster, clients: list[Client]) -> None:
    cluster.apply("upgrade", image__tag=NEXT_TAG)
    assert all_go_on(clients)
    images = {d["spec"]["template"]["spec"]["containers"][0]["image"] for d in cluster.get("deployments")["items"]}
    assert images == {f"turnstream/service:{NEXT_TAG}", f"turnstream/trainer:{TAG}"}


def test_a_bundle_serves_a_share_is_taken_back_and_serves_all(
    cluster: Cluster, clients: list[Client], project: Path
) -> None:
    restarts = cluster.pods("nlu")
    domain = project / "domain.yml"
    domain.write_text(domain.read_text(encoding="utf-8").replace(WELCOME, NEW_WELCOME), encoding="utf-8")
    new = train(project, cluster.bundles)
    senders = [f"share-{n}" for n in range(12)]

    def heard() -> dict[str, str]:
        return {sender: welcome(cluster, sender) for sender in senders}

    def shared() -> bool:
        """The kubelet brings the plan to one gateway after the other, and a message meets any of them."""
        rounds = [heard() for _ in range(3)]
        return set(rounds[0].values()) == {WELCOME, NEW_WELCOME} and rounds[1:] == rounds[:1] * 2

    cluster.apply("upgrade", rollout__canary={"version": new, "share": 0.5})
    until(shared, "each to be served by one of both bundles")
    first = heard()
    assert heard() == first

    cluster.apply("upgrade", rollout__canary={"version": "", "share": 0})
    until(lambda: set(heard().values()) == {WELCOME}, "the canary to be taken back")

    cluster.apply("upgrade", rollout__stable=new)
    until(lambda: set(heard().values()) == {NEW_WELCOME}, "the new bundle to serve all")
    assert all_go_on(clients)
    assert cluster.pods("nlu") == restarts, "a rollout restarts nothing"


@pytest.mark.parametrize("service", SERVICES)
def test_sigterm_drains_a_pod_in_peace(cluster: Cluster, clients: list[Client], service: str) -> None:
    pod = cluster.pods(service)[0]
    cluster.terminate(pod)
    assert all_go_on(clients)
    assert until(lambda: [code] if (code := cluster.last_exit_code(pod)) is not None else None, "its end") == [0]
    cluster.until_ready(service)


def test_the_log_has_every_message_once_in_order_as_clients_were_told(
    cluster: Cluster, clients: list[Client], answers: Answers
) -> None:
    for client in clients:
        client.end()
    assert [client.unanswered for client in clients] == [[]] * len(clients)
    (conversation, message_id), texts = next(iter(answers.by_message.items()))
    assert cluster.say(conversation, "hello there", message_id) == texts

    found = cluster.check_log(answers)
    told, retries = len(answers.by_message), sum(client.retries for client in clients)
    sys.stdout.write(
        f"\n{found['turns']} turns, {told} of clients, {retries} retries; by bundle: {found['versions']}\n"
    )
    assert found["faults"] == []
    assert found["otherwise"] == []
    assert found["turns"] > told
    assert len(found["versions"]) == 2
    assert all(texts for texts in answers.by_message.values()), "nobody was answered with silence"


def test_uninstall_leaves_nothing_behind(cluster: Cluster) -> None:
    cluster.helm("uninstall", RELEASE, "--wait")
    until(lambda: not cluster.leftovers(), "everything to go")
    assert cluster.leftovers() == []
    assert RELEASE not in cluster.helm("list", "--short", "--all").split()
