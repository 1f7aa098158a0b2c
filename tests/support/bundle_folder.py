"""A folder of small bundles, without anything trained in them."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from turnstream.assistant.bundle import MANIFEST, MODELS_DIR, BundleWriter
from turnstream.assistant.config import ModelConfig
from turnstream.assistant.domain import Domain

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def put_bundle(folder: Path, version: str, day: int = 1, models: Mapping[tuple[str, int], str] | None = None) -> Path:
    """A bundle trained on a day of January; `models` maps name and version to what stands in its only file."""
    with BundleWriter(
        folder / version,
        domain=Domain(),
        config=ModelConfig(assistant_id="small"),
        trained_at=DAY + timedelta(days=day),
    ) as writer:
        writer.write_json("nlu/pipeline.json", {"of": version})
        for (name, number), content in (models or {}).items():
            place = writer.add_model(name, number)
            place.mkdir()
            (place / "saved_model.pb").write_text(content)
        return writer.commit()


def damage(bundle: Path) -> None:
    """One file is not what the manifest says."""
    (bundle / "nlu/pipeline.json").write_text("{}")


def derive_bundle(source: Path, folder: Path, version: str, words: Mapping[str, str]) -> Path:
    """A later version of a bundle with other words in all that its author wrote, and its models under new numbers."""
    bundle = folder / version
    shutil.copytree(source, bundle)
    manifest = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    for model in manifest["models"]:
        place = bundle / MODELS_DIR / model["name"]
        model["version"] += 1
        (place / str(model["version"] - 1)).rename(place / str(model["version"]))
    for file in bundle.rglob("*.json"):
        text = file.read_text(encoding="utf-8")
        for word, other in words.items():
            text = text.replace(word, other)
        file.write_text(text, encoding="utf-8")
    manifest["version"] = version
    manifest["trained_at"] = (datetime.fromisoformat(manifest["trained_at"]) + timedelta(seconds=1)).isoformat()
    files = sorted(p for p in bundle.rglob("*") if p.is_file() and p.name != MANIFEST)
    manifest["files"] = {p.relative_to(bundle).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    (bundle / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return bundle
