"""The whole system in containers, as docker/compose.yaml brings it up, and clients that keep talking to it."""

import contextlib
import http.client
import json
import os
import queue
import subprocess
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

from support.action_servers import free_port

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
LOCAL_FILE = ROOT / "docker" / "compose.local.yaml"
TAG = os.environ.get("TURNSTREAM_TEST_TAG", "tests")
COMPOSE = os.environ.get("TURNSTREAM_TEST_COMPOSE", "docker-compose").split()
IS_OFFICIAL = os.environ.get("TURNSTREAM_TEST_OFFICIAL", "") == "yes"
CHECK = Path(__file__).with_name("check_log_in_container.py")
NO_ANSWER = (OSError, ValueError, http.client.HTTPException)
"""What the gateway being away, or telling to try later, looks like; `urllib.error.HTTPError` is an OSError."""
PATIENCE_S = 180.0
RETRY_S = 0.25
"""Between attempts, and between looks at something that tells nobody when it changes."""


def docker(*arguments: str, stdin: str | None = None, timeout_s: float = PATIENCE_S) -> str:
    """The output of a docker command. Raises AssertionError where it fails."""
    return _run(("docker", *arguments), os.environ, stdin, timeout_s)


def _run(command: Sequence[str], environment: Mapping[str, str], stdin: str | None, timeout_s: float) -> str:
    done = subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def until(look: Callable[[], T], what: str) -> T:
    """What `look` returns once that is true."""
    pause, attempts = threading.Event(), int(PATIENCE_S / RETRY_S)
    for _ in range(attempts):
        if found := look():
            return found
        pause.wait(RETRY_S)
    raise AssertionError(f"{what}: not within {PATIENCE_S:g} s")


class System:
    """`project` is the folder of an assistant; the gateway is published on `url`."""

    def __init__(self, project: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._name = f"turnstream-test-{os.getpid()}"
        files = [COMPOSE_FILE] if IS_OFFICIAL else [COMPOSE_FILE, LOCAL_FILE]
        self._command = [*COMPOSE, "-p", self._name, *(part for file in files for part in ("-f", str(file)))]
        self._environment = os.environ | {
            "TURNSTREAM_TAG": TAG,
            "TURNSTREAM_PROJECT": str(project),
            "TURNSTREAM_GATEWAY_PORT": str(self.port),
        }

    def compose(self, *arguments: str, timeout_s: float = PATIENCE_S) -> str:
        return _run((*self._command, *arguments), self._environment, None, timeout_s)

    def up(self) -> None:
        """Train, start everything, and wait until the gateway is ready."""
        self.compose("up", "-d", timeout_s=1200)
        self.until_ready("gateway")

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, service: str) -> list[str]:
        """The names of a service's containers, in order."""
        project, label = f"label=com.docker.compose.project={self._name}", f"label=com.docker.compose.service={service}"
        found = docker("ps", "--all", "--filter", project, "--filter", label, "--format", "{{.Names}}")
        return sorted(found.splitlines())

    def until_ready(self, service: str) -> None:
        """Until each container of a service says that it takes work."""
        for name in self.containers(service):
            until(lambda name=name: _is_ready(name), f"{name} ready")  # type: ignore[misc]

    def network(self) -> str:
        return f"{self._name}_inside"

    def kill(self, container: str) -> None:
        """End it at once, and start it again."""
        docker("kill", "--signal", "KILL", container)
        docker("wait", container)
        docker("start", container)

    def stop(self, container: str) -> int:
        """By SIGTERM; its exit code, 137 where it did not end within its grace."""
        docker("stop", "--time", str(inspect(container)["Config"]["StopTimeout"]), container)
        code: int = inspect(container)["State"]["ExitCode"]
        return code

    def bundles(self) -> list[str]:
        """The versions that have been trained, oldest first."""
        manifests = self.in_trainer("find", "/bundles", "-name", "manifest.json", "-not", "-path", "*/.*").split()
        return sorted(Path(manifest).parent.name for manifest in manifests)

    def in_trainer(self, *command: str) -> str:
        """Run a command with the bundles mounted writable."""
        program, *arguments = command
        return self.compose("run", "--rm", "-T", "--no-deps", "--entrypoint", program, "trainer", *arguments)

    def rollout(self, *arguments: str) -> None:
        self.in_trainer("turnstream", "rollout", *arguments, "--bundles", "/bundles")

    def check_log(self, answers: "Answers") -> dict[str, Any]:
        """What the checker says of the whole log, asked from inside the network."""
        environment = inspect(self.containers("gateway")[0])["Config"]["Env"]
        settings = [part for v in environment if v.startswith("TURNSTREAM_KAFKA_") for part in ("--env", v)]
        options = ["--interactive", "--rm", "--network", self.network(), "--entrypoint", "python", *settings]
        told = json.dumps(answers.as_json())
        code = CHECK.read_text(encoding="utf-8")
        output = docker("run", *options, f"turnstream/service:{TAG}", "-c", code, stdin=told)
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found

    def say(self, sender: str, text: str, message_id: str = "") -> list[str]:
        """The texts that answer a message, which is sent again as a client does that was told to try later."""
        message_id = message_id or uuid.uuid4().hex
        return until(lambda: self._said(sender, text, message_id), f"an answer to '{text}'")[0]

    def _said(self, sender: str, text: str, message_id: str) -> list[list[str]]:
        try:
            return [self.send(sender, text, message_id)]
        except NO_ANSWER:
            return []

    def send(self, sender: str, text: str, message_id: str) -> list[str]:
        """The texts that answer a message. Raises NO_ANSWER where none came."""
        body = {"sender": sender, "message": text, "message_id": message_id}
        request = urllib.request.Request(
            f"{self.url}/webhooks/rest/webhook", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [reply.get("text", "") for reply in json.load(answer)]


def inspect(name: str) -> dict[str, Any]:
    """What the engine knows of a container or an image."""
    found: dict[str, Any] = json.loads(docker("inspect", name))[0]
    return found


def _is_ready(container: str) -> bool:
    command = ["docker", "exec", container, "turnstream", "health", "--service", "ready"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@dataclass(slots=True)
class Answers:
    """What clients were told, by conversation and message."""

    by_message: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def as_json(self) -> list[tuple[str, str, list[str]]]:
        return [(*key, texts) for key, texts in self.by_message.items()]


class Client(threading.Thread):
    """Talks without a pause in one conversation; sends a message again, with the same id, until it is answered."""

    def __init__(self, system: System, name: str, texts: Sequence[str], answers: Answers) -> None:
        super().__init__(name=name, daemon=True)
        self._system = system
        self._texts = texts
        self._answers = answers
        self._ending = threading.Event()
        self._answered: queue.Queue[str] = queue.Queue()
        self.retries = 0
        self.unanswered: list[str] = []

    def run(self) -> None:
        for number, text in enumerate(cycle(self._texts)):
            if self._ending.is_set():
                return
            message_id = f"{self.name}-{number}"
            texts = self._answer(text, message_id)
            if texts is None:
                self.unanswered.append(message_id)
                return
            self._answers.by_message[self.name, message_id] = texts
            self._answered.put(message_id)
            self._ending.wait(RETRY_S)

    def _answer(self, text: str, message_id: str) -> list[str] | None:
        for _ in range(int(PATIENCE_S / RETRY_S)):
            with contextlib.suppress(*NO_ANSWER):
                return self._system.send(self.name, text, message_id)
            self.retries += 1
            self._ending.wait(RETRY_S)
        return None

    def go_on(self, messages: int = 3) -> None:
        """Wait until that many more messages are answered."""
        while not self._answered.empty():
            self._answered.get_nowait()
        for _ in range(messages):
            self._answered.get(timeout=PATIENCE_S)

    def end(self) -> None:
        self._ending.set()
        self.join(PATIENCE_S)


@contextlib.contextmanager
def talking(system: System, texts: Sequence[str], count: int, answers: Answers) -> Iterator[list[Client]]:
    """Clients that talk until the end."""
    clients = [Client(system, f"client-{n}", texts, answers) for n in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.end()
