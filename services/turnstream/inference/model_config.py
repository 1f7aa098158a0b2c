"""TensorFlow Serving's configuration of the models of several bundles.

A model has one base path there, with a folder for each version; so the models of all bundles are laid side by side as
links, `<models>/<name>/<version>`. https://www.tensorflow.org/tfx/serving/serving_config
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.assistant.bundle import MODELS_DIR, Bundle, BundledModel, BundleError
from turnstream.runtime.settings import ModelServerSettings

PLATFORM = "tensorflow"
Labels = Mapping[str, Mapping[str, int]]
"""By model, then by label."""

MONITORING = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'


@dataclass(frozen=True, slots=True)
class ModelPlaces:
    """Where each version of each model lies."""

    folders: Mapping[BundledModel, Path]

    @classmethod
    def of(cls, bundles: Iterable[Bundle]) -> "ModelPlaces":
        """Bundles may share a model that was not trained anew. Raises BundleError where one number means two models."""
        folders: dict[BundledModel, Path] = {}
        contents: dict[BundledModel, Mapping[str, str]] = {}
        for bundle in bundles:
            for model in bundle.models:
                content = _files(bundle, model)
                if contents.setdefault(model, content) != content:
                    raise BundleError(
                        f"{bundle.root}: model {model.name!r} version {model.version} differs from that in "
                        f"{folders[model].parents[2]}. Train one of them again."
                    )
                folders.setdefault(model, (bundle.models_dir / model.name / str(model.version)).resolve())
        return cls(folders)


def _files(bundle: Bundle, model: BundledModel) -> Mapping[str, str]:
    prefix = f"{MODELS_DIR}/{model.name}/{model.version}/"
    return {name: digest for name, digest in bundle.manifest.files.items() if name.startswith(prefix)}


def link_models(places: ModelPlaces, models_dir: Path) -> None:
    """Make the links that are missing or lead elsewhere; others are left. Raises OSError."""
    for model, folder in places.folders.items():
        link = models_dir / model.name / str(model.version)
        if link.is_symlink() and Path(os.readlink(link)) == folder:
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        partial = link.with_name(f".{link.name}")
        partial.unlink(missing_ok=True)
        partial.symlink_to(folder, target_is_directory=True)
        os.replace(partial, link)


def unlink_others(places: ModelPlaces, models_dir: Path) -> None:
    """Remove the links that no configuration names any more. Folders stay: a server may still look into them."""
    kept = {models_dir / model.name / str(model.version) for model in places.folders}
    for link in models_dir.glob("*/*"):
        if link.is_symlink() and link not in kept:
            link.unlink()


def model_server_config(places: ModelPlaces, models_dir: Path, labels: Labels) -> pb.ModelServerConfig:
    """Exactly these versions of each model; `labels` of others are left out."""
    config = pb.ModelServerConfig()
    config.model_config_list.SetInParent()
    by_name: dict[str, list[int]] = {}
    for model in places.folders:
        by_name.setdefault(model.name, []).append(model.version)
    for name, versions in sorted(by_name.items()):
        entry = config.model_config_list.config.add(
            name=name, base_path=str(models_dir.absolute() / name), model_platform=PLATFORM
        )
        entry.model_version_policy.specific.versions.extend(sorted(versions))
        for label, version in labels.get(name, {}).items():
            if version in versions:
                entry.version_labels[label] = version
    return config


def labels_of(named: Mapping[str, Bundle | None]) -> dict[str, dict[str, int]]:
    """The versions of models in the bundles that labels stand for, such as `stable` and `canary`."""
    found: dict[str, dict[str, int]] = {}
    for label, bundle in named.items():
        for model in bundle.models if bundle else ():
            found.setdefault(model.name, {})[label] = model.version
    return found


def batching_text(settings: ModelServerSettings) -> str:
    """TensorFlow Serving's batching parameters for the local model server's settings.

    Requests that differ in length are padded with zeros, which stand for nothing in our models' inputs.
    """
    return (
        f"max_batch_size {{ value: {settings.max_batch_size} }}\n"
        f"batch_timeout_micros {{ value: {int(settings.batch_wait_ms * 1000)} }}\n"
        f"num_batch_threads {{ value: {settings.parallel_batches} }}\n"
        "max_enqueued_batches { value: 1024 }\n"
        "pad_variable_length_inputs: true\n"
    )


def config_text(config: pb.ModelServerConfig) -> str:
    return text_format.MessageToString(config)


def write_text(file: Path, text: str) -> None:
    """Put a file in its place at once. Raises OSError."""
    descriptor, partial = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(partial).chmod(0o644)
        os.replace(partial, file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
