"""Which models there are on disk: TF Serving's layout `<base>/<version>/saved_model.pb`, and its configuration file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format

from turnstream.api.serving.v1 import serving_pb2 as pb

SAVED_MODEL = "saved_model.pb"


class ModelConfigError(ValueError):
    """The configuration file cannot be used; the message names it and the reason."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's versions with their folders, and labels with their versions."""

    versions: Mapping[int, Path]
    labels: Mapping[str, int] = field(default_factory=dict)


def models_in_folders(folders: Sequence[Path]) -> dict[str, ModelFiles]:
    """All versions of all models in `<folder>/<name>/<version>/`. A version in two folders: the later folder's."""
    found: dict[str, dict[int, Path]] = {}
    for folder in folders:
        for model in sorted(folder.iterdir()) if folder.is_dir() else ():
            versions = dict(_versions(model))
            if versions:
                found.setdefault(model.name, {}).update(versions)
    return {name: ModelFiles(versions) for name, versions in found.items()}


def _versions(base: Path) -> Iterator[tuple[int, Path]]:
    """Complete versions: a folder being written has no saved_model.pb yet."""
    for folder in base.iterdir() if base.is_dir() else ():
        if folder.name.isdecimal() and (folder / SAVED_MODEL).is_file():
            yield int(folder.name), folder


def models_in_config(file: Path) -> dict[str, ModelFiles]:
    """The models of a `model_config_list` in text format, relative paths from the file's folder.

    Version policy, as in TF Serving: the latest one where nothing is said. Raises ModelConfigError.
    """
    try:
        config = text_format.Parse(file.read_text(encoding="utf-8"), pb.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ModelConfigError(f"{file}: {error}") from error
    return models_of(config, file.parent, str(file))


def models_of(config: pb.ModelServerConfig, base: Path, where: str) -> dict[str, ModelFiles]:
    """As `models_in_config`, of a configuration that comes from `where`; relative paths start at `base`."""
    models = {}
    for entry in config.model_config_list.config:
        if not entry.name or not entry.base_path or entry.name in models:
            raise ModelConfigError(f"{where}: every model needs a name of its own and a base_path ({entry.name!r})")
        versions = _chosen(entry, dict(_versions(base / entry.base_path)))
        models[entry.name] = ModelFiles(versions, dict(entry.version_labels))
    return models


def _chosen(entry: pb.ModelConfig, versions: dict[int, Path]) -> dict[int, Path]:
    policy = entry.model_version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return versions
        case "specific":
            return {v: versions[v] for v in policy.specific.versions if v in versions}
        case _:
            newest = sorted(versions)[-(policy.latest.num_versions or 1) :]
            return {v: versions[v] for v in newest}
