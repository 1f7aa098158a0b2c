"""The chart, rendered by a real `helm`."""

import fcntl
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "turnstream"
HELM_TESTS = ROOT / "tests" / "helm"
HELM_MODULE = "helm.sh/helm/v3/cmd/helm@v3.22.0"
BUILD_TIMEOUT_S = 600
RELEASE, NAMESPACE, KUBERNETES = "assistant", "bots", "1.36.0"
Manifest = dict[str, Any]


class HelmUnavailable(RuntimeError):
    """Why there is no helm, in one line."""


@cache
def helm_program() -> str:
    """$HELM, or the one on the PATH, or one built once from its Go module into the cache. Raises HelmUnavailable."""
    if found := os.environ.get("HELM") or shutil.which("helm"):
        return found
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "turnstream" / "bin"
    cache_folder.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes: the first builds it.
    with (cache_folder / "helm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache_folder / "helm").is_file():
            _build(cache_folder)
    return str(cache_folder / "helm")


def _build(folder: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise HelmUnavailable("helm is neither on the PATH nor in $HELM, and there is no Go to build it with")
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    command = [go, "install", "-ldflags", "-s -w", HELM_MODULE]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S
    )
    if done.returncode:
        raise HelmUnavailable(f"helm could not be built: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


def helm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run helm to its end."""
    # Helm keeps folders of its own; what a user has there is none of the tests' business.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HELM_")}
    return subprocess.run(
        [helm_program(), *arguments], capture_output=True, text=True, check=False, timeout=60, env=environment
    )


@cache
def value_sets() -> dict[str, Path]:
    """The files of values that are rendered, by name."""
    return {path.stem: path for path in sorted((HELM_TESTS / "values").glob("*.yaml"))}


def render(values: Path, *more: str) -> str:
    """The manifests of the chart. Raises AssertionError with helm's own words."""
    done = template("--values", str(values), *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def template(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBERNETES, *arguments)


@cache
def manifests(name: str) -> tuple[Manifest, ...]:
    """The objects of a set of values."""
    return parsed(render(value_sets()[name]))


def parsed(text: str) -> tuple[Manifest, ...]:
    return tuple(document for document in yaml.safe_load_all(text) if document)


def of_kind(objects: tuple[Manifest, ...], *kinds: str) -> list[Manifest]:
    return [o for o in objects if o["kind"] in kinds]


def component(manifest: Manifest) -> str:
    """The component that an object belongs to."""
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def pods(objects: tuple[Manifest, ...]) -> list[tuple[Manifest, Manifest]]:
    """Each object that makes pods, with the pod that it makes."""
    workloads = of_kind(objects, "Deployment", "StatefulSet", "Job")
    return [(w, w["spec"]["template"]) for w in workloads] + [(p, p) for p in of_kind(objects, "Pod")]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment_of(container: Manifest) -> dict[str, str | None]:
    """Variables and values; None for those from a secret."""
    return {variable["name"]: variable.get("value") for variable in container.get("env", [])}


def main_container(objects: tuple[Manifest, ...], name: str) -> Manifest:
    """The one container of a component's deployment."""
    deployment = next(d for d in of_kind(objects, "Deployment", "StatefulSet") if component(d) == name)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Manifest = container
    return found
