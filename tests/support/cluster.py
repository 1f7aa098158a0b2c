"""The chart on a real Kubernetes: a node of this machine, or the cluster of $KUBECONFIG."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from support.containers import CHECK, NO_ANSWER, Answers, until
from support.helm import CHART
from support.shared import SHARED

T = TypeVar("T")
TOOLS = SHARED / "tools" / "cluster"
BIN = Path.home() / ".cache" / "kube-node" / "bin"
TAG = os.environ.get("TURNSTREAM_TEST_TAG", "dev")
NEXT_TAG = f"{TAG}-next"
VALUES = Path(__file__).resolve().parents[1] / "cluster" / "values.yaml"
NAMESPACE, RELEASE = "turnstream-test", "bot"
FULLNAME = f"{RELEASE}-turnstream"
INSTALL_TIMEOUT_S = 900
METRICS_PORT = 9464
PODS_OF_THE_NODE = "cni0"


def run(*command: str, stdin: str | None = None, timeout_s: float = 300.0, **environment: str) -> str:
    """The output of a program. Raises AssertionError where it fails."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


class Node:
    """One node on this machine (`shared/tools/cluster`); needs root, a Docker engine for images, and Go once."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._kubelet: subprocess.Popen[bytes] | None = None
        self.kubeconfig = state / "admin.kubeconfig"

    def up(self, images: Sequence[str]) -> None:
        run(str(TOOLS / "build.sh"), timeout_s=3000)
        run(str(TOOLS / "up.sh"), str(self._state), timeout_s=300)
        self._forward_between_pods("-I")
        self._keep_images()
        for image in images:
            run(str(TOOLS / "load.sh"), image, str(self._state), timeout_s=900)

    def down(self) -> None:
        run(str(TOOLS / "down.sh"), str(self._state), timeout_s=300)
        if self._kubelet is not None:
            self._kubelet.wait()
        self._forward_between_pods("-D")

    def _forward_between_pods(self, action: str) -> None:
        """A Docker engine lets nothing be forwarded but between its own containers."""
        for side in ("-i", "-o"):
            rule = ("FORWARD", side, PODS_OF_THE_NODE, "-j", "ACCEPT")
            with contextlib.suppress(AssertionError):
                run("iptables", "-D", *rule)
            if action == "-I":
                run("iptables", "-I", *rule)

    def _keep_images(self) -> None:
        """The kubelet would remove images, which nobody can pull again, from a disk that is rather full."""
        pid_file = self._state / "pid" / "kubelet"
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        with (self._state / "kubelet.yaml").open("a") as config:
            config.write("imageGCHighThresholdPercent: 100\n")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not _runs(pid), "the kubelet to end")
        with (self._state / "log" / "kubelet.log").open("ab") as log:
            self._kubelet = subprocess.Popen(
                command, cwd=self._state, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        pid_file.write_text(str(self._kubelet.pid))


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@dataclass
class Cluster:
    """The release on a cluster. `values` are those set at the moment, over the file of values."""

    kubeconfig: Path
    bundles: Path
    namespace: str = NAMESPACE
    values: dict[str, Any] = field(default_factory=dict)
    url: str = ""

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 300.0) -> str:
        program = shutil.which("kubectl", path=f"{BIN}{os.pathsep}{os.environ['PATH']}") or "kubectl"
        return run(
            *(program, "-n", self.namespace, *arguments),
            stdin=stdin,
            timeout_s=timeout_s,
            KUBECONFIG=str(self.kubeconfig),
        )

    def helm(self, *arguments: str) -> str:
        program = shutil.which("helm", path=f"{BIN}{os.pathsep}{os.environ['PATH']}") or "helm"
        command = (program, "-n", self.namespace, *arguments)
        return run(*command, timeout_s=INSTALL_TIMEOUT_S + 60, KUBECONFIG=str(self.kubeconfig))

    def apply(self, verb: str, **values: Any) -> None:
        """`helm install` or `helm upgrade` with the values of before and those given (`__` is a dot)."""
        self.values |= values
        overlay: dict[str, Any] = {}
        for name, value in self.values.items():
            *parents, key = name.split("__")
            section = overlay
            for parent in parents:
                section = section.setdefault(parent, {})
            section[key] = value
        file = self.bundles.parent / "values.json"
        file.write_text(json.dumps(overlay), encoding="utf-8")
        files = ["--values", str(VALUES), "--values", str(file)]
        namespace = ["--create-namespace"] if verb == "install" else []
        self.helm(verb, RELEASE, str(CHART), *files, "--wait", "--timeout", f"{INSTALL_TIMEOUT_S}s", *namespace)

    def find_gateway(self) -> None:
        """By the port that every node opens for the gateway's service."""
        service = self.get("service", f"{FULLNAME}-gateway")
        port = next(p["nodePort"] for p in service["spec"]["ports"] if p["name"] == "rest")
        (node, *_) = self.get("nodes")["items"]
        address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
        self.url = f"http://{address}:{port}"

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output", "json"))
        return found

    def pods(self, component: str) -> list[str]:
        """Names of a component's pods that are not on their way out, in order."""
        labels = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
        pods = self.get("pods", "--selector", labels)["items"]
        return sorted(p["metadata"]["name"] for p in pods if "deletionTimestamp" not in p["metadata"])

    def until_ready(self, component: str) -> None:
        self.kubectl("rollout", "status", f"deployment/{FULLNAME}-{component}", "--timeout=300s", timeout_s=320)

    def say(self, sender: str, text: str, message_id: str = "") -> list[str]:
        """The texts that answer a message, which is sent again as a client does that was told to try later."""
        message_id = message_id or uuid.uuid4().hex
        return _in_the_end(lambda: self.send(sender, text, message_id), f"an answer to '{text}'")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """As `api`, of what changes nothing: asked again where no answer comes."""
        return _in_the_end(lambda: self.api(path, body), f"an answer of {path}")

    def send(self, sender: str, text: str, message_id: str) -> list[str]:
        """The texts that answer a message. Raises NO_ANSWER where none came."""
        body = {"sender": sender, "message": text, "message_id": message_id}
        return [reply.get("text", "") for reply in self.api("/webhooks/rest/webhook", body)]

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON that Rasa's HTTP API answers: to a GET, or to a POST of `body`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def methods_called(self, pod: str) -> set[str]:
        """The gRPC methods that a pod has called since it started, by its metrics."""
        read = (
            f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{METRICS_PORT}/metrics').read().decode())"
        )
        text = self.kubectl("exec", pod, "--", "python", "-c", read)
        return set(re.findall(r'^turnstream_grpc_client_seconds_count{.*method="/([^"]+)"', text, re.MULTILINE))

    def check_log(self, answers: Answers) -> dict[str, Any]:
        """What the checker says of the whole log, asked from inside a gateway's pod."""
        code = CHECK.read_text(encoding="utf-8")
        told = json.dumps(answers.as_json())
        output = self.kubectl("exec", "-i", self.pods("gateway")[0], "--", "python", "-c", code, stdin=told)
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found

    def terminate(self, pod: str) -> None:
        """Send SIGTERM to the one process of a pod's container, which is then started again in the same pod."""
        self.kubectl("exec", pod, "--", "python", "-c", "import os, signal; os.kill(1, signal.SIGTERM)")

    def last_exit_code(self, pod: str) -> int | None:
        """Of the container's run before this one; None where there was none."""
        status = self.get("pod", pod)["status"]["containerStatuses"][0]
        ended = status["lastState"].get("terminated") or status["state"].get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def leftovers(self) -> list[str]:
        """Everything in the namespace that bears the release's label."""
        kinds = "all,configmaps,secrets,serviceaccounts,persistentvolumeclaims,networkpolicies,poddisruptionbudgets,"
        kinds += "horizontalpodautoscalers,ingresses"
        found = self.kubectl("get", kinds, "--selector", f"app.kubernetes.io/instance={RELEASE}", "--output", "name")
        return found.split()


def _in_the_end(ask: Callable[[], T], what: str) -> T:
    """What is answered once the gateway is not away, and tells nobody to try later."""

    def answered() -> list[T]:
        try:
            return [ask()]
        except NO_ANSWER:
            return []

    return until(answered, what)[0]


@contextlib.contextmanager
def a_cluster(folder: Path) -> Iterator[Path]:
    """Where its kubeconfig is: that of $KUBECONFIG, or a node of this machine for as long as it is used."""
    if given := os.environ.get("KUBECONFIG"):
        yield Path(given)
        return
    images = [f"turnstream/{name}:{TAG}" for name in ("service", "trainer", "kafka")]
    run("docker", "tag", images[0], f"turnstream/service:{NEXT_TAG}")
    node = Node(folder / "node")
    try:
        node.up([*images, f"turnstream/service:{NEXT_TAG}"])
        yield node.kubeconfig
    finally:
        node.down()


def train(project: Path, bundles: Path) -> str:
    """A new bundle of the project in the folder of bundles; its version."""
    before = {path.name for path in bundles.iterdir()}
    run(sys.executable, "-m", "turnstream.cli", "train", "--config", str(project / "config.yml"), "--domain",
        str(project / "domain.yml"), "--data", str(project / "data"), "--out", str(bundles), timeout_s=900)  # fmt: skip
    (version,) = {path.name for path in bundles.iterdir() if not path.name.startswith(".")} - before
    return version
