"""A trained assistant on disk: one immutable directory with a manifest that names and hashes every file in it."""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from turnstream.assistant.codec import config_from_json, config_to_json, domain_from_json, domain_to_json
from turnstream.assistant.config import ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.jsonable import from_json, to_json

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
DOMAIN = "domain.json"
CONFIG = "config.json"
MODELS_DIR = "models"
BUNDLES_DIR = "models"
"""Of a project: where training puts bundles."""


class BundleError(Exception):
    """A bundle is missing, damaged or of another version; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A SavedModel in `models/<name>/<version>/`."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files` maps each path in the bundle (POSIX, without the manifest) to its SHA-256 in hexadecimal.

    `trained_at` is ISO 8601 in UTC. `policy_window` is the largest number of states that any policy looks at,
    None where one looks at the whole conversation.
    """

    format_version: int
    version: str
    model_id: str
    assistant_id: str
    trained_at: str
    files: Mapping[str, str]
    models: tuple[BundledModel, ...] = ()
    policy_window: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else training wants to remember: fingerprints, data sizes, durations."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files were all checked."""

    root: Path
    manifest: Manifest
    domain: Domain
    config: ModelConfig

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def model_id(self) -> str:
        return self.manifest.model_id

    @property
    def assistant_id(self) -> str:
        return self.manifest.assistant_id

    @property
    def models(self) -> tuple[BundledModel, ...]:
        return self.manifest.models

    @property
    def policy_window(self) -> int | None:
        return self.manifest.policy_window

    @property
    def models_dir(self) -> Path:
        return self.root / MODELS_DIR

    def has(self, name: str) -> bool:
        """Whether the bundle has a file of this name."""
        return name in self.manifest.files

    def path(self, name: str) -> Path:
        """The place of a file or folder of the bundle. Raises BundleError where there is none."""
        path = self.root / name
        if not path.exists():
            raise BundleError(f"{path}: not in this bundle. Train the assistant again.")
        return path

    def read_json(self, name: str) -> Any:
        """The parsed content of a JSON file. Raises BundleError where it is missing or no JSON."""
        return _read_json(self.path(name))


class BundleWriter:
    """Builds a bundle beside its final place; `commit` renames it there, so that nothing half-written is ever seen.

    As a context manager it discards what was not committed.
    """

    def __init__(
        self,
        path: Path,
        *,
        domain: Domain,
        config: ModelConfig,
        version: str | None = None,
        model_id: str | None = None,
        trained_at: datetime | None = None,
    ) -> None:
        """`version` is the folder's name unless given; give one that changes where the name is fixed."""
        self._final = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._root = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        self._version = version or path.name
        self._model_id = model_id or uuid.uuid4().hex
        self._assistant_id = config.assistant_id or path.name
        self._trained_at = trained_at or datetime.now(UTC)
        self._models: list[BundledModel] = []
        self.policy_window: int | None = None
        self.facts: dict[str, Any] = {}
        try:
            self.write_json(DOMAIN, domain_to_json(domain))
            self.write_json(CONFIG, config_to_json(config))
        except BaseException:
            self.discard()
            raise

    @property
    def model_id(self) -> str:
        return self._model_id

    @property
    def version(self) -> str:
        return self._version

    def path(self, name: str) -> Path:
        """Where to write the file `name`; its folder is made."""
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or name == MANIFEST:
            raise ValueError(f"Not a name for a file of a bundle: {name!r}.")
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_json(self, name: str, value: Any) -> None:
        """Write a value as JSON under `name`."""
        text = json.dumps(value, ensure_ascii=False, indent=1)
        self.path(name).write_text(text, encoding="utf-8")

    def add_model(self, name: str, version: int | None = None) -> Path:
        """Announce a SavedModel; returns the folder to export it to, which does not exist yet.

        The version is the time of training in seconds since the epoch unless given, so that the models of several
        bundles can stand side by side in one model server.
        """
        model = BundledModel(name, int(self._trained_at.timestamp()) if version is None else version)
        if model in self._models:
            raise ValueError(f"The model {name}/{version} is in the bundle already.")
        self._models.append(model)
        return self.path(f"{MODELS_DIR}/{name}/{model.version}")

    def commit(self) -> Path:
        """Write the manifest and move the bundle to its place, replacing one that was there."""
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            version=self._version,
            model_id=self._model_id,
            assistant_id=self._assistant_id,
            trained_at=self._trained_at.astimezone(UTC).isoformat(),
            files=_hashes(self._root),
            models=tuple(sorted(self._models, key=lambda model: (model.name, model.version))),
            policy_window=self.policy_window,
            facts=self.facts,
        )
        text = json.dumps(to_json(manifest), ensure_ascii=False, indent=1)
        (self._root / MANIFEST).write_text(text, encoding="utf-8")
        self._root.chmod(0o755)
        replaced = self._root.with_name(f"{self._root.name}-replaced")
        if self._final.exists():
            os.replace(self._final, replaced)
        os.replace(self._root, self._final)
        if replaced.exists():
            shutil.rmtree(replaced)
        return self._final

    def discard(self) -> None:
        """Remove what was not committed."""
        shutil.rmtree(self._root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and check its format version and every file. Raises BundleError naming what is wrong."""
    manifest = read_manifest(path)
    present = _hashes(path)
    for name in sorted(manifest.files):
        if name not in present:
            raise BundleError(f"{path / name}: missing from the bundle. Copy the bundle again, or train again.")
        if present[name] != manifest.files[name]:
            raise BundleError(f"{path / name}: damaged (its SHA-256 differs). Copy the bundle again, or train again.")
    try:
        domain = domain_from_json(_read_json(path / DOMAIN))
        config = config_from_json(_read_json(path / CONFIG))
    except ValueError as error:
        raise BundleError(f"{path}: {error} Train the assistant again.") from error
    return Bundle(path, manifest, domain, config)


def find_bundle(path: Path) -> Path:
    """`path` itself where it is a bundle, else the newest bundle in it. Raises BundleError where there is none."""
    if (path / MANIFEST).is_file():
        return path
    if path.is_file():
        raise BundleError(f"{path}: a file, not a bundle folder. Train the assistant with Turnstream.")
    bundles = [p.parent for p in path.glob(f"*/{MANIFEST}") if not p.parent.name.startswith(".")]
    beside = path / BUNDLES_DIR
    if not bundles and any(beside.glob(f"*/{MANIFEST}")):
        raise BundleError(f"{path}: no trained model here, but there is in {beside}: name that folder.")
    if not bundles:
        raise BundleError(f"{path}: no trained model here. Run 'turnstream train' first.")
    return max(bundles, key=_age)


def _age(path: Path) -> tuple[float, str]:
    try:
        trained_at = datetime.fromisoformat(read_manifest(path).trained_at).timestamp()
    except (BundleError, ValueError):
        trained_at = (path / MANIFEST).stat().st_mtime
    return trained_at, path.name


def read_manifest(path: Path) -> Manifest:
    """The manifest alone; no file is checked. Raises BundleError."""
    where = path / MANIFEST
    if not where.is_file():
        raise BundleError(f"{path}: not a model bundle ({MANIFEST} is missing). Run 'turnstream train' first.")
    data = _read_json(where)
    found = data.get("format_version") if isinstance(data, dict) else None
    if found != FORMAT_VERSION:
        raise BundleError(
            f"{where}: written in format {found!r}, this version reads format {FORMAT_VERSION}. "
            "Train the assistant again with this version."
        )
    try:
        return from_json(Manifest, data)
    except ValueError as error:
        raise BundleError(f"{where}: damaged: {error}") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:  # UnicodeDecodeError is one, too
        raise BundleError(f"{path}: damaged: no valid JSON ({error}).") from error
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}.") from error


def _hashes(root: Path) -> dict[str, str]:
    paths = sorted(p for p in root.rglob("*") if p.is_file() and p != root / MANIFEST)
    return {p.relative_to(root).as_posix(): _sha256(p) for p in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
