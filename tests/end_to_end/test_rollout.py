"""A new bundle in place of the old while conversations go on: services apart, over sockets, with a model server."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from support.bundle_folder import damage, derive_bundle
from support.commands import RunningAssistant, turnstream
from support.small_project import write_project
from turnstream.api.v1.conversations_pb2 import SendMessageRequest, Turn
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.runtime.rollout import Canary
from turnstream.turnlog.sqlite import SqliteTurnLog

CONFIG = """
recipe: default.v1
assistant_id: small_trained
language: en
pipeline:
  - name: WhitespaceTokenizer
  - name: CountVectorsFeaturizer
  - name: DIETClassifier
    epochs: 60
    random_seed: 1
policies:
  - name: RulePolicy
"""
OLD, NEW, BROKEN = "1-old", "2-new", "3-broken"
WORDS = {"greet": "welcome", "I am small": "I am new"}
GREETING = {OLD: "Hello, I am small.", NEW: "Hello, I am new."}
INTENT = {OLD: "greet", NEW: "welcome"}
CONVERSATIONS = [f"conversation-{number}" for number in range(12)]
SHARE = 0.3
GRACE_S = 2.0
PATIENCE_S = 60.0


@dataclass
class Talk:
    """Clients that keep talking, each in a conversation of its own, until told to stop."""

    address: str
    turns: list[tuple[str, Turn]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._more = threading.Condition()
        self._is_over = False
        self._clients = [threading.Thread(target=self._talk, args=(name,)) for name in CONVERSATIONS]

    def _talk(self, name: str) -> None:
        with grpc.insecure_channel(self.address) as channel:
            stub = ConversationsStub(channel)
            while not self._is_over:
                try:
                    turn = stub.SendMessage(SendMessageRequest(conversation_id=name, text="hello"), timeout=30).turn
                except grpc.RpcError as error:
                    self.failures.append(f"{name}: {error}")
                    return
                with self._more:
                    self.turns.append((name, turn))
                    self._more.notify_all()

    def __enter__(self) -> "Talk":
        for client in self._clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for client in self._clients:
            client.join(PATIENCE_S)

    def until(self, settled: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait for a round in which the versions that serve the conversations are as wanted; those of that round."""
        begun = len(self.turns)
        with self._more:

            def latest() -> dict[str, str]:
                return {name: turn.bundle_version for name, turn in self.turns[begun:]}

            done = self._more.wait_for(
                lambda: bool(self.failures) or (len(latest()) == len(CONVERSATIONS) and settled(latest())), PATIENCE_S
            )
            assert done, f"the last versions were {latest()}"
            assert not self.failures
            return latest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two trained bundles, of which the older serves."""
    folder = write_project(tmp_path_factory.mktemp("rollout"), config_yml=CONFIG)
    training = turnstream("train", "--out", "trained", cwd=folder)
    assert training.code == 0, training.errors
    (trained,) = (folder / "trained").iterdir()
    (folder / "models").mkdir()
    derive_bundle(trained, folder / "models", OLD, {})
    derive_bundle(folder / "models" / OLD, folder / "models", NEW, WORDS)
    return folder


def plan(folder: Path, *arguments: str) -> None:
    done = turnstream("rollout", *arguments, cwd=folder)
    assert done.code == 0, done.errors


@pytest.fixture(scope="module")
def assistant(folder: Path) -> Iterator[RunningAssistant]:
    plan(folder, "stable", OLD)
    settings = {"TURNSTREAM_BUNDLES_GRACE_S": str(GRACE_S), "TURNSTREAM_BUNDLES_POLL_S": "0.3"}
    with RunningAssistant("--placement", "apart", "--watch", cwd=folder, **settings) as running:
        yield running.ready()


def is_ready(address: str, version: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        health: Any = HealthStub(channel)
        try:
            answer = health.Check(HealthCheckRequest(service=f"bundle/{version}"), timeout=10)
        except grpc.RpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)


def taken(versions: dict[str, str]) -> set[str]:
    return {name for name, version in versions.items() if version == NEW}


def test_a_version_is_tried_on_a_share_taken_back_and_rolled_out_while_conversations_go_on(
    assistant: RunningAssistant, folder: Path
) -> None:
    share = {name for name in CONVERSATIONS if Canary(NEW, SHARE).takes(name)}
    assert 0 < len(share) < len(CONVERSATIONS)
    with Talk(assistant.grpc) as talk:
        assert taken(talk.until(lambda versions: True)) == set()
        plan(folder, "canary", NEW, "--share", str(SHARE))
        assert taken(talk.until(lambda versions: NEW in versions.values())) == share
        before = len(talk.turns)
        talk.until(lambda versions: len(talk.turns) > before + 5 * len(CONVERSATIONS))
        plan(folder, "back")
        talk.until(lambda versions: taken(versions) == set())
        plan(folder, "stable", NEW)
        talk.until(lambda versions: taken(versions) == set(CONVERSATIONS))
    assert talk.failures == []
    during = {name for name, turn in talk.turns[:before] if turn.bundle_version == NEW}
    assert during == share, "nobody else was tried on"
    records = asyncio.run(recorded(folder / ".turnstream" / "turns.db"))
    assert len(records) == len(talk.turns)
    assert [fault for record in records for fault in faults(record)] == []


async def recorded(file: Path) -> list[TurnRecord]:
    log = SqliteTurnLog(file)
    records: list[TurnRecord] = []
    try:
        for name in CONVERSATIONS:
            records += (await log.conversation(name, from_turn=1)).turns
    finally:
        await log.close()
    return records


def faults(record: TurnRecord) -> Iterator[str]:
    """What in a turn is not of the version that the record names."""
    version = record.bundle_version
    where = f"{record.conversation_id} turn {record.turn_number} of {version}"
    intents = [e.user_uttered.parse_data.intent.name for e in record.events if e.WhichOneof("body") == "user_uttered"]
    actions = [e.action_executed.name for e in record.events if e.WhichOneof("body") == "action_executed"]
    if intents != [INTENT[version]]:
        yield f"{where}: nlu found {intents}"
    if f"utter_{INTENT[version]}" not in actions:
        yield f"{where}: policies chose {actions}"
    if [reply.text for reply in record.replies] != [GREETING[version]]:
        yield f"{where}: said {[reply.text for reply in record.replies]}"
    if record.errors:
        yield f"{where}: {record.errors}"


def test_every_service_lets_the_old_version_go_after_its_grace(assistant: RunningAssistant) -> None:
    pause = threading.Event()
    for name, address in assistant.services.items():
        assert is_ready(address, NEW), name
        for _ in range(int(PATIENCE_S * 10)):
            if not is_ready(address, OLD):
                break
            pause.wait(0.1)
        assert not is_ready(address, OLD), name


def test_a_message_sent_again_keeps_the_version_that_served_it(assistant: RunningAssistant, folder: Path) -> None:
    with grpc.insecure_channel(assistant.grpc) as channel:
        stub = ConversationsStub(channel)
        request = SendMessageRequest(conversation_id="again", message_id="m1", text="hello")
        first = stub.SendMessage(request, timeout=30).turn
        assert first.bundle_version == NEW
        plan(folder, "stable", OLD)
        with Talk(assistant.grpc) as talk:
            talk.until(lambda versions: taken(versions) == set())
        assert stub.SendMessage(request, timeout=30).turn == first


def test_a_broken_bundle_leaves_the_stable_one_serving_and_is_told(assistant: RunningAssistant, folder: Path) -> None:
    damage(derive_bundle(folder / "models" / NEW, folder / "models", BROKEN, {}))
    refused = turnstream("rollout", "stable", BROKEN, cwd=folder)
    assert refused.code == 1
    assert "damaged" in refused.errors
    (folder / "models" / "rollout.yaml").write_text(f"stable: {BROKEN}\n")
    with Talk(assistant.grpc) as talk:
        pause = threading.Event()
        for _ in range(int(PATIENCE_S * 10)):
            if f"version {BROKEN} cannot be loaded, {OLD} goes on" in assistant.errors:
                break
            pause.wait(0.1)
        assert set(talk.until(lambda versions: True).values()) == {OLD}
    assert talk.failures == []
    assert f"version {BROKEN} cannot be loaded, {OLD} goes on" in assistant.errors
    assert "Traceback" not in assistant.errors
