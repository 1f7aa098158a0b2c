"""Which version of an assistant serves which conversation: the plan of a rollout, and the file that holds it.

stable: 20261122-101500
canary: {version: 20261123-090000, share: 0.3}
"""

import difflib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from turnstream.runtime.yaml_text import BadYaml, load_yaml

PLAN_FILE = "rollout.yaml"
_NOTHING = ("", "null", "~")


class PlanError(ValueError):
    """The plan cannot be used; the message names its file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Canary:
    """`share`, of conversations, is between 0 and 1."""

    version: str
    share: float

    def takes(self, conversation_id: str) -> bool:
        """Whether a conversation is one of the share.

        The same conversations as long as the share stays, and they stay in when it grows. Each canary draws anew, so
        that not the same people meet every new version first.
        """
        digest = hashlib.sha256(f"{self.version}\n{conversation_id}".encode()).digest()
        return int.from_bytes(digest[:8]) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """`stable` is a version, or the absolute path of a bundle; empty: no assistant is served."""

    stable: str
    canary: Canary | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """What it names, stable first."""
        canary = (self.canary.version,) if self.canary else ()
        return tuple(name for name in (self.stable, *canary) if name)


def parse_plan(text: str, where: str = PLAN_FILE) -> RolloutPlan:
    """A plan from YAML or JSON. Raises PlanError."""
    try:
        # Every scalar as it stands: a version may look like a number or a date.
        content = load_yaml(text, yaml.CBaseLoader)
    except BadYaml as error:
        raise PlanError(f"{where}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or "stable" not in content:
        raise PlanError(f"{where}: 'stable: VERSION' is missing")
    _only(content, ("stable", "canary"), where)
    stable = _text(content["stable"], "stable", where)
    canary = content.get("canary")
    return RolloutPlan(stable, None if canary in _NOTHING or canary is None else _canary(canary, where))


def _canary(content: Any, where: str) -> Canary:
    if not isinstance(content, dict) or not {"version", "share"} <= content.keys():
        raise PlanError(f"{where}: 'canary' needs a 'version' and a 'share'")
    _only(content, ("version", "share"), where)
    version = _text(content["version"], "canary.version", where)
    if not version:
        raise PlanError(f"{where}: canary.version is empty")
    try:
        share = float(content["share"])
    except (TypeError, ValueError):
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise PlanError(f"{where}: canary.share must be a number from 0 to 1, not {content['share']!r}")
    return Canary(version, share)


def _text(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{where}: {name} must be a version, not {value!r}")
    return "" if value in _NOTHING else value


def _only(content: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            raise PlanError(f"{where}: unknown key {key!r}{f'; did you mean {near[0]!r}?' if near else ''}")


def read_plan(file: Path) -> RolloutPlan | None:
    """The plan in a file; None where there is no file. Raises PlanError."""
    try:
        return parse_plan(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{file}: cannot be read: {error}") from error


def write_plan(file: Path, plan: RolloutPlan) -> None:
    """Put a plan in its place at once: a reader sees the old one or the new one. Raises OSError."""
    content: dict[str, Any] = {"stable": plan.stable or None}
    if plan.canary is not None:
        content["canary"] = {"version": plan.canary.version, "share": plan.canary.share}
    descriptor, partial = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            yaml.safe_dump(content, stream, sort_keys=False)
        # As other processes, of other users, are to read it; mkstemp makes it private.
        Path(partial).chmod(0o644)
        os.replace(partial, file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
