"""Imports point one way, services know each other only by proto, and none of them needs TensorFlow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.shared import REPOSITORY

PACKAGE = REPOSITORY / "services" / "turnstream"
SERVICES = ("nlu", "selection", "policy", "action", "conversation", "gateway")

# What each package may import of ours, beside itself. A service may import every shared package.
SHARED: dict[str, set[str]] = {
    "api": set(),
    "assistant": set(),
    "dialogue": {"assistant", "api"},
    "features": {"assistant", "dialogue", "api"},
    "models": {"assistant", "dialogue", "features"},
    "turnlog": {"assistant", "dialogue", "api", "runtime"},
    "runtime": {"api", "assistant"},
    "inference": {"api", "assistant", "dialogue", "features", "runtime"},
    "evaluation": {"assistant", "dialogue"},
    "replay": {"assistant", "dialogue", "api", "turnlog", "runtime"},
    "training": {"assistant", "dialogue", "features", "models", "api", "runtime"},
    "authoring": {"assistant", "dialogue", "training"},
    "inspector": {"assistant", "dialogue", "api", "turnlog", "runtime", "authoring"},
}
ALLOWED = SHARED | {
    service: set(SHARED) - {"models", "training", "replay", "evaluation", "authoring", "inspector"}
    for service in SERVICES
}
ALLOWED["gateway"].add("inspector")
FREE = ("cli", "testing")
HEAVY = {"tensorflow", "keras", "tensorflow_serving"}
HEAVY_ROOMS = {"models", "training", "inference"}


def modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if "_pb2" not in p.name and "starter" not in p.parts]


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    here = room(path)
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("turnstream.")} - {here}
    assert here in FREE or here == "__init__" or ours <= ALLOWED[here], f"{here} must not import {ours - ALLOWED[here]}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_tensorflow_stays_in_its_rooms(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imported(path)} & HEAVY
    assert not heavy or room(path) in HEAVY_ROOMS | {"testing"}, f"imports {heavy}"


def test_the_services_run_without_tensorflow() -> None:
    names = [f"turnstream.{service}.service" for service in ("nlu", "selection", "policy", "action")]
    names += ["turnstream.conversation.worker", "turnstream.gateway.conversations", "turnstream.inference.client"]
    code = f"import sys, {', '.join(names)}; print(sorted(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
