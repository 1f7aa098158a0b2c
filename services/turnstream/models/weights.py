"""Weights and settings of a trained model in a folder: `model.json` and `weights.npz`."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from turnstream.models.types import Array, Variable

FORMAT = 1


class WeightsError(ValueError):
    """A stored model is damaged, of another kind, or does not fit; the message names the file."""


def read_weights(variables: Iterable[Variable]) -> dict[str, Array]:
    """Values by name. Raises ValueError when two variables share a name."""
    values: dict[str, Array] = {}
    for variable in variables:
        name = variable.name.removesuffix(":0")
        if name in values:
            raise ValueError(f"two variables are named {name}")
        values[name] = variable.numpy()
    return values


def assign_weights(variables: Iterable[Variable], values: Mapping[str, Array], source: str) -> None:
    """Set the variables. Raises WeightsError, naming `source`, on a missing, unknown or misshapen weight."""
    by_name = {variable.name.removesuffix(":0"): variable for variable in variables}
    if missing := sorted(by_name.keys() - values.keys()):
        raise WeightsError(f"{source} lacks the weights {missing}")
    if unknown := sorted(values.keys() - by_name.keys()):
        raise WeightsError(f"{source} has weights that the model does not know: {unknown}")
    for name, variable in by_name.items():
        if values[name].shape != tuple(variable.shape):
            raise WeightsError(f"{source}: {name} is {values[name].shape}, the model needs {tuple(variable.shape)}")
    for name, variable in by_name.items():
        variable.assign(values[name])


def grow_weights(variables: Iterable[Variable], values: Mapping[str, Array], source: str) -> None:
    """Set the variables from a smaller model: its values come first on every axis, what is beyond them stays.

    Variables that the smaller model has not stay as they are. Raises WeightsError, naming `source`, where a value
    would be lost.
    """
    by_name = {variable.name.removesuffix(":0"): variable for variable in variables}
    if lost := sorted(values.keys() - by_name.keys()):
        raise WeightsError(f"{source} has weights that the new model lacks: {lost}")
    for name, value in values.items():
        now = by_name[name].numpy()
        if value.ndim != now.ndim or any(old > new for old, new in zip(value.shape, now.shape, strict=True)):
            raise WeightsError(f"{source}: {name} is {value.shape} and may only grow, the new model has {now.shape}")
        now[tuple(slice(size) for size in value.shape)] = value
        by_name[name].assign(now)


def check_grown(before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]], source: str) -> None:
    """Raises WeightsError unless each list of labels `now` begins with the one `before`."""
    for kind, names in before.items():
        found = list(now.get(kind, ()))
        if found[: len(names)] != list(names):
            lost = sorted(set(names) - set(found))
            raise WeightsError(f"{source}: the labels '{kind}' may only grow; lost or reordered: {lost or found}")


def save_model(folder: Path, kind: str, settings: Mapping[str, Any], variables: Iterable[Variable]) -> None:
    """Write a model; `settings` is JSON and enough to build it again."""
    folder.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = read_weights(variables)
    np.savez(folder / "weights.npz", **values)
    digest = hashlib.sha256((folder / "weights.npz").read_bytes()).hexdigest()
    header = {"format": FORMAT, "kind": kind, "weights_sha256": digest, "settings": settings}
    (folder / "model.json").write_text(json.dumps(header, indent=1), encoding="utf-8")


def load_model(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """The settings and weights of a model of this kind. Raises WeightsError."""
    header_file, weights_file = folder / "model.json", folder / "weights.npz"
    try:
        header = json.loads(header_file.read_text(encoding="utf-8"))
        found = (header["format"], header["kind"])
        digest, settings = header["weights_sha256"], dict(header["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{header_file} cannot be read: {error!r}") from error
    if found != (FORMAT, kind):
        raise WeightsError(f"{header_file} holds format and kind {found}, wanted {(FORMAT, kind)}")
    try:
        intact = hashlib.sha256(weights_file.read_bytes()).hexdigest() == digest
        with np.load(weights_file) as stored:
            weights = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{weights_file} is damaged: {error}") from error
    if not intact:
        raise WeightsError(f"{weights_file} is damaged: its sha256 is not the one in {header_file.name}")
    return settings, weights
