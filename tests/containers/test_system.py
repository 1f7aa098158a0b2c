"""The whole system in containers: talks, loses containers, rolls bundles, ends in peace; then its log is read.

The tests of this file are one story, in order: the log that the last one reads is what the others wrote.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from support.containers import ROOT, Answers, Client, System, docker, inspect, talking, until
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

SERVICES = ("nlu", "selection", "policy", "action", "conversation", "gateway")
ALL = (*SERVICES, "actions", "model-config", "model-server", "kafka")
TEXTS = ("hello there", "are dogs allowed?", "I'd like a big cappuccino", "2 cups", "thanks a lot")
WELCOME, NEW_WELCOME = "Welcome to the Corner Café!", "Welcome to the new Corner Café!"
ORDERED = [["How many cups?"], ["2 × large cappuccino: that makes €8.32. It is on its way!"]]
BATCHING_PARAMETERS = {
    *("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads", "allowed_batch_sizes"),
    *("pad_variable_length_inputs", "enable_large_batch_splitting", "max_execution_batch_size"),
}
"""Of the batching guide of TensorFlow Serving (tensorflow_serving/batching/README.md); their proto is not on PyPI."""
JVM_ENDED_BY_SIGTERM = 143
"""A Java process that has shut down in peace still ends with 128 and the signal's number."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(ROOT / "examples" / "cafe", tmp_path_factory.mktemp("containers") / "cafe")
    folder.parent.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def system(project: Path) -> Iterator[System]:
    started = System(project)
    try:
        started.up()
        yield started
    finally:
        started.down()


@pytest.fixture(scope="module")
def answers() -> Answers:
    return Answers()


@pytest.fixture(scope="module")
def clients(system: System, answers: Answers) -> Iterator[list[Client]]:
    """They talk from the first test that wants them to the last."""
    with talking(system, TEXTS, 3, answers) as started:
        yield started


def order(system: System, sender: str) -> list[list[str]]:
    """A form with custom actions, from beginning to end."""
    return [system.say(sender, text) for text in ("I'd like a big cappuccino", "2 cups")]


def test_a_conversation_through_the_published_gateway(system: System) -> None:
    assert system.say("ada", "hello there")[0].startswith(WELCOME)
    assert system.say("ada", "are dogs allowed?") == ["Dogs are welcome, and there is a bowl of water by the door."]
    assert order(system, "ada") == ORDERED


@pytest.mark.parametrize("service", ALL)
def test_each_container_is_hardened_and_limited(system: System, service: str) -> None:
    for name in system.containers(service):
        container = inspect(name)
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert container["Config"]["User"].partition(":")[0] not in ("", "0", "root"), name
        published = [binding["HostIp"] for bound in (host["PortBindings"] or {}).values() for binding in bound]
        assert published == (["127.0.0.1"] if service == "gateway" else []), name


def test_the_model_server_is_told_what_tensorflow_serving_reads(system: System) -> None:
    (container,) = system.containers("model-config")
    config = text_format.Parse(docker("exec", container, "cat", "/models/models.config"), ModelServerConfig())
    batching = docker("exec", container, "cat", "/models/batching.config")
    assert set(re.findall(r"^(\w+)", batching, re.MULTILINE)) <= BATCHING_PARAMETERS
    assert "prometheus_config" in docker("exec", container, "cat", "/models/monitoring.config")
    models = config.model_config_list.config
    assert sorted(model.name for model in models) == ["diet", "selector-faq", "ted"]
    (server,) = system.containers("model-server")
    for model in models:
        assert model.model_platform == "tensorflow"
        (version,) = model.model_version_policy.specific.versions
        assert model.version_labels["stable"] == version
        files = docker("exec", server, "ls", f"{model.base_path}/{version}/").split()
        assert {"saved_model.pb", "variables"} <= set(files)


def test_two_replicas_share_the_conversations(system: System) -> None:
    assert len(system.containers("conversation")) == 2
    senders = [f"shared-{n}" for n in range(8)]
    assert [order(system, sender) for sender in senders] == [ORDERED] * len(senders)


@pytest.mark.parametrize("service", ALL)
def test_a_killed_container_loses_nothing(system: System, clients: list[Client], service: str) -> None:
    for client in clients:
        client.go_on(1)
    system.kill(system.containers(service)[0])
    for client in clients:
        client.go_on()
    assert [client.unanswered for client in clients] == [[]] * len(clients)
    if service in SERVICES:
        system.until_ready(service)
    until(lambda: order(system, f"after-{service}") == ORDERED, f"orders after {service} was killed")


@pytest.mark.parametrize("service", ALL)
def test_sigterm_ends_a_container_in_peace_within_its_grace(
    system: System, clients: list[Client], service: str
) -> None:
    container = system.containers(service)[-1]
    try:
        assert system.stop(container) == (JVM_ENDED_BY_SIGTERM if service == "kafka" else 0)
    finally:
        docker("start", container)
    for client in clients:
        client.go_on(1)
    assert [client.unanswered for client in clients] == [[]] * len(clients)


def test_a_bundle_is_rolled_out_to_a_share_and_then_to_all(
    system: System, clients: list[Client], project: Path
) -> None:
    (old,) = system.bundles()
    system.rollout("stable", old)
    change(project / "domain.yml", WELCOME, NEW_WELCOME)
    change(project / "data" / "nlu.yml", "      - hello\n", "      - hello\n      - ahoy\n")
    system.compose("run", "--rm", "-T", "--no-deps", "trainer", timeout_s=600)
    (new,) = set(system.bundles()) - {old}
    assert welcome(system, "before") == WELCOME

    system.rollout("canary", new, "--share", "0.5")
    until(lambda: greeted_by_both(system), "both bundles to serve")
    first = {f"canary-{n}": welcome(system, f"canary-{n}") for n in range(16)}
    assert set(first.values()) == {WELCOME, NEW_WELCOME}
    assert {sender: welcome(system, sender) for sender in first} == first

    system.rollout("back")
    until(lambda: {welcome(system, sender) for sender in first} == {WELCOME}, "the canary to be taken back")
    system.rollout("stable", new)
    until(lambda: {welcome(system, sender) for sender in first} == {NEW_WELCOME}, "the new bundle to serve all")
    assert order(system, "rolled") == ORDERED
    for client in clients:
        client.go_on()
    assert [client.unanswered for client in clients] == [[]] * len(clients)


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def welcome(system: System, sender: str) -> str:
    """How the bot greets: the first sentence."""
    (text,) = system.say(sender, "hello there")
    return re.split(r"(?<=!)", text)[0]


def greeted_by_both(system: System) -> bool:
    return {welcome(system, f"look-{n}") for n in range(16)} == {WELCOME, NEW_WELCOME}


def test_the_log_has_every_message_once_in_order_as_clients_were_told(
    system: System, clients: list[Client], answers: Answers
) -> None:
    for client in clients:
        client.end()
    assert [client.unanswered for client in clients] == [[]] * len(clients)
    (conversation, message_id), texts = next(iter(answers.by_message.items()))
    assert system.say(conversation, "hello there", message_id) == texts

    found = system.check_log(answers)
    retries = sum(client.retries for client in clients)
    told = len(answers.by_message)
    sys.stdout.write(
        f"\n{found['turns']} turns, {told} of clients, who retried {retries} times; by bundle: {found['versions']}\n"
    )
    assert found["faults"] == []
    assert found["otherwise"] == []
    assert found["turns"] > len(answers.by_message)
    assert len(found["versions"]) == 2
